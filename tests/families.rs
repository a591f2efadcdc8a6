//! Families of text encoders beside BERT, through the real binary: every strategy runs, and a run loads in Python as
//! the family's own class with the probabilities that `rehead label` writes, for texts and for pairs.

mod support;

use serde_json::json;
use support::python::python;
use support::{Scene, csv, sentiment};

/// A scene with a model, data of one text column and data of two.
fn scene(model: &str) -> Scene {
    let scene = Scene::with_models(&[model]);
    scene.write("train.csv", csv(&sentiment(48, 1)));
    scene.write("test.csv", csv(&sentiment(16, 2)));
    let pairs = |seed: u64, rows: usize| -> String {
        let rows = sentiment(rows, seed).into_iter().enumerate();
        // Pairs of very unequal lengths, some of them longer than the model's positions.
        let line = |(row, (text, label)): (usize, (String, &str))| {
            format!("{text},{},{label}\n", format!("the film {text} ").repeat(row % 4))
        };
        format!("first,second,label\n{}", rows.map(line).collect::<String>())
    };
    scene.write("pairs.csv", pairs(3, 48));
    scene.write("test_pairs.csv", pairs(4, 16));
    scene
}

const FLAGS: &str = "--device cpu --precision fp32 --threads 1";

fn train(scene: &Scene, model: &str, run: &str, flags: &str) {
    let data = if flags.contains("--text") { "pairs.csv" } else { "train.csv" };
    let words = format!("train --train {data} --model {model} --out {run} --epochs 2 --lr 1e-3 {FLAGS} {flags}");
    scene.rehead(&words).ok();
}

/// What Python is to check, all in one process: to import transformers takes longer than to check a run.
#[derive(Default)]
struct Checks {
    /// The arguments of `check_run.py`, of one check each.
    arguments: Vec<Vec<String>>,
    /// Their runs lie here until they are checked.
    scenes: Vec<Scene>,
}

impl Checks {
    /// Labels the test file with a run, and has every probability checked.
    fn add(&mut self, scene: &Scene, run: &str, text: &str, flags: &[&str]) {
        // In transformers, padding changes what these give; XLNet's pipeline cannot take a batch apart.
        let config = scene.text(&format!("{run}/config.json"));
        let alone = ["fnet", "mobilebert", "xlnet"].iter().any(|family| config.contains(family)).then_some("--alone");
        let data = if text.contains(',') { "test_pairs.csv" } else { "test.csv" };
        let labelled = format!("{run}.csv");
        let label =
            format!("label --model {run} --input {data} --output {labelled} --probabilities --text {text} {FLAGS}");
        scene.rehead(&label).ok();
        let files = [run, data, &labelled].map(|name| scene.path(name).display().to_string());
        let flags = ["--text", text].into_iter().chain(alone).chain(flags.iter().copied()).map(str::to_owned);
        self.arguments.push(files.into_iter().chain(flags).collect());
    }

    fn expect_refusal(&mut self, scene: &Scene, run: &str) {
        self.arguments.push(vec![scene.path(run).display().to_string(), "--expect-refusal".to_owned()]);
    }

    fn keep(&mut self, scene: Scene) {
        self.scenes.push(scene);
    }

    /// Has Python make them.
    fn make(self) {
        let lines = self.arguments.iter().map(|arguments| format!("{}\n", serde_json::json!(arguments)));
        let scene = self.scenes.first().expect("a scene");
        scene.write("checks.jsonl", lines.collect::<String>());
        let list = ["--list".into(), scene.path("checks.jsonl").into_os_string()];
        if let Some(said) = python("transformers", "check_run.py", list) {
            println!("{said}");
        }
    }
}

/// A fixture of every family and tokenizer, and transformers' class of it.
const FAMILIES: &[(&str, &str)] = &[
    ("roberta/classifier", "RobertaForSequenceClassification"),
    ("roberta/word_pieces", "RobertaForSequenceClassification"),
    ("xlm-roberta/classifier", "XLMRobertaForSequenceClassification"),
    ("camembert/classifier", "CamembertForSequenceClassification"),
    ("albert/classifier", "AlbertForSequenceClassification"),
    ("distilbert/classifier", "DistilBertForSequenceClassification"),
    ("electra/classifier", "ElectraForSequenceClassification"),
    ("mpnet/classifier", "MPNetForSequenceClassification"),
    ("deberta/classifier", "DebertaForSequenceClassification"),
    ("deberta-v2/classifier", "DebertaV2ForSequenceClassification"),
    ("deberta-v2/convolution", "DebertaV2ForSequenceClassification"),
    ("modernbert/classifier", "ModernBertForSequenceClassification"),
    ("fnet/classifier", "FNetForSequenceClassification"),
    ("mobilebert/no_pooler", "MobileBertForSequenceClassification"),
    ("xlnet/classifier", "XLNetForSequenceClassification"),
    ("longformer/classifier", "LongformerForSequenceClassification"),
    ("nomic_bert/classifier", "NomicBertForSequenceClassification"),
    ("eurobert/classifier", "EuroBertForSequenceClassification"),
];

/// Classes whose own head is on the mean too.
const WITHOUT_MODULE: [&str; 2] = ["ModernBertForSequenceClassification", "EuroBertForSequenceClassification"];

#[test]
fn a_run_loads_in_python_as_the_familys_own_class() {
    let mut checks = Checks::default();
    for (model, class) in FAMILIES {
        let scene = scene(model);
        train(&scene, model, "run", "--strategy full");
        checks.add(&scene, "run", "text", &["--expect-class", class]);
        train(&scene, model, "pairs", "--strategy full --text first,second");
        checks.add(&scene, "pairs", "first,second", &["--expect-class", class]);
        checks.keep(scene);
    }
    train_layers_of_another_make(&mut checks);
    read_more_of_long_texts(&mut checks);
    checks.make();
}

/// Windows are those of `return_overflowing_tokens`, and what is pooled of them is what `label` writes.
fn read_more_of_long_texts(checks: &mut Checks) {
    let scene = scene("bare");
    let windows = "--long-text windows --stride 1";
    for (run, text, flags) in [
        ("mean", "text", "--max-length 8 --strategy full"),
        ("max", "text", "--max-length 8 --strategy last:1 --window-pooling max"),
        ("pairs", "first,second", "--max-length 24 --strategy full --text first,second"),
    ] {
        train(&scene, "bare", run, &format!("{windows} {flags}"));
        checks.add(&scene, run, text, &[]);
    }
    train(&scene, "bare", "ends", "--strategy full --max-length 8 --long-text head-tail");
    checks.add(&scene, "ends", "text", &[]);
    train(&scene, "bare", "frozen", &format!("{windows} --max-length 8 --strategy frozen"));
    checks.add(&scene, "frozen", "text", &["--trust-remote-code"]);
    checks.keep(scene);
}

#[test]
fn a_mean_pooled_run_loads_with_its_own_module_alone() {
    let mut checks = Checks::default();
    for (model, class) in FAMILIES.iter().filter(|(_, class)| !WITHOUT_MODULE.contains(class)) {
        let scene = scene(model);
        train(&scene, model, "run", "--strategy frozen");
        let class = format!("Rehead{class}");
        checks.add(&scene, "run", "text", &["--trust-remote-code", "--expect-class", &class]);
        checks.expect_refusal(&scene, "run");
        // And is trained further, with the pooling that is asked for.
        train(&scene, "run", "again", "--strategy last:1 --pooling mean");
        checks.add(&scene, "again", "text", &["--trust-remote-code", "--expect-class", &class]);
        checks.keep(scene);
    }
    checks.make();
}

#[test]
fn every_strategy_runs() {
    let mut checks = Checks::default();
    let model = "roberta/bare";
    let scene = scene(model);
    for strategy in ["full", "frozen", "last:1", "last:2", "gradual", "lora:2", "bitfit"] {
        let run = strategy.replace(':', "");
        train(&scene, model, &run, &format!("--strategy {strategy} --pooling cls"));
        let metrics = scene.json(&format!("{run}/metrics.json"));
        assert!(metrics["trainable_parameters"].as_u64() > Some(0), "{strategy}: {metrics}");
        checks.add(&scene, &run, "text", &["--expect-class", "RobertaForSequenceClassification"]);
    }
    checks.keep(scene);
    checks.make();
}

/// What the tokenizer's files allow beyond the positions that the padding leaves is refused; the rest is used to the
/// end.
#[test]
fn texts_are_as_long_as_the_positions_after_the_padding() {
    let model = "roberta/padding_third";
    let scene = scene(model);
    let words =
        |length: u32| format!("train --train train.csv --model {model} --out run {FLAGS} --max-length {length}");
    scene.rehead(&words(33)).refused().says(&["33 tokens are more than the model's 32 positions"]);
    let long =
        |(text, label): (String, &'static str)| (format!("{} {text}", "the film was a story ".repeat(20)), label);
    scene.write("long.csv", csv(&sentiment(16, 5).into_iter().map(long).collect::<Vec<_>>()));
    let words = words(32).replace("train.csv", "long.csv");
    scene.rehead(&format!("{words} --epochs 1")).ok().says(&["longest 32"]);
}

/// All layers of an ALBERT have the same weights: it is one stage.
#[test]
fn layers_that_share_their_weights_are_trained_or_frozen_together() {
    let model = "albert/bare";
    let scene = scene(model);
    let words = |flags: &str| format!("train --train train.csv --model {model} --out run --epochs 1 {FLAGS} {flags}");
    scene.rehead(&words("--strategy last:2")).refused().says(&["one stage (`shared layers`)"]);
    scene.rehead(&words("--strategy lora")).refused().says(&["have no adapters", "full, frozen or bitfit"]);
    scene.rehead(&words("--engine packed")).refused().says(&["only rust-bert supports a `albert`"]);
    scene.rehead(&words("--stages 2")).refused().says(&["its layers share their weights"]);
    let mut checks = Checks::default();
    for strategy in ["last:1", "gradual", "bitfit"] {
        let run = strategy.replace(':', "");
        train(&scene, model, &run, &format!("--strategy {strategy} --pooling cls"));
        checks.add(&scene, &run, "text", &["--expect-class", "AlbertForSequenceClassification"]);
    }
    checks.keep(scene);
    checks.make();
}

/// rust-bert supports only fp32: another precision is not taken silently, and no hint names a flag that nobody gave.
#[test]
fn the_precision_of_rust_bert_is_said() {
    let model = "albert/classifier";
    let scene = scene(model);
    let train = format!("train --train train.csv --model {model} --out run --device cpu --threads 1 --epochs 1");
    let said = ["precision = fp32 (instead of bf16: rust-bert supports only fp32)"];
    scene.rehead(&format!("{train} --precision bf16")).ok().says(&said);
    assert!(scene.text("run/rehead.toml").contains("precision = \"fp32\""), "{}", scene.text("run/rehead.toml"));
    let label = "label --model run --input test.csv --output labelled.csv --device cpu --threads 1 --precision int8";
    let refused = scene.rehead(label).refused();
    refused.check(!refused.stderr.contains("--engine"), "no word of --engine");
}

/// ModernBERT's own head reads the first token or the mean, and EuroBERT's: their own classes load both, without a
/// module.
#[test]
fn a_mean_pooled_modernbert_needs_no_module() {
    let mut checks = Checks::default();
    for (model, pooling, class) in [
        ("modernbert/bare", "mean", WITHOUT_MODULE[0]),
        ("modernbert/on_the_mean", "cls", WITHOUT_MODULE[0]),
        ("eurobert/bare", "mean", WITHOUT_MODULE[1]),
    ] {
        let scene = scene(model);
        for (run, flags) in [
            ("full", "--strategy full"),
            ("frozen", "--strategy frozen"),
            ("last", "--strategy last:1"),
            ("lora", "--strategy lora:2"),
            ("bitfit", "--strategy bitfit"),
        ] {
            // Of EuroBERT what its layers are the first to have: keys that queries share.
            if class == WITHOUT_MODULE[1] && !["full", "lora"].contains(&run) {
                continue;
            }
            train(&scene, model, run, &format!("{flags} --pooling {pooling}"));
            let said = scene.json(&format!("{run}/config.json"))["classifier_pooling"].clone();
            assert_eq!(said, pooling, "{model} {run}");
            checks.add(&scene, run, "text", &["--expect-class", class]);
        }
        // Fewer layers: the list of their kinds is as long.
        train(&scene, model, "short", &format!("--strategy full --stages 2 --pooling {pooling}"));
        checks.add(&scene, "short", "text", &["--expect-class", class]);
        checks.keep(scene);
    }
    checks.make();
}

/// mmBERT's, Ettin's and gte-modernbert's files have the settings of transformers 4: they say what those of transformers
/// 5 say.
#[test]
fn a_modernbert_is_read_from_the_settings_of_transformers_4() {
    let model = "modernbert/classifier";
    let scene = scene(model);
    let file = format!("{model}/config.json");
    let label = |output: &str| {
        let words = format!("label --model {model} --input test.csv --output {output} --probabilities {FLAGS}");
        scene.rehead(&words).ok();
        scene.text(output)
    };
    let set_local = |theta: f64| {
        scene.edit_json(&file, |config| config["rope_parameters"]["sliding_attention"]["rope_theta"] = json!(theta));
    };
    let modern = label("modern.csv");
    // Both kinds of layer have the same angles in mmBERT.
    set_local(160_000.0);
    let alike = label("alike.csv");
    assert_ne!(modern, alike);
    scene.edit_json(&file, |config| {
        let settings = config.as_object_mut().expect("settings");
        settings.retain(|key, _| !["rope_parameters", "layer_types"].contains(&key.as_str()));
        settings.append(
            json!({
                "position_embedding_type": "sans_pos", "global_attn_every_n_layers": 3, "global_rope_theta": 160000,
                "local_rope_theta": 10000.0, "layer_norm_eps": 1e-5, "norm_eps": 1e-5, "local_attention": 8,
                "reference_compile": null, "repad_logits_with_grad": false, "deterministic_flash_attn": false,
                "sparse_prediction": false, "sparse_pred_ignore_index": -100, "decoder_bias": true,
                "initializer_cutoff_factor": 2.0, "gradient_checkpointing": false, "torch_dtype": "float32",
            })
            .as_object_mut()
            .expect("settings"),
        );
    });
    assert_eq!(label("old.csv"), modern);
    scene.edit_json(&file, |config| config["local_rope_theta"] = json!(160_000));
    assert_eq!(label("old_alike.csv"), alike);
}

/// Settings of a ModernBERT that are not computed are refused by name, and impossible ones too.
#[test]
fn what_of_a_modernbert_is_not_computed_is_refused_by_name() {
    let model = "modernbert/bare";
    let thetas = |kind: &str, theta: f64| json!({ "full_attention": { "rope_type": kind, "rope_theta": theta } });
    for (key, value) in [
        ("mlp_dropout", json!(0.1)),
        ("attention_dropout", json!(0.1)),
        ("classifier_activation", json!("silu")),
        ("classifier_pooling", json!("max")),
        ("local_attention", json!(-4)),
        ("layer_types", json!(["full_attention"])),
        ("layer_types", json!(["full_attention", "chunked_attention", "full_attention", "full_attention"])),
        ("rope_parameters", thetas("yarn", 1e4)),
        ("rope_parameters", thetas("default", 0.0)),
        ("rope_scaling", json!({ "rope_type": "linear", "factor": 2.0 })),
    ] {
        let scene = scene(model);
        scene.edit_json(&format!("{model}/config.json"), |config| config[key] = value.clone());
        let words = format!("train --train train.csv --model {model} --out run {FLAGS}");
        scene.rehead(&words).refused().says(&[&format!("`{key}`")]);
    }
}

/// A nomic_bert as the hub has it is saved as transformers' own class reads it, whatever was trained, and a GTE with the
/// network in Python beside it.
#[test]
fn what_the_hub_has_in_another_layout_becomes_transformers_own() {
    let mut checks = Checks::default();
    for (model, run, flags, class) in [
        ("gte/classifier", "first", "--strategy full", "GteForSequenceClassification"),
        ("gte/classifier", "mean", "--strategy frozen", "ReheadGteForSequenceClassification"),
        ("gte/bare", "short", "--strategy bitfit --pooling cls --stages 3", "GteForSequenceClassification"),
    ] {
        let scene = scene(model);
        let pairs = if run == "first" { "first,second" } else { "text" };
        train(&scene, model, run, &format!("{flags}{}", if run == "first" { " --text first,second" } else { "" }));
        checks.add(&scene, run, pairs, &["--trust-remote-code", "--expect-class", class]);
        let card = scene.text(&format!("{run}/README.md"));
        assert!(card.contains("trust_remote_code=True"), "{card}");
        // And is trained further.
        if run == "mean" {
            let words = format!("train --train train.csv --model {run} --out again --epochs 1 {FLAGS}");
            scene.rehead(&words).ok().says(&["trust_remote_code=True"]);
        }
        checks.keep(scene);
    }
    let model = "nomic_bert/on_the_hub";
    let scene = scene(model);
    for (run, flags) in
        [("last", "--strategy last:1 --pooling cls"), ("short", "--strategy lora:2 --stages 2 --pooling cls")]
    {
        train(&scene, model, run, flags);
        checks.add(&scene, run, "text", &["--expect-class", "NomicBertForSequenceClassification"]);
    }
    let config = scene.json("last/config.json");
    assert_eq!((&config["hidden_size"], &config["max_position_embeddings"]), (&json!(16), &json!(32)), "{config}");
    assert_eq!(config.get("n_embd"), None, "{config}");
    let label = |precision: &str| {
        let flags = FLAGS.replace("fp32", precision);
        scene.rehead(&format!("label --model last --input test.csv --output {precision}.csv {flags}")).ok();
    };
    label("bf16");
    label("int8");
    checks.keep(scene);
    checks.make();
}

/// Settings of a DeBERTa that are not computed are refused by name, and impossible ones too.
#[test]
fn what_of_a_deberta_is_not_computed_is_refused_by_name() {
    let model = "deberta-v2/bare";
    for (key, value) in [
        ("conv_kernel_size", json!(2)),
        ("pooler_dropout", json!(0.1)),
        ("pooler_hidden_act", json!("tanh")),
        ("pooler_hidden_size", json!(8)),
        ("attention_head_size", json!(4)),
        ("relative_attention", json!(false)),
        ("pos_att_type", json!("c2p|p2p")),
        ("pos_att_type", json!([])),
        ("norm_rel_ebd", json!("batch_norm")),
        ("position_buckets", json!(2)),
        ("max_relative_positions", json!(-1.5)),
        ("embedding_size", json!(0)),
    ] {
        let scene = scene(model);
        scene.edit_json(&format!("{model}/config.json"), |config| config[key] = value.clone());
        let words = format!("train --train train.csv --model {model} --out run {FLAGS}");
        scene.rehead(&words).refused().says(&[&format!("`{key}`")]);
    }
}

/// What BERT's layers can, layers and attention of another make can too.
fn train_layers_of_another_make(checks: &mut Checks) {
    for (model, class) in [
        ("deberta/bare", "DebertaForSequenceClassification"),
        ("longformer/bare", "LongformerForSequenceClassification"),
        ("mobilebert/bare", "MobileBertForSequenceClassification"),
        ("fnet/bare", "FNetForSequenceClassification"),
        ("xlnet/bare", "XLNetForSequenceClassification"),
    ] {
        let scene = scene(model);
        for (run, flags) in [("lora", "--strategy lora:2 --stages 2"), ("bitfit", "--strategy bitfit")] {
            train(&scene, model, run, &format!("{flags} --pooling cls"));
            checks.add(&scene, run, "text", &["--expect-class", class]);
        }
        for precision in ["bf16", "int8"] {
            let flags = FLAGS.replace("fp32", precision);
            scene.rehead(&format!("label --model lora --input test.csv --output {precision}.csv {flags}")).ok();
        }
        checks.keep(scene);
    }
}

/// The same of the first DeBERTa, which has less.
#[test]
fn what_of_the_first_deberta_is_not_computed_is_refused_by_name() {
    let model = "deberta/bare";
    for (key, value) in [
        ("talking_head", json!(true)),
        ("share_att_key", json!(true)),
        ("position_buckets", json!(8)),
        ("conv_kernel_size", json!(3)),
        ("norm_rel_ebd", json!("layer_norm")),
        ("pos_att_type", json!("c2p|c2p")),
        ("relative_attention", json!(false)),
    ] {
        let scene = scene(model);
        scene.edit_json(&format!("{model}/config.json"), |config| config[key] = value.clone());
        let words = format!("train --train train.csv --model {model} --out run {FLAGS}");
        scene.rehead(&words).refused().says(&[&format!("`{key}`")]);
    }
}

/// The same of a MobileBERT, an FNet and a Longformer.
#[test]
fn what_of_other_families_is_not_computed_is_refused_by_name() {
    for (model, key, value) in [
        ("mobilebert/bare", "use_bottleneck", json!(false)),
        ("mobilebert/bare", "key_query_shared_bottleneck", json!(false)),
        ("mobilebert/bare", "use_bottleneck_attention", json!(true)),
        ("mobilebert/bare", "normalization_type", json!("layer_norm")),
        ("mobilebert/bare", "intra_bottleneck_size", json!(7)),
        ("mobilebert/bare", "num_feedforward_networks", json!(0)),
        ("xlnet/bare", "attn_type", json!("uni")),
        ("xlnet/bare", "summary_type", json!("first")),
        ("xlnet/bare", "summary_activation", json!(null)),
        ("xlnet/bare", "bi_data", json!(true)),
        ("xlnet/bare", "d_head", json!(5)),
        ("fnet/bare", "use_tpu_fourier_optimizations", json!(true)),
        ("longformer/bare", "attention_window", json!(5)),
        ("longformer/bare", "attention_window", json!([4])),
    ] {
        let scene = scene(model);
        scene.edit_json(&format!("{model}/config.json"), |config| config[key] = value.clone());
        let words = format!("train --train train.csv --model {model} --out run {FLAGS}");
        scene.rehead(&words).refused().says(&[&format!("`{key}`")]);
    }
}

/// Where DistilBERT's own names and the usual ones are both given, transformers reads the usual ones.
#[test]
fn settings_of_a_distilbert_by_their_usual_names() {
    let model = "distilbert/classifier";
    let scene = scene(model);
    let label = |output: &str| {
        let words = format!("label --model {model} --input test.csv --output {output} --probabilities {FLAGS}");
        scene.rehead(&words).ok();
        scene.text(output)
    };
    let before = label("before.csv");
    scene.edit_json(&format!("{model}/config.json"), |config| {
        for (usual, own) in
            [("hidden_size", "dim"), ("num_attention_heads", "n_heads"), ("num_hidden_layers", "n_layers")]
        {
            config[usual] = config[own].take();
            config[own] = json!(7);
        }
    });
    assert_eq!(label("after.csv"), before);
    train(&scene, model, "short", "--strategy full --stages 2");
    let mut checks = Checks::default();
    checks.add(&scene, "short", "text", &["--expect-class", "DistilBertForSequenceClassification"]);
    checks.keep(scene);
    checks.make();
}

/// An MPNet whose tokenizer is a vocabulary alone has its own special tokens, and other kinds of distance than
/// transformers reads are refused.
#[test]
fn an_mpnet_is_read_from_its_vocabulary_alone() {
    let model = "mpnet/classifier";
    let scene = scene(model);
    let label = |output: &str| {
        let words = format!("label --model {model} --input test.csv --output {output} --probabilities {FLAGS}");
        scene.rehead(&words).ok();
        scene.text(output)
    };
    let before = label("before.csv");
    let tokenizer = scene.json(&format!("{model}/tokenizer.json"));
    let vocabulary = tokenizer["model"]["vocab"].as_object().expect("pieces");
    let mut pieces: Vec<(&String, u64)> =
        vocabulary.iter().map(|(piece, id)| (piece, id.as_u64().expect("an id"))).collect();
    pieces.sort_by_key(|(_, id)| *id);
    scene
        .write(&format!("{model}/vocab.txt"), pieces.iter().map(|(piece, _)| format!("{piece}\n")).collect::<String>());
    scene.remove(&format!("{model}/tokenizer.json"));
    assert_eq!(label("after.csv"), before);

    scene.edit_json(&format!("{model}/config.json"), |config| config["relative_attention_num_buckets"] = json!(16));
    let words = format!("label --model {model} --input test.csv --output -");
    scene.rehead(&words).refused().says(&["`relative_attention_num_buckets`", "32 are supported"]);
}
