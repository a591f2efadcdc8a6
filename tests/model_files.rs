//! Model directories as others leave them, through the real binary: what the files beside the weights say is done as
//! Python's transformers does it, or refused in words.

mod support;

use serde_json::{Value, json};
use support::python::python;
use support::{Outcome, Scene};

const CPU: &str = "--device cpu --precision fp32 --threads 1";

/// A copy of a fixture, to be changed.
fn model(scene: &Scene, from: &str, name: &str) {
    scene.copy(from, name);
}

/// The fixture's vocabulary as `vocab.txt`, without its last `dropped` pieces, and no other file of the tokenizer.
fn vocabulary_alone(scene: &Scene, name: &str, dropped: usize) {
    let vocabulary = scene.json(&format!("{name}/tokenizer.json"))["model"]["vocab"].clone();
    let mut pieces: Vec<(u64, String)> =
        vocabulary.as_object().unwrap().iter().map(|(piece, id)| (id.as_u64().unwrap(), piece.clone())).collect();
    pieces.sort();
    pieces.truncate(pieces.len() - dropped);
    let lines: String = pieces.into_iter().map(|(_, piece)| format!("{piece}\n")).collect();
    scene.write(&format!("{name}/vocab.txt"), lines);
    scene.remove(&format!("{name}/tokenizer.json"));
    scene.remove(&format!("{name}/tokenizer_config.json"));
}

fn write_json(scene: &Scene, name: &str, value: Value) {
    scene.write(name, value.to_string());
}

/// One text through the model, which must be refused.
fn refused(scene: &Scene, name: &str) -> Outcome {
    scene.rehead(&format!("label --model {name} --input - --output - {CPU}")).input("text\na good film\n").refused()
}

/// Labels `in.csv` with each of the models, and has transformers check every probability.
fn check_in_python(scene: &Scene, models: &[&str]) {
    for name in models {
        scene.copy("in.csv", &format!("{name}/in.csv"));
        let files = format!("--input {name}/in.csv --output {name}/out.csv");
        scene.rehead(&format!("label --model {name} {files} --probabilities {CPU}")).ok();
    }
    if let Some(said) = python("transformers", "check_labels.py", models.iter().map(|name| scene.path(name))) {
        println!("{said}");
    }
}

const TEXTS: &str = "text\nThe film was Great\nCafé au lait\ncafe AU lait\nÉ café no good\n好电很\n\
                     <user> was [WORLD] good\n[world] <USER> un<user>able [MASK] [mask]\n\
                     Not a film's plot [SEP] the act\n";

#[test]
fn settings_beside_the_tokenizer_count_as_in_transformers() {
    let scene = Scene::with_models(&["classifier"]);
    scene.write("in.csv", TEXTS);
    let changes: [(&str, Value); 8] = [
        ("keeps_case", json!({ "do_lower_case": false })),
        ("keeps_accents", json!({ "strip_accents": false })),
        ("strips_accents", json!({ "do_lower_case": false, "strip_accents": true })),
        ("chinese_words", json!({ "tokenize_chinese_chars": false })),
        ("fast", json!({ "tokenizer_class": "BertTokenizerFast", "do_lower_case": false })),
        ("distilbert", json!({ "tokenizer_class": "DistilBertTokenizer", "do_lower_case": false })),
        ("as_stored", json!({ "tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": false })),
        ("split_special", json!({ "split_special_tokens": true })),
    ];
    for (name, settings) in &changes {
        model(&scene, "classifier", name);
        scene.edit_json(&format!("{name}/tokenizer_config.json"), |config| {
            config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        });
    }
    // The other way round: the stored tokenizer keeps capitals, the settings say nothing.
    model(&scene, "classifier", "silent");
    scene.edit_json("silent/tokenizer.json", |tokenizer| tokenizer["normalizer"]["lowercase"] = false.into());
    scene.remove("silent/tokenizer_config.json");
    let names: Vec<&str> = changes.iter().map(|(name, _)| *name).chain(["silent"]).collect();
    check_in_python(&scene, &names);
    assert_ne!(scene.text("keeps_case/out.csv"), scene.text("as_stored/out.csv"));
    let said = scene.rehead(&format!("label --model silent --input in.csv --output - --quiet {CPU}")).ok();
    said.says(&["texts are lower-cased", "\"do_lower_case\": false"]);

    write_json(&scene, "keeps_case/tokenizer_config.json", json!({ "do_lower_case": "no" }));
    refused(&scene, "keeps_case").says(&["`do_lower_case`", "found \"no\", expected true or false"]);
}

#[test]
fn added_tokens_count_wherever_they_are_listed() {
    let scene = Scene::with_models(&["classifier"]);
    scene.write("in.csv", TEXTS);
    let tokens = json!({ "[WORLD]": 91, "<user>": 92 });
    for name in ["listed", "special", "decoder", "decoder_beside"] {
        model(&scene, "classifier", name);
        vocabulary_alone(&scene, name, 2);
    }
    write_json(&scene, "listed/added_tokens.json", tokens.clone());
    write_json(&scene, "special/added_tokens.json", tokens.clone());
    write_json(
        &scene,
        "special/special_tokens_map.json",
        json!({ "additional_special_tokens": ["[WORLD]", "<user>"] }),
    );
    write_json(&scene, "special/tokenizer_config.json", json!({ "extra_special_tokens": ["<user>"] }));
    let token = |content: &str, normalized: bool| {
        json!({ "content": content, "lstrip": true, "normalized": normalized, "rstrip": false, "single_word": true,
            "special": !normalized })
    };
    let decoder = json!({ "added_tokens_decoder": { "91": token("[WORLD]", true), "92": token("<user>", false) } });
    write_json(&scene, "decoder/tokenizer_config.json", decoder.clone());
    // Not read where there is a decoder.
    write_json(&scene, "decoder/added_tokens.json", json!({ "good": 7 }));
    // tokenizer.json has the vocabulary without them.
    write_json(&scene, "decoder_beside/tokenizer_config.json", decoder);
    let mut tokenizer = scene.json("classifier/tokenizer.json");
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    vocabulary.retain(|_, id| id.as_u64() < Some(91));
    scene.write("decoder_beside/tokenizer.json", tokenizer.to_string());
    check_in_python(&scene, &["listed", "special", "decoder", "decoder_beside"]);

    for (name, problem) in [("listed", "other ids in the vocabulary"), ("special", "expected the id of this token")] {
        let id: Value = if name == "listed" { 40.into() } else { "x".into() };
        write_json(&scene, &format!("{name}/added_tokens.json"), json!({ "<user>": id }));
        refused(&scene, name).says(&[problem, "<user>"]);
    }
    write_json(&scene, "listed/added_tokens.json", json!({ "<a>": 91, "<b>": 92, "<c>": 93 }));
    refused(&scene, "listed").says(&["knows 94 tokens", "embedding has 93 rows"]);
}

#[test]
fn long_texts_are_cut_where_the_settings_say() {
    let scene = Scene::with_models(&["classifier", "roberta/classifier"]);
    let long = "good film ".repeat(20) + &"bad plot ".repeat(20) + "awful";
    scene.write("in.csv", format!("text_a,text_b\n{long},the plot\nthe act,{long}\n{long},{long}\n"));
    for name in ["left", "right"] {
        model(&scene, "classifier", name);
        scene.edit_json(&format!("{name}/tokenizer_config.json"), |config| config["truncation_side"] = name.into());
    }
    model(&scene, "roberta/classifier", "roberta_left");
    scene.edit_json("roberta_left/tokenizer_config.json", |config| config["truncation_side"] = "left".into());
    model(&scene, "classifier", "one_segment");
    let names = json!(["input_ids", "attention_mask"]);
    scene.edit_json("one_segment/tokenizer_config.json", |config| config["model_input_names"] = names);
    let models = ["left", "right", "roberta_left", "one_segment"];
    check_in_python(&scene, &models);
    scene.write("in.csv", format!("text\n{long}\nshort\n"));
    check_in_python(&scene, &models);
    assert_ne!(scene.text("left/out.csv"), scene.text("right/out.csv"));

    scene.edit_json("left/tokenizer_config.json", |config| config["truncation_side"] = "middle".into());
    refused(&scene, "left").says(&["truncation_side", "expected \"left\" or \"right\""]);
}

#[test]
fn classes_that_only_python_has_are_refused() {
    let scene = Scene::with_models(&["classifier"]);
    scene.edit_json("classifier/tokenizer_config.json", |c| c["tokenizer_class"] = "BertJapaneseTokenizer".into());
    refused(&scene, "classifier").says(&["`BertJapaneseTokenizer` exists in Python alone", "tokenizer_class"]);
}

/// What the `tokenizers` crate panics on, and what makes no sense though it loads.
#[test]
fn tokenizers_that_make_no_sense_are_refused() {
    let scene = Scene::with_models(&["classifier"]);
    let template = |single: Value, special: Value| {
        let kind = "TemplateProcessing";
        json!({ "type": kind, "single": single, "pair": [], "special_tokens": special })
    };
    let sequence = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let cls = json!({ "SpecialToken": { "id": "[CLS]", "type_id": 0 } });
    let token = |ids: Value| json!({ "[CLS]": { "id": "[CLS]", "ids": ids, "tokens": ["[CLS]"] } });
    let whole = template(json!([cls, sequence("A")]), token(json!([2])));
    let processors: [(&str, Value); 5] = [
        ("b_alone", template(json!([cls, sequence("A"), sequence("B")]), token(json!([2])))),
        ("no_such_token", template(json!([cls, sequence("A")]), json!({}))),
        ("beyond", template(json!([cls, sequence("A")]), token(json!([999])))),
        ("two", json!({ "type": "Sequence", "processors": [whole.clone(), whole] })),
        ("bert", json!({ "type": "BertProcessing", "sep": ["[SEP]", 999], "cls": ["[CLS]", 2] })),
    ];
    for (name, processor) in processors {
        model(&scene, "classifier", name);
        scene.edit_json(&format!("{name}/tokenizer_config.json"), |config| {
            config["tokenizer_class"] = "PreTrainedTokenizerFast".into();
        });
        scene.edit_json(&format!("{name}/tokenizer.json"), |tokenizer| tokenizer["post_processor"] = processor);
        refused(&scene, name).says(&["tokenizer.json: ", "hint: use the tokenizer that belongs to this checkpoint"]);
    }
}

#[test]
fn patterns_that_never_end_are_refused() {
    let scene = Scene::with_models(&["classifier"]);
    let text = format!("text\n{}!b\nhello\n", "a".repeat(1500));
    let split = |pattern: &str| {
        let pattern = json!({ "Regex": pattern });
        ("pre_tokenizer", json!({ "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false }))
    };
    let replace = |pattern: Value, by: &str| json!({ "type": "Replace", "pattern": pattern, "content": by });
    let tenfold = replace(json!({ "String": "a" }), "aaaaaaaaaa");
    for (index, (part, step)) in [
        split("(a+)+$"),
        // Each place of the text by itself would end.
        split("(a|c)*(a|c)*b"),
        ("normalizer", replace(json!({ "Regex": "(a+)+$" }), "")),
        ("normalizer", json!({ "type": "Sequence", "normalizers": vec![tenfold; 10] })),
        ("pre_tokenizer", json!({ "type": "FixedLength", "length": 0 })),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("model{index}");
        model(&scene, "classifier", &name);
        scene.edit_json(&format!("{name}/tokenizer_config.json"), |c| {
            c["tokenizer_class"] = "PreTrainedTokenizerFast".into();
        });
        scene.edit_json(&format!("{name}/tokenizer.json"), |tokenizer| tokenizer[part] = step);
        let label = scene.rehead(&format!("label --model {name} --input - --output - {CPU}"));
        // The header of the output may be written by then.
        let said = label.input(&text).run();
        said.check(said.status.code() == Some(2), "exit status 2");
        said.says(&[
            "error: ",
            &format!("tokenizer.json: `{part}`: "),
            "use the tokenizer that belongs to this checkpoint",
        ]);
    }
}

#[test]
fn a_model_of_another_job_is_refused_with_what_it_is() {
    let scene = Scene::with_models(&["classifier"]);
    scene.write("labelled.csv", "text,label\na good film,positive\na bad film,negative\n");
    for (class, what) in [
        ("BertForTokenClassification", "this is a token classifier"),
        ("BertForQuestionAnswering", "this is a question-answering model"),
        ("BertForMaskedLM", "this is a masked language model"),
        ("BertLMHeadModel", "this is a language model"),
        ("BertForMultipleChoice", "this is a multiple-choice model"),
    ] {
        scene.edit_json("classifier/config.json", |config| config["architectures"] = json!([class]));
        refused(&scene, "classifier").says(&["config.json: `architectures`: ", what, class, "rehead train"]);
        let evaluate = format!("evaluate --model classifier --data labelled.csv {CPU}");
        scene.rehead(&evaluate).refused().says(&[what]);
    }
    // Its backbone is as good as another.
    scene.write("train.csv", support::csv(&support::sentiment(24, 1)));
    let train = "train --train train.csv --model classifier --out run --strategy frozen";
    scene.rehead(&format!("{train} {CPU}")).ok().says(&["not used: the head of a multiple-choice model"]);
    let report = scene.rehead("inspect classifier --json").ok().json();
    assert_eq!((&report["head"], &report["labels"]), (&json!("none"), &json!([])));
    assert!(report["other_head"].as_str().unwrap().contains("BertForMultipleChoice"));

    scene.edit_json("classifier/config.json", |config| config["architectures"] = json!(["BertModel"]));
    scene.edit_json("classifier/config.json", |config| config["problem_type"] = "ranking".into());
    refused(&scene, "classifier").says(&["problem_type", "`ranking`"]);
}

#[test]
fn odd_names_of_classes_become_labels_or_are_refused() {
    let scene = Scene::with_models(&["classifier"]);
    let label = |names: Value| {
        scene.edit_json("classifier/config.json", |config| config["id2label"] = names);
        let command = format!("label --model classifier --input - --output - --probabilities --quiet {CPU}");
        let done = scene.rehead(&command).input("text\na good film\n").ok();
        (done.stdout_text().lines().next().unwrap().to_owned(), done.stderr)
    };
    assert_eq!(label(json!({ "0": 0, "1": 1 })).0, "text,predicted_label,confidence,p_0,p_1");
    assert_eq!(
        label(json!({ "0": "negative ", "1": " positive" })).0,
        "text,predicted_label,confidence,p_negative,p_positive"
    );
    let (header, said) = label(json!({ "0": "crane", "1": "crane" }));
    assert_eq!(header, "text,predicted_label,confidence,p_crane_0,p_crane_1");
    assert!(said.contains("several classes are called `crane`: they become `crane_0` and `crane_1`"), "{said}");
    for (names, part) in [
        (json!({ "0": "a" }), "names no label for class 1; the head has 2 classes"),
        (json!({ "0": "a", "1": "b", "2": "c" }), "names 3 labels; the head has 2 classes"),
        (json!({ "0": "a", "1": null }), "names no label for class 1"),
        (json!({ "0": "a_1", "1": "a", "2": "a" }), "names 3 labels"),
        (json!({ "a": 0, "b": 1 }), "names no label for class 0"),
        (json!(["a", "b"]), "must be an object from numbers to names"),
    ] {
        scene.edit_json("classifier/config.json", |config| config["id2label"] = names);
        refused(&scene, "classifier").says(&["config.json: `id2label`: ", part]);
    }
}

#[test]
fn a_family_that_is_not_there_is_told_from_the_configuration_alone() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", support::csv(&support::sentiment(24, 1)));
    scene.remove("bare/model.safetensors");
    // Not even the weights are looked at.
    scene.write("bare/pytorch_model.bin", "pickle");
    for family in ["gpt_neo", "gpt2", "t5", "swinv2", "dinov3_convnext"] {
        scene.edit_json("bare/config.json", |config| config["model_type"] = family.into());
        for command in
            ["train --train train.csv --out run", "label --input train.csv --output -", "advise --train train.csv"]
        {
            let said = scene.rehead(&format!("{command} --model bare")).refused();
            let said = said.says(&[&format!("`model_type`: `{family}`"), "supported for texts: `bert`, `roberta`"]);
            said.says(&[
                "for images: `vit`, `dinov2`, `dinov2_with_registers`, `clip`, `resnet`",
                "`xlm-roberta`",
                "`camembert`",
                "`albert`",
                "`distilbert`",
                "`electra`",
                "`mpnet`",
                "`deberta`",
                "`deberta-v2`",
                "`mobilebert`",
                "`fnet`",
                "`xlnet`",
                "`longformer`",
                "`modernbert`",
                "`nomic_bert`",
                "`eurobert`",
                "`gte`",
                "`vgg`",
                "`inception",
                "`efficientnet`",
                "`mobilenetv3`",
            ]);
        }
    }
    scene.edit_json("bare/config.json", |config| config["model_type"] = "bert".into());
    refused(&scene, "bare").says(&["pytorch_model.bin", "rehead convert bare"]);
    scene.remove("bare/config.json");
    refused(&scene, "bare").says(&["bare"]);
}

#[test]
fn what_is_not_there_is_told_from_what_the_hub_has() {
    let scene = Scene::with_models(&["classifier"]);
    scene.copy("classifier", "runs/first");
    let label = |name: &str| scene.rehead(&format!("label --model {name} --input - --output - {CPU}")).refused();
    label("runs/frist").says(&["runs/frist: no such directory", "did you mean runs/first?"]);
    label("runs/zzzzzz").says(&["runs/zzzzzz: no such directory"]);
    label("models/other").says(&["models/other: no such directory"]);
    label("./clasifier").says(&["no such directory", "did you mean ./classifier?"]);
    label("/absent/model").says(&["/absent/model: no such directory"]);
    label("clasifier").says(&["did you mean classifier?"]);
    scene.rehead("train --resume --out runs/frist").refused().says(&["runs/frist: no such run", "runs/first?"]);
    scene.rehead("train --resume --out classifier").refused().says(&["classifier: there is no run in this directory"]);
    std::fs::create_dir(scene.path("begun")).unwrap();
    scene.write("begun/rehead.toml", "");
    label("begun").says(&["begun: this run has no model yet", "rehead train --resume --out begun"]);
}

#[test]
fn settings_without_effect_are_named_and_those_without_sense_refused() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", support::csv(&support::sentiment(24, 1)));
    let train = format!("train --train train.csv --model bare {CPU}");
    let frozen = format!("{train} --strategy frozen --epochs 3 --set lr=1e-4 --out a --quiet");
    let idle = "warning: `training.lr` and `--epochs` have no effect with --strategy frozen";
    scene.rehead(&frozen).ok().says(&[idle]);
    for silent in
        ["--strategy frozen --out b", "--strategy last:1 --epochs 1 --out c", "--config a/rehead.toml --out d"]
    {
        let said = scene.rehead(&format!("{train} {silent} --quiet")).ok();
        said.check(!said.stderr.contains("no effect"), "no warning");
    }
    for (wrong, expected) in [
        ("--epochs 0", "from 1 to 10000"),
        ("--lr 2e5", "above 0 and up to 1"),
        ("--head-lr 7", "above 0 and up to 1"),
        ("--weight-decay 1e6", "from 0 and up to 10"),
        ("--max-length 1", "from 4 to"),
        ("--batch-size 0", "from 1"),
        ("--mixup 1e9", "up to 100"),
    ] {
        scene.rehead(&format!("{train} --strategy full --out no {wrong}")).refused().says(&[expected]);
        assert!(!scene.exists("no"), "{wrong}");
    }
}

#[test]
fn data_of_one_class_is_refused() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("spam.csv", "text,label\nbuy now,spam\nfree film,spam\nwin it,spam\n");
    for command in ["train --out run", "compare --strategies frozen,full --out run", "advise"] {
        let said = scene.rehead(&format!("{command} --train spam.csv --model bare")).refused();
        said.says(&["spam.csv: column `label`: every row has the label `spam`", "at least two classes"]);
    }
}

const KOREAN: [&str; 4] = [
    "이 영화는 정말 재미있었어요",
    "배우들의 연기가 아주 훌륭했습니다",
    "시간이 아까운 영화였어요",
    "별로 추천하고 싶지 않아요",
];

#[test]
fn a_tokenizer_for_another_language_is_warned_of() {
    let scene = Scene::with_models(&["classifier"]);
    let row = |index: usize| format!("{} {index},{}\n", KOREAN[index % 4], ["negative", "positive"][index / 2 % 2]);
    scene.write("korean.csv", format!("text,label\n{}", (0..24).map(row).collect::<String>()));
    scene.write("english.csv", support::csv(&support::sentiment(24, 1)));
    let said = ["in Korean, which this model's tokenizer does not know", "`klue/roberta-base`, `xlm-roberta-base`"];
    let train = format!("train --model classifier --strategy frozen --quiet {CPU}");
    scene.rehead(&format!("{train} --train korean.csv --out korean")).ok().says(&said);
    let fit = scene.json("korean/metrics.json")["language"].clone();
    assert_eq!(fit["unknown_languages"][0]["language"], "Korean");
    assert!(fit["unknown_languages"][0]["share_of_texts"].as_f64() == Some(1.0), "{fit}");
    scene.rehead(&format!("evaluate --model classifier --data korean.csv --quiet {CPU}")).ok().says(&said);
    let label = format!("label --model classifier --input korean.csv --output - --quiet {CPU}");
    let labelled = scene.rehead(&label).ok().says(&said);
    assert_eq!(labelled.stderr.matches("Korean").count(), 1);

    let english = scene.rehead(&format!("{train} --train english.csv --out english")).ok();
    english.check(!english.stderr.contains("language"), "no warning");
    assert_eq!(scene.json("english/metrics.json")["language"]["unknown_languages"], json!([]));
}

#[test]
fn one_column_in_another_language_is_warned_of() {
    let scene = Scene::with_models(&["classifier"]);
    let english = "it was a good film and the actors were very good, so that we stayed to the end";
    let row = |index: usize| {
        let label = ["negative", "positive"][index / 2 % 2];
        format!("{english},{} {index},{english} {index},{label}\n", KOREAN[index % 4]).replace("good, so", "good so")
    };
    scene.write("mixed.csv", format!("first,second,third,label\n{}", (0..24).map(row).collect::<String>()));
    let train = format!("train --model classifier --strategy frozen --quiet {CPU} --text first,second,third");
    let said = ["a part of every text (a whole column?) is in Korean", "which this model's tokenizer does not know"];
    scene.rehead(&format!("{train} --train mixed.csv --out run")).ok().says(&said);
}

#[test]
fn a_data_file_says_what_languages_it_is_in() {
    let scene = Scene::new();
    let rows: String =
        (0..9).map(|row| format!("{} {row},a\nit was a good film number {row},b\n", KOREAN[row % 4])).collect();
    scene.write("mixed.csv", format!("text,label\n{rows}"));
    let report = scene.rehead("inspect mixed.csv --json").ok().json();
    assert_eq!(report["languages"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(
        (&report["languages"][0]["language"], &report["languages"][0]["share"]),
        (&json!("Korean"), &json!(0.5))
    );
    let shown = scene.rehead("inspect mixed.csv").ok();
    assert!(
        shown.stdout_text().contains("language: 50 % of the texts in Korean; models that know it: `klue/roberta-base`")
    );
}
