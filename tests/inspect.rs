//! `rehead inspect` on every kind of model, through the real binary: what it says is what loading finds.

mod support;

use rehead::data::Labels;
use rehead::model::{Classifier, HeadRequest, LoadRequest};
use serde_json::{Value, json};
use support::pictures::half_bright;
use support::python::python;
use support::{Lottery, Scene, csv, sentiment};

/// What is said of a path, which nothing is wrong with.
#[track_caller]
fn inspected(scene: &Scene, path: &str) -> Value {
    let report = scene.rehead("inspect --json").arg(path).ok().json();
    assert_eq!(report["problems"], json!([]), "{path}: {report}");
    let text = scene.rehead("inspect").arg(path).ok();
    text.check(text.stdout_text().ends_with("nothing looks wrong\n"), "nothing to look wrong");
    report
}

#[track_caller]
fn assert_is(report: &Value, family: &str, stages: usize, labels: usize) {
    let count = |key: &str| report[key].as_array().map(Vec::len);
    assert_eq!(report["family"], family, "{report}");
    assert_eq!((count("stages"), count("labels")), (Some(stages), Some(labels)), "{report}");
    assert!(report["parameters"].as_u64() > Some(0) && report["tensors"].as_u64() > Some(0), "{report}");
}

#[test]
fn text_encoders_of_every_family_with_and_without_a_head() {
    let models = [
        ("classifier", "bert", 3, 2),
        ("mean_pooled", "bert", 3, 3),
        ("sharded", "bert", 3, 5),
        ("bare_no_pooler", "bert", 3, 0),
        ("roberta/classifier", "roberta", 3, 2),
        ("roberta/mean_pooled", "roberta", 3, 3),
        ("xlm-roberta/classifier", "xlm-roberta", 3, 3),
        ("camembert/classifier", "camembert", 3, 2),
        ("albert/classifier", "albert", 1, 3),
        ("albert/bare", "albert", 1, 0),
        ("distilbert/classifier", "distilbert", 3, 3),
        ("distilbert/mean_pooled", "distilbert", 4, 2),
        ("distilbert/bare", "distilbert", 3, 0),
        ("electra/classifier", "electra", 3, 3),
        ("electra/bare", "electra", 3, 0),
        ("mpnet/classifier", "mpnet", 3, 3),
        ("mpnet/bare", "mpnet", 3, 0),
        ("deberta/classifier", "deberta", 3, 3),
        ("deberta-v2/classifier", "deberta-v2", 3, 3),
        ("modernbert/classifier", "modernbert", 5, 3),
        ("fnet/classifier", "fnet", 3, 3),
        ("mobilebert/classifier", "mobilebert", 3, 3),
        ("mobilebert/bare", "mobilebert", 3, 0),
        ("xlnet/classifier", "xlnet", 3, 3),
        ("longformer/classifier", "longformer", 3, 3),
        ("nomic_bert/classifier", "nomic_bert", 3, 3),
        ("nomic_bert/on_the_hub", "nomic_bert", 3, 0),
        ("eurobert/first_token", "eurobert", 4, 2),
        ("gte/classifier", "gte", 3, 3),
        ("gte/bare", "gte", 4, 0),
    ];
    let scene = Scene::with_models(&models.map(|(name, ..)| name));
    for (name, family, stages, labels) in models {
        let report = inspected(&scene, name);
        assert_eq!(report["head"], if labels > 0 { "usable" } else { "none" }, "{report}");
        assert_is(&report, family, stages, labels);
        assert_eq!((&report["reads"], &report["image_size"]), (&json!("text"), &Value::Null), "{report}");
        assert!(report["max_length"].as_u64() > Some(0), "{report}");
        let pooling = if name.ends_with("mean_pooled") { "mean" } else { "cls" };
        assert_eq!(report["pooling"], pooling, "{report}");
    }
}

/// The heads of another task are nothing wrong.
#[test]
fn weights_of_other_heads_are_listed_as_unused() {
    let scene = Scene::with_models(&["pretraining"]);
    let report = inspected(&scene, "pretraining");
    let unused = report["unused"].as_array().expect("a list");
    assert!(unused.iter().any(|name| name.as_str().is_some_and(|name| name.starts_with("cls."))), "{report}");
    assert_eq!(report["head"], "none", "{report}");
}

/// Saves a network of random weights with three labels.
fn save_fresh(scene: &Scene, architecture: &str, into: &str) {
    let labels = Labels::from_names(["a", "b", "c"]).expect("labels");
    let head = HeadRequest::New { labels: &labels, pooling: None, dropout: None, seed: 1 };
    let classifier = Classifier::fresh(architecture, 1, &LoadRequest::plain(head)).expect(architecture);
    std::fs::create_dir(scene.path(into)).expect("a directory");
    classifier.save(&scene.path(into)).expect("saved");
}

#[test]
fn networks_for_images_of_every_family_and_weights_by_themselves() {
    let scene = Scene::new();
    let networks = [
        ("resnet18", "resnet", 9),
        ("vgg11", "vgg", 10),
        ("inception_v3", "inception", 16),
        ("vit_tiny_patch16_224", "vit", 13),
        ("tf_efficientnet_b0", "efficientnet", 18),
        ("mobilenetv3_small_050", "mobilenetv3", 14),
    ];
    for (architecture, family, stages) in networks {
        save_fresh(&scene, architecture, architecture);
        let report = inspected(&scene, architecture);
        assert_is(&report, family, stages, 3);
        assert_eq!(report["labels"], json!(["a", "b", "c"]));
        assert_eq!((&report["reads"], &report["max_length"]), (&json!("images"), &Value::Null), "{report}");
        assert!(report["image_size"][0].as_u64() >= Some(224), "{report}");
        assert!(report["model_type"].is_string(), "{report}");
        if family == "resnet" {
            // As torchvision's files are: the names of the tensors say all but the labels.
            std::fs::create_dir(scene.path("folder")).expect("a directory");
            std::fs::copy(scene.path("resnet18/model.safetensors"), scene.path("file.safetensors")).expect("copied");
            std::fs::copy(scene.path("file.safetensors"), scene.path("folder/model.safetensors")).expect("copied");
            for path in ["file.safetensors", "folder"] {
                let report = inspected(&scene, path);
                assert_is(&report, "resnet", 9, 3);
                assert_eq!(report["model_type"], Value::Null);
            }
        }
        scene.remove(architecture);
    }
}

#[test]
fn checkpoints_of_timm_and_transformers() {
    let scene = Scene::new();
    if python("timm", "make_vit.py", [scene.path("made")]).is_none() {
        return;
    }
    for (name, stages) in [("plain", 4), ("timm", 4), ("timm_deit", 4)] {
        let report = inspected(&scene, &format!("made/{name}"));
        assert_is(&report, "vit", stages, report["labels"].as_array().map_or(0, Vec::len));
        assert!(report["labels"].as_array().is_some_and(|labels| labels.len() > 1), "{report}");
        assert_eq!((&report["reads"], &report["pooling"]), (&json!("images"), &json!("cls")), "{report}");
    }
    assert_is(&scene.rehead("inspect made/bare --json").ok().json(), "vit", 4, 0);
    let refused = scene.rehead("inspect made/refused_registers --json").ok().json();
    assert!(refused["problems"][0].as_str().is_some_and(|problem| problem.contains("register tokens")), "{refused}");
}

#[test]
fn a_run_of_every_strategy() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(32, 1)));
    for strategy in ["full", "frozen", "last:1", "gradual", "lora:2", "bitfit"] {
        let words = "train --train train.csv --model bare --epochs 1 --device cpu --threads 1 --precision fp32";
        scene.rehead(&format!("{words} --strategy {strategy} --out {}", strategy.replace(':', ""))).ok();
        let report = inspected(&scene, &strategy.replace(':', ""));
        assert_is(&report, "bert", 4, 2);
        assert_eq!(report["strategy"], strategy, "{report}");
        assert_eq!(report["pooling"], if strategy == "frozen" { "mean" } else { "cls" }, "{report}");
        assert!(report["run"].as_str().is_some_and(|run| run.ends_with("rehead.toml")), "{report}");
    }
}

#[test]
fn what_is_wrong_with_a_model_is_said_and_what_is_none_is_refused() {
    let scene = Scene::with_models(&["classifier", "roberta/classifier", "albert/classifier"]);
    let problem = |path: &str| {
        let report = scene.rehead("inspect --json").arg(path).ok().json();
        report["problems"][0].as_str().unwrap_or_default().to_owned()
    };
    scene.edit_json("classifier/config.json", |config| config["id2label"] = json!({ "0": "one" }));
    assert!(problem("classifier").contains("id2label"));
    let said = scene.rehead("inspect classifier").ok();
    let text = said.stdout_text();
    said.check(text.contains("cannot be used") && !text.contains("give it one"), "a head that cannot be used");
    scene.remove("roberta/classifier/tokenizer.json");
    assert!(problem("roberta/classifier").contains("tokenizer.json"));
    scene.edit_json("albert/classifier/config.json", |config| config["num_hidden_groups"] = json!(2));
    assert!(problem("albert/classifier").contains("num_hidden_groups"));
    scene.edit_json("albert/classifier/config.json", |config| config["model_type"] = json!("no_such_type"));
    assert!(problem("albert/classifier").contains("not supported"));
    scene.remove("albert/classifier/model.safetensors");
    scene.write("albert/classifier/pytorch_model.bin", "");
    assert!(problem("albert/classifier").contains("run code"));

    std::fs::create_dir(scene.path("empty")).expect("a directory");
    scene.rehead("inspect empty").refused().says(&["no model and no image", "empty"]);
    scene.rehead("inspect nowhere").refused().says(&["nowhere"]);
    scene.write("empty/rehead.toml", "");
    scene.rehead("inspect empty").refused().says(&["no model yet", "--resume"]);
}

/// A picture for each path; equal seeds make equal files.
fn pictures(scene: &Scene, files: &[(&str, u64)]) {
    for (file, seed) in files {
        let path = scene.path(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        half_bright(&mut Lottery(*seed), 16, 16, true).save(path).expect("saved");
    }
}

#[test]
fn a_table_of_image_paths_is_inspected_as_images() {
    let scene = Scene::new();
    pictures(&scene, &[("a/1.png", 1), ("a/2.png", 2), ("b/3.png", 3), ("b/copy.png", 1), ("b/cut.png", 4)]);
    let cut = scene.bytes("b/cut.png");
    scene.write("b/cut.png", &cut[..cut.len() / 2]);
    let rows = "path,species\na/1.png,cat\na/2.png,cat\nb/3.png,dog\n";
    scene.write("good.csv", rows);
    scene.write("list.csv", format!("{rows}b/copy.png,dog\nb/cut.png,dog\nb/gone.png,dog\na/1.png,\n,cat\n"));
    for words in ["list.csv --label species", "list.csv --label species --image path"] {
        let said = scene.rehead(&format!("inspect {words}")).ok().shows(&[
            "path [image]: ",
            "cannot be read: b/cut.png: the PNG image is cut short",
            "cannot be read: b/gone.png: ",
            "1 image repeated with another label: `b/copy.png` against `a/1.png`",
            "no label in 1 row",
            "the path of the image is empty",
        ]);
        said.check(!said.stdout_text().contains("text length"), "no lengths of paths");
    }
    let report = scene.rehead("inspect good.csv --json").ok().json();
    assert_eq!((&report["text"], &report["images"]), (&json!(["path"]), &json!(true)), "{report}");
    assert_eq!(report["problems"], json!([]), "{report}");
    // A column of texts goes before one of files.
    scene.write("texts.csv", "text,path,label\nx,a/1.png,c\ny,a/2.png,d\n");
    let report = scene.rehead("inspect texts.csv --json").ok().json();
    assert_eq!((&report["text"], &report["images"]), (&json!(["text"]), &json!(false)), "{report}");
    // The same classes as training gets, from table and options.
    scene.rehead("inspect list.csv --label species --on-empty-label skip").ok().shows(&["`rehead train` gets 6 rows"]);
}

#[test]
fn what_looks_wrong_about_a_folder_of_images_is_said() {
    let scene = Scene::new();
    let named = |class: &str, count: u64, seed: u64| {
        for index in 0..count {
            pictures(&scene, &[(&format!("data/{class}/{index}.png"), seed + index)]);
        }
    };
    for (class, count, seed) in
        [("cat", 4, 10), (" cat", 2, 20), ("Dog", 3, 30), ("dog", 3, 40), ("caf\u{e9}", 2, 50), ("cafe\u{301}", 2, 60)]
    {
        named(class, count, seed);
    }
    named("lone", 1, 70);
    named("unsure", 2, 80);
    pictures(&scene, &[("data/dog/copy.png", 10), ("data/cat/again.png", 11)]);
    let said = scene.rehead("inspect data").ok();
    said.shows(&[
        "  cat  7",
        "labels that look alike are different classes: `dog` 4, `Dog` 3",
        "they differ in Unicode form",
        "white space or invisible characters around the name of the class folder, which is taken off: 2 images",
        "the class `lone` has one row",
        "1 image repeated with another label: `data/dog/copy.png` against `data/cat/0.png`",
        "1 image repeated: `data/cat/again.png` ",
        "the class `unsure` is named as the folder in which `rehead label --sort-into` puts images",
    ]);
    std::fs::create_dir(scene.path("data/empty")).expect("made");
    scene.rehead("inspect data").ok().shows(&["  cat  7", "  lone  1", "the class `empty` has no image", "look alike"]);
    for class in [" cat", "Dog", "cafe\u{301}", "caf\u{e9}", "lone", "unsure", "empty", "dog/copy.png", "cat/again.png"]
    {
        scene.remove(&format!("data/{class}"));
    }
    let said = scene.rehead("inspect data").ok();
    said.check(said.stdout_text().ends_with("nothing looks wrong\n"), "nothing to look wrong");
}

#[test]
fn one_class_is_not_compared_with_itself() {
    let scene = Scene::new();
    scene.write("one.csv", "text,label\na,x\nb,x\nc,x\n");
    let outcome = scene.rehead("inspect one.csv").run();
    outcome.check(!outcome.stdout_text().contains("unequal"), "nothing unequal");
}

/// By its id, as it lies in the hub cache, and without a connection.
#[test]
fn a_model_in_the_hub_cache_is_inspected_by_its_id() {
    let scene = Scene::with_models(&["bare_no_pooler"]);
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let folder = "cache/models--org--tiny";
    for folder in [format!("{folder}/refs"), format!("{folder}/snapshots")] {
        std::fs::create_dir_all(scene.path(folder)).expect("made");
    }
    scene.write(&format!("{folder}/refs/main"), commit);
    std::fs::rename(scene.path("bare_no_pooler"), scene.path(format!("{folder}/snapshots/{commit}"))).expect("moved");
    scene.write(
        &format!("{folder}/snapshots/{commit}/README.md"),
        "---\nlanguage:\n- en\n- ko\nlicense: apache-2.0\n---\n# Tiny\n",
    );
    let inspect = |words: &str| {
        let mut command = scene.rehead(&format!("inspect {words}")).command();
        let output = command.env("HF_HUB_CACHE", scene.path("cache")).output().expect("run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (status, json, errors) = inspect("org/tiny --json");
    assert_eq!(status, Some(0), "{errors}");
    let report: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&report["id"], &report["license"]), (&json!("org/tiny"), &json!("apache-2.0")), "{report}");
    assert_eq!((&report["languages"], &report["tokenizer"]), (&json!(["en", "ko"]), &json!("WordPiece")), "{report}");
    assert!(report["vocabulary"].as_u64() > Some(10), "{report}");
    let new = report["newly_initialised"].as_array().expect("a list");
    assert!(new.contains(&json!("classifier.weight")) && new.contains(&json!("bert.pooler.dense.bias")), "{report}");
    let (_, text, _) = inspect("org/tiny");
    for part in ["org/tiny: a model", "licence       apache-2.0", "tokenizer     WordPiece", "newly initialised"] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let (status, _, errors) = inspect("org/other");
    assert_eq!(status, Some(2), "{errors}");
    assert!(errors.contains("rehead fetch org/other"), "{errors}");
    // A mistyped path to data is not a model's id.
    assert!(!inspect("reviews/train.csv").2.contains("rehead fetch"));
}
