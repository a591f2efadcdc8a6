//! What cannot be used is refused: exit status 2, one message that says where the fault is, a hint, and the directory
//! as it was. Tables of cases: what is wrong with the scene, the command, and what the message must say.

mod support;

use std::collections::HashMap;
use std::io::Write;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use support::{Call, Scene, csv, sentiment};

type Case<'a> = (&'a str, fn(&Scene), &'a str, &'a [&'a str]);

const TRAIN: &str = "train --train train.csv --valid valid.csv --model bare --threads 1 --out run";
const JSONL: &str = "train --train a.jsonl --model bare --out run";
const LABEL: &str = "label --input texts.csv --model classifier --threads 1 --output out.csv";
const EVALUATE: &str = "evaluate --data test.csv --model classifier --threads 1 --out results";

/// Everything in order.
fn scene() -> Scene {
    let scene = Scene::with_models(&["bare", "classifier"]);
    scene.write("train.csv", csv(&sentiment(24, 1)));
    scene.write("valid.csv", csv(&sentiment(8, 2)));
    scene.write("test.csv", csv(&sentiment(8, 3)));
    scene.write("texts.csv", "id,text\n1,good film\n2,bad film\n");
    scene
}

/// [`refuse_all`] of a table. (A macro, so that the table keeps its lines.)
macro_rules! refuse {
    ($($cases:tt)*) => { refuse_all(&[$($cases)*]) };
}

/// Runs every case in a scene of its own; tells of all that went wrong.
fn refuse_all(cases: &[Case]) {
    let mut failures = String::new();
    for (name, spoil, words, says) in cases {
        let scene = scene();
        spoil(&scene);
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&scene, scene.rehead(words), says)));
        if let Err(panic) = outcome {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            failures += &format!("\n##### {name}\n{text}\n");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn check(scene: &Scene, call: Call, says: &[&str]) {
    let before = scene.everything();
    let outcome = call.refused().says(says).says(&["hint: "]);
    outcome.check(scene.everything() == before, "nothing new and nothing changed");
}

/// The same with a command that is right, to show that the cases are wrong in the one thing only.
#[test]
fn the_scene_itself_is_fine() {
    let scene = scene();
    scene.rehead(TRAIN).arg("--epochs").arg("1").ok();
    scene.rehead(LABEL).ok();
    scene.rehead(EVALUATE).ok();
    for name in ["run/metrics.json", "out.csv", "results/metrics.json"] {
        assert!(scene.exists(name), "{name}");
    }
}

/// Memory is bounded: a row of a million cells takes tens of megabytes, and there may be many.
#[test]
fn rows_without_an_end() {
    refuse! {
        ("columns", |s| s.write("train.csv", format!("text,label{}\na,b\n", ",".repeat(100_000))), TRAIN,
            &["train.csv", "more than 100000 columns"]),
        ("fields", |s| s.write("train.csv", format!("text,label\na,b{}\n", ",".repeat(100_000))), TRAIN,
            &["train.csv", "line 2", "more than 100000 columns"]),
        ("keys", |s| {
            let keys: Vec<String> = (0..100_001).map(|key| format!("\"k{key}\":1")).collect();
            s.write("a.jsonl", format!("{{\"text\": \"a\", \"label\": \"b\", {}}}\n", keys.join(",")));
        }, JSONL, &["a.jsonl", "row 1", "more than 100000 keys"]),
        ("values", |s| {
            s.write("a.jsonl", format!("{{\"text\": \"a\", \"label\": \"b\", \"x\": [0{}]}}\n", ",0".repeat(1_000_000)));
        }, JSONL, &["a.jsonl", "row 1", "more than 1000000 values"]),
    }
}

#[test]
fn files_that_are_no_tables() {
    refuse! {
        ("absent", |s| s.remove("train.csv"), TRAIN, &["train.csv", "no such file"]),
        ("a folder", |s| { s.remove("train.csv"); s.copy("bare", "train.csv") }, TRAIN, &["train.csv", "directory"]),
        ("empty", |s| s.write("train.csv", ""), TRAIN, &["train.csv: the file is empty"]),
        ("only a byte-order mark", |s| s.write("train.csv", "\u{feff}"), TRAIN, &["train.csv: the file is empty"]),
        ("header only", |s| s.write("train.csv", "text,label\n"), TRAIN, &["train.csv", "no rows"]),
        ("empty to label", |s| s.write("texts.csv", ""), LABEL, &["texts.csv: the file is empty"]),
        ("empty to measure on", |s| s.write("test.csv", "text,label\n"), EVALUATE, &["test.csv", "no rows"]),
        ("Parquet", |s| s.write("train.csv", b"PAR1\x15\x04"), TRAIN, &["train.csv", "Parquet"]),
        ("torn gzip", torn_gzip,
            "train --train torn.csv.gz --model bare --out run", &["torn.csv.gz", "damaged or cut short"]),
        ("gzip by name alone", |s| s.copy("train.csv", "a.csv.gz"),
            "train --train a.csv.gz --model bare --out run", &["a.csv.gz", "compressed"]),
        ("a JSON array of numbers", |s| s.write("a.jsonl", "[\n1, 2]"),
            JSONL, &["a.jsonl: row 1 (line 2): not a JSON object", "each element of the array must be an object"]),
        ("a JSON array cut short", |s| s.write("a.jsonl", "[{\"text\": \"a\", \"label\": \"x\"},\n{\"text\""),
            JSONL, &["a.jsonl: row 2 (line 2): the array is not closed: the file is cut short"]),
        ("a JSON array with a fault", |s| s.write("a.jsonl", "[{\"text\": \"a\", \"label\": \"x\"}\n{}]"),
            JSONL, &["a.jsonl: row 2 (line 2): the array does not continue with a comma and an object"]),
        ("more than a JSON array", |s| s.write("a.jsonl", "[{\"text\": \"a\", \"label\": \"x\"}]\n7"),
            JSONL, &["a.jsonl: row 2 (line 2): something follows the array"]),
        ("lines without labels", |s| s.write("a.txt", "good film\n"),
            "train --train a.txt --model bare --out run", &["a.txt", "no labels"]),
        ("a text column without name", |s| s.write("train.csv", ",label\na,x\nb,y\n"),
            TRAIN, &["train.csv: line 1: ", "no name"]),
        ("two columns of one name", |s| s.write("train.csv", "text,label,text\na,b,c\n"),
            TRAIN, &["train.csv: line 1", "`text`"]),
    }
}

/// A good row and this one.
fn jsonl(scene: &Scene, second: &str) {
    scene.write("a.jsonl", format!("{{\"text\":\"a\",\"label\":\"x\"}}\n{second}"));
}

fn torn_gzip(scene: &Scene) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&scene.bytes("train.csv")).unwrap();
    let packed = encoder.finish().unwrap();
    scene.write("torn.csv.gz", &packed[..packed.len() - 12]);
}

#[test]
fn rows_that_cannot_be_used() {
    refuse! {
        ("ragged", |s| s.write("train.csv", "text,label\na,x\nb,y\nc,x,z\n"),
            TRAIN, &["train.csv: row 3 (line 4): 3 fields where the header has 2"]),
        ("short", |s| s.write("train.csv", "text,label\na,x\nb\n"),
            TRAIN, &["train.csv: row 2 (line 3): 1 field where"]),
        ("after a quoted line break", |s| s.write("train.csv", "text,label\n\"a\nb\",x\nb\n"),
            TRAIN, &["train.csv: row 2 (line 4)"]),
        ("invalid UTF-8", |s| s.write("train.csv", b"text,label\n\xC3\xA9,x\ncaf\xE9,y\n"),
            TRAIN, &["train.csv: row 2 (line 3): column `text`: ", "UTF-8"]),
        ("a NUL byte", |s| s.write("train.csv", "text,label\na,x\nb\0,y\n"),
            TRAIN, &["train.csv: row 2 (line 3): column `text`: ", "NUL"]),
        ("an open quote", |s| s.write("train.csv", "text,label\na,x\n\"b,y\n"),
            TRAIN, &["train.csv: row 2 (line 3): ", "not closed"]),
        ("empty label", |s| s.write("train.csv", "text,label\na,x\nb, \nc,y\n"),
            TRAIN, &["train.csv: column `label`: 1 of 3 labels is empty: row 2 (the first on line 3)"]),
        ("one class", |s| s.write("train.csv", "text,label\na,x\nb,x\n"),
            TRAIN, &["train.csv: column `label`: every row has the label `x`"]),
        ("JSON torn", |s| jsonl(s, "{\"text\":\n"),
            JSONL, &["a.jsonl: row 2 (line 2): "]),
        ("JSON without label", |s| jsonl(s, "{\"text\":\"b\"}\n"),
            JSONL, &["a.jsonl: column `label`: 1 of ", " labels is missing: row 2 (the first on line 2)"]),
        ("JSON number for text", |s| jsonl(s, "{\"text\":[1],\"label\":\"y\"}\n"),
            JSONL, &["a.jsonl: row 2 (line 2): column `text`: the text is an array"]),
        ("ragged to label", |s| s.write("texts.csv", "id,text\n1,a\n2\n"),
            LABEL, &["texts.csv: row 2 (line 3): 1 field where"]),
        ("invalid UTF-8 to label", |s| s.write("texts.csv", b"id,text\n1,caf\xE9 \xC3\xA9\n"),
            LABEL, &["texts.csv: row 1 (line 2): column `text`: ", "UTF-8"]),
        ("ragged to measure on", |s| s.write("test.csv", "text,label\na,positive\nb\n"),
            EVALUATE, &["test.csv: row 2 (line 3)"]),
        ("no row to hold out", |s| s.write("train.csv", "text,label\na,x\nb,y\n"),
            "train --train train.csv --model bare --out run", &["valid-fraction", "hint: "]),
    }
}

#[test]
fn columns_that_are_not_there() {
    refuse! {
        ("text misspelt", |_| {}, &format!("{TRAIN} --text texxt"), &["train.csv", "`texxt`", "`text`"]),
        ("label misspelt", |_| {}, &format!("{TRAIN} --label lable"), &["train.csv", "`lable`", "`label`"]),
        ("one of two misspelt", |_| {}, &format!("{TRAIN} --text text,tetx"), &["train.csv", "`tetx`"]),
        ("text and label the same", |_| {},
            &format!("{TRAIN} --text label --label label"), &["train.csv: column `label`: the same column"]),
        ("missing in the validation file", |s| s.write("valid.csv", "txt,label\na,positive\n"),
            TRAIN, &["valid.csv", "`text`"]),
        ("no usual name", |s| s.write("train.csv", "a,b\n1,2\n3,4\n"), TRAIN, &["train.csv", "--label"]),
        ("to label", |_| {}, &format!("{LABEL} --text body"), &["texts.csv", "`body`"]),
        ("to measure on", |_| {}, &format!("{EVALUATE} --label stars"), &["test.csv", "`stars`"]),
        ("labelled already", |s| s.write("texts.csv", "text,predicted_label\na,b\n"),
            LABEL, &["texts.csv", "column `predicted_label`"]),
        ("labelled in a later row", |s| s.write("a.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\",\"confidence\":1}\n"),
            "label --input a.jsonl --model classifier --output out.jsonl",
            &["a.jsonl: column `confidence`"]),
    }
}

#[test]
fn labels_that_training_never_saw() {
    refuse! {
        ("in the validation file", |s| s.write("valid.csv", "text,label\na,positive\nb,positiv\n"),
            TRAIN, &["valid.csv: row 2 (line 3): column `label`: the label `positiv` is unknown", "`positive`"]),
        ("in the test file", |s| s.write("test.csv", "text,label\na,neutral\n"),
            &format!("{TRAIN} --test test.csv"),
            &["test.csv: row 1 (line 2): column `label`: the label `neutral` is unknown"]),
        ("in the file to measure on", |s| s.write("test.csv", "text,label\na,neutral\n"),
            EVALUATE, &["test.csv: row 1 (line 2): column `label`: "]),
    }
}

#[test]
fn outputs_that_cannot_be_written() {
    refuse! {
        ("not empty", |s| s.copy("bare", "run"), TRAIN, &["run: ", "not empty"]),
        ("a file", |s| s.write("run", "x"), TRAIN, &["run: "]),
        ("below a file", |_| {}, &TRAIN.replace("--out run", "--out train.csv/run"), &["train.csv/run: "]),
        ("in /proc", |_| {}, &TRAIN.replace("--out run", "--out /proc/rehead/run"), &["/proc/rehead/run: "]),
        ("results below a file", |_| {}, &EVALUATE.replace("--out results", "--out test.csv/x"), &["test.csv/x: "]),
        ("results not empty", |s| s.copy("bare", "results"), EVALUATE, &["results: ", "not empty"]),
        ("labels below a file", |_| {}, &LABEL.replace("out.csv", "texts.csv/out.csv"), &["texts.csv/out"]),
        ("labels in no folder", |_| {}, &LABEL.replace("out.csv", "absent/out.csv"), &["absent/out"]),
        ("a name too long", |_| {}, &LABEL.replace("out.csv", &"x".repeat(250)), &["name"]),
        ("results in a file's place", |_| {},
            &EVALUATE.replace("--out results", "--out test.csv"), &["test.csv: --out needs a directory"]),
        ("a comparison in another's folder", |_| {},
            "compare --train train.csv --model bare --seeds 1 --out classifier", &["classifier: ", "no comparison"]),
        ("into a device, resumed", |_| {},
            &format!("{} --resume", LABEL.replace("out.csv", "/dev/null")), &["/dev/null: ", "resume"]),
        ("labels over the input", |_| {}, &LABEL.replace("out.csv", "texts.csv"), &["texts.csv: ", "input"]),
        ("labels over the input by another name", |_| {},
            &LABEL.replace("out.csv", "bare/../texts.csv"), &["texts.csv: ", "input"]),
        ("labels as text", |_| {}, &LABEL.replace("out.csv", "out.txt"), &["out.txt: "]),
        ("labels compressed", |_| {}, &LABEL.replace("out.csv", "out.csv.gz"), &["out.csv.gz: "]),
        ("nothing to resume", |s| s.write("out.csv", "x"),
            &format!("{LABEL} --resume"), &["out.csv: ", "nothing to resume"]),
        ("no run to resume", |_| {}, "train --resume --out run", &["run: no such run"]),
    }
}

/// Rewrites a model's weights.
fn rewrite(scene: &Scene, model: &str, change: impl FnOnce(&mut Stored)) {
    let file = format!("{model}/model.safetensors");
    let bytes = scene.bytes(&file);
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let keep = |view: TensorView| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut stored: Stored = read.tensors().into_iter().map(|(name, view)| (name, keep(view))).collect();
    change(&mut stored);
    let views =
        stored.iter().map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    scene.write(&file, safetensors::serialize(views, None).unwrap());
}

type Tensor = (Dtype, Vec<usize>, Vec<u8>);
type Stored = HashMap<String, Tensor>;

const QUERY: &str = "encoder.layer.1.attention.self.query.weight";

/// Changes one tensor of the backbone.
fn query(scene: &Scene, change: fn(&mut Tensor)) {
    rewrite(scene, "bare", |tensors| change(tensors.get_mut(QUERY).unwrap()));
}

/// A backbone's tensor again, under another name.
fn again(scene: &Scene, tensor: &str, name: &str) {
    rewrite(scene, "bare", |tensors| {
        tensors.insert(name.to_owned(), tensors[tensor].clone());
    });
}

/// A classifier's head for another number of classes than two.
fn head(scene: &Scene, classes: usize) {
    rewrite(scene, "classifier", |tensors| {
        for name in ["classifier.weight", "classifier.bias"] {
            let (_, shape, data) = tensors.get_mut(name).unwrap();
            let one = data[..data.len() / 2].to_vec();
            (shape[0], *data) = (classes, one.repeat(classes));
        }
    });
}

/// An index of weights in place of the weights.
fn index(scene: &Scene, map: &str) {
    scene.remove("bare/model.safetensors");
    scene.write("bare/model.safetensors.index.json", format!("{{\"weight_map\":{map}}}"));
}

/// Cuts a model's weights to so many bytes.
fn cut(scene: &Scene, file: &str, length: usize) {
    let bytes = scene.bytes(file);
    scene.write(file, &bytes[..length]);
}

/// A safetensors file that says its header is so long, and then holds this.
fn head_of(scene: &Scene, length: u64, rest: &[u8]) {
    scene.write("bare/model.safetensors", [&length.to_le_bytes(), rest].concat());
}

/// A safetensors file with this header, and `data` bytes after it.
fn forge(scene: &Scene, header: &str, data: usize) {
    head_of(scene, header.len() as u64, &[header.as_bytes(), &vec![0; data]].concat());
}

/// The header of one tensor, and of two with two numbers each.
fn one(dtype: &str, shape: &str, offsets: &str) -> String {
    format!("{{\"a\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
}

fn two(first: &str, second: &str) -> String {
    let (first, second) = (one("F32", "[2]", first), one("F32", "[2]", second).replace("\"a\"", "\"b\""));
    format!("{},{}", first.strip_suffix('}').unwrap(), second.strip_prefix('{').unwrap())
}

#[test]
fn weights_that_are_broken_or_hostile() {
    let file: &[&str] = &["bare/model.safetensors: ", "not a valid safetensors file"];
    refuse! {
        ("empty", |s| s.write("bare/model.safetensors", ""), TRAIN, &["bare/model.safetensors: "]),
        ("seven bytes", |s| s.write("bare/model.safetensors", "1234567"), TRAIN, file),
        ("header beyond everything", |s| s.write("bare/model.safetensors", [0xFF; 64]), TRAIN, file),
        ("header of a gigabyte", |s| head_of(s, 1 << 30, b"{}"), TRAIN, file),
        ("header beyond the file", |s| head_of(s, 100, b"{}"), TRAIN, file),
        ("no JSON", |s| forge(s, "{{{{", 0), TRAIN, file),
        ("deep JSON", |s| forge(s, &"[".repeat(100_000), 0), TRAIN, file),
        ("no UTF-8", |s| head_of(s, 2, b"\xFF\xFE"), TRAIN, file),
        ("overlapping tensors", |s| forge(s, &two("[0,8]", "[4,12]"), 12), TRAIN, file),
        ("a hole between tensors", |s| forge(s, &two("[0,8]", "[12,20]"), 20), TRAIN, file),
        ("offsets backwards", |s| forge(s, &one("F32", "[1]", "[4,0]"), 4), TRAIN, file),
        ("offsets beyond the file", |s| forge(s, &one("F32", "[4]", "[0,16]"), 4), TRAIN, file),
        ("a shape that overflows", |s| forge(s, &one("F32", "[9223372036854775807,9223372036854775807,4]", "[0,4]"), 4),
            TRAIN, file),
        ("an unknown type", |s| forge(s, &one("F33", "[1]", "[0,4]"), 4), TRAIN, file),
        ("a key twice", |s| forge(s, &two("[0,8]", "[8,16]").replace("\"b\"", "\"a\""), 16), TRAIN, file),
        ("a pointer of Git LFS", |s| s.write("bare/model.safetensors", "version https://git-lfs.github.com/spec/v1\n"),
            TRAIN, &["bare/model.safetensors: ", "git lfs pull"]),
        ("no tensor", |s| forge(s, "{}", 0), TRAIN, &["bare", "embeddings.word_embeddings.weight"]),
        ("truncated", |s| cut(s, "bare/model.safetensors", 40_000), TRAIN, file),
        ("truncated, for labelling", |s| cut(s, "classifier/model.safetensors", 1000),
            LABEL, &["classifier/model.safetensors: "]),
        ("pickled", |s| { s.remove("bare/model.safetensors"); s.write("bare/pytorch_model.bin", "PK") },
            TRAIN, &["bare/pytorch_model.bin", "pickled", "rehead convert bare"]),
        ("none", |s| s.remove("bare/model.safetensors"), TRAIN, &["bare", "model.safetensors"]),
        ("an index that leaves the folder", |s| index(s, r#"{"a":"../x.safetensors"}"#),
            TRAIN, &["model.safetensors.index.json", "`a`"]),
        ("an index without its part", |s| index(s, r#"{"a":"x.safetensors"}"#), TRAIN, &["bare/x.safetensors"]),
        ("an index of nothing", |s| index(s, "{}"), TRAIN, &["bare"]),
    }
}

#[test]
fn tensors_that_do_not_fit() {
    refuse! {
        ("missing", |s| rewrite(s, "bare", |t| { t.remove(QUERY); }), TRAIN, &["bare", QUERY, "lacks"]),
        ("missing head's bias", |s| rewrite(s, "classifier", |t| { t.remove("classifier.bias"); }),
            LABEL, &["classifier", "`classifier.bias`"]),
        ("missing pooler", |s| rewrite(s, "classifier", |t| t.retain(|name, _| !name.contains("pooler"))),
            LABEL, &["bert.pooler.dense.weight"]),
        ("half a pooler", |s| rewrite(s, "bare", |t| { t.remove("pooler.dense.bias"); }),
            TRAIN, &["pooler.dense.bias"]),
        ("a layer too many", |s| again(s, QUERY, "encoder.layer.3.attention.self.query.weight"),
            TRAIN, &["bare", "encoder.layer.3.attention.self.query.weight"]),
        ("a layer too few", |s| s.edit_json("bare/config.json", |c| c["num_hidden_layers"] = json!(4)),
            TRAIN, &["bare", "encoder.layer.3."]),
        ("a tensor of nobody's", |s| again(s, QUERY, "adapter.weight"), TRAIN,
            &["bare", "`adapter.weight`", "no place"]),
        ("another shape", |s| query(s, |q| q.1 = vec![8, 32]),
            TRAIN, &["bare/model.safetensors", QUERY, "[8, 32]", "[16, 16]"]),
        ("another number of elements", |s| query(s, |q| { q.1 = vec![8, 16]; q.2.truncate(512); }),
            TRAIN, &[QUERY, "[8, 16]", "[16, 16]"]),
        ("no dimension", |s| query(s, |q| { q.1 = vec![]; q.2.truncate(4); }),
            TRAIN, &[QUERY, "[]"]),
        ("whole numbers", |s| query(s, |q| q.0 = Dtype::I32),
            TRAIN, &["bare/model.safetensors", QUERY, "I32"]),
        ("bytes", |s| query(s, |q| { q.0 = Dtype::U8; q.2.truncate(256); }),
            TRAIN, &[QUERY, "U8"]),
        ("no numbers", |s| query(s, |q| q.2[..4].copy_from_slice(&f32::NAN.to_le_bytes())),
            TRAIN, &["bare/model.safetensors", QUERY, "not finite"]),
        ("infinite", |s| query(s, |q| q.2[4..8].copy_from_slice(&f32::INFINITY.to_le_bytes())),
            TRAIN, &["bare/model.safetensors", QUERY, "not finite"]),
        ("the old name beside the new", |s| again(s, "embeddings.LayerNorm.weight", "embeddings.LayerNorm.gamma"),
            TRAIN, &["bare/model.safetensors", "embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"]),
        ("a head of three for two names", |s| head(s, 3), LABEL, &["classifier/config.json", "id2label"]),
        ("no head", |_| {},
            &LABEL.replace("--model classifier", "--model bare"), &["bare", "no classification head", "rehead train"]),
        ("no head to measure", |_| {},
            &EVALUATE.replace("--model classifier", "--model bare"), &["bare", "no classification head"]),
        ("a head of one", |s| head(s, 1), LABEL, &["classifier/config.json"]),
    }
}

#[test]
fn model_directories_that_cannot_be_used() {
    fn config(scene: &Scene, key: &str, value: serde_json::Value) {
        scene.edit_json("bare/config.json", |config| config[key] = value);
    }
    fn names(scene: &Scene, map: serde_json::Value) {
        scene.edit_json("classifier/config.json", |config| config["id2label"] = map);
    }
    let says: &[&str] = &["bare/config.json: "];
    refuse! {
        ("no directory", |_| {}, &TRAIN.replace("--model bare", "--model ./absent"), &["absent"]),
        ("no hub id offline", |_| {},
            &TRAIN.replace("--model bare", "--model absent/absent"), &["absent/absent", "HF_HUB_OFFLINE"]),
        ("no config", |s| s.remove("bare/config.json"), TRAIN, &["bare", "config.json"]),
        ("empty config", |s| s.write("bare/config.json", ""), TRAIN, says),
        ("config of another shape", |s| s.write("bare/config.json", "[]"), TRAIN, says),
        ("config torn", |s| s.write("bare/config.json", "{\"hidden_size\":"), TRAIN, says),
        ("width 0", |s| config(s, "hidden_size", json!(0)), TRAIN, &["bare/config.json: `hidden_size`: "]),
        ("width negative", |s| config(s, "hidden_size", json!(-16)), TRAIN, &["bare/config.json: `hidden_size`: "]),
        ("width huge", |s| config(s, "hidden_size", json!(1u64 << 62)), TRAIN, &["bare/config.json: `hidden_size`: "]),
        ("width beyond whole numbers", |s| config(s, "hidden_size", json!(1e30)),
            TRAIN, &["bare/config.json: `hidden_size`: "]),
        ("width as text", |s| config(s, "hidden_size", json!("16")), TRAIN, &["bare/config.json: `hidden_size`: "]),
        ("width null", |s| config(s, "hidden_size", json!(null)), TRAIN, &["bare/config.json: `hidden_size`: "]),
        ("another width", |s| config(s, "hidden_size", json!(32)),
            TRAIN, &["bare/model.safetensors", "[93, 16]", "[93, 32]"]),
        ("heads 0", |s| config(s, "num_attention_heads", json!(0)), TRAIN, &["`num_attention_heads`: "]),
        ("heads that do not divide", |s| config(s, "num_attention_heads", json!(3)),
            TRAIN, &["bare/config.json: `num_attention_heads`: ", "16", "3"]),
        ("layers huge", |s| config(s, "num_hidden_layers", json!(2_000_000_000)), TRAIN, &["bare", "encoder.layer.3."]),
        ("vocabulary huge", |s| config(s, "vocab_size", json!(2_000_000_000)), TRAIN, &["[93, 16]"]),
        ("dropout 1", |s| config(s, "hidden_dropout_prob", json!(1)), TRAIN, &["`hidden_dropout_prob`: "]),
        ("the head's dropout as text", |s| config(s, "classifier_dropout", json!("some")),
            TRAIN, &["bare/config.json: `classifier_dropout`: "]),
        ("the head's dropout 2", |s| config(s, "classifier_dropout", json!(2)), TRAIN,
            &["`classifier_dropout`: ", "2"]),
        ("epsilon as text", |s| config(s, "layer_norm_eps", json!("small")), TRAIN, &["`layer_norm_eps`: "]),
        ("epsilon negative", |s| config(s, "layer_norm_eps", json!(-1.0)), TRAIN, &["`layer_norm_eps`: "]),
        ("unknown activation", |s| config(s, "hidden_act", json!("mish")), TRAIN, &["`hidden_act`: "]),
        ("unknown family", |s| config(s, "model_type", json!("gpt2")),
            TRAIN, &["bare/config.json: `model_type`: ", "`gpt2`"]),
        ("no family", |s| config(s, "model_type", json!(null)), TRAIN, &["bare/config.json: `model_type`: "]),
        ("relative positions", |s| config(s, "position_embedding_type", json!("relative_key")),
            TRAIN, &["`position_embedding_type`: "]),
        ("a decoder", |s| config(s, "is_decoder", json!(true)), TRAIN, &["`is_decoder`: "]),
        ("labels in a list", |s| names(s, json!(["a", "b"])), LABEL, &["classifier/config.json: `id2label`: "]),
        ("a label too many", |s| names(s, json!({"0": "a", "1": "b", "2": "c"})),
            LABEL, &["classifier/config.json: `id2label`: names 3 labels", "2 classes"]),
        ("a gap between labels", |s| names(s, json!({"0": "a", "2": "b"})),
            LABEL, &["classifier/config.json: `id2label`: ", "class 1"]),
        ("a label without name", |s| names(s, json!({"0": " ", "1": "b"})),
            LABEL, &["classifier/config.json: `id2label`: ", "class 0"]),
        ("another count of labels", |s| s.edit_json("classifier/config.json", |c| c["num_labels"] = json!(5)),
            LABEL, &["classifier/config.json: `num_labels`: 5", "2 classes"]),
        ("a ranking", |s| s.edit_json("classifier/config.json", |c| c["problem_type"] = json!("ranking")),
            LABEL, &["classifier/config.json: `problem_type`: "]),
    }
}

#[test]
fn tokenizers_that_do_not_fit() {
    fn with_word(scene: &Scene, id: u64) {
        scene.edit_json("bare/tokenizer.json", |tokenizer| tokenizer["model"]["vocab"]["extra"] = json!(id));
    }
    fn edit(scene: &Scene, key: &str, value: serde_json::Value) {
        scene.edit_json("bare/tokenizer.json", |tokenizer| tokenizer[key] = value);
    }
    fn template(scene: &Scene, id: u64, times: usize) {
        let mut single = vec![json!({"SpecialToken": {"id": "X", "type_id": 0}}); times];
        single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
        let pair = [json!({"Sequence": {"id": "A", "type_id": 0}}), json!({"Sequence": {"id": "B", "type_id": 0}})];
        let tokens = json!({"X": {"id": "X", "ids": [id], "tokens": ["X"]}});
        let template = json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens});
        edit(scene, "post_processor", template);
        // The classes of BERT have a template of their own; this one takes what is there.
        let class = |config: &mut serde_json::Value| config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
        scene.edit_json("bare/tokenizer_config.json", class);
    }
    let file: &[&str] = &["bare/tokenizer.json: "];
    refuse! {
        ("special tokens beyond the embedding", |s| template(s, 4_000_000_000, 1), TRAIN,
            &["tokenizer.json: ", "93 rows"]),
        ("more special tokens than positions", |s| template(s, 2, 40), TRAIN, &["tokenizer.json: ", "special tokens"]),
        ("a normaliser that the library panics on",
            |s| edit(s, "normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"})), TRAIN, file),
        ("words that nothing stands for",
            |s| edit(s, "model", json!({"type": "WordLevel", "vocab": {"zzz": 1}, "unk_token": "none"})), TRAIN, file),
        ("a limit that leaves no room",
            |s| s.edit_json("bare/tokenizer_config.json", |c| c["model_max_length"] = json!(2)),
            TRAIN, &["bare/tokenizer_config.json: `model_max_length`: ", "--max-length"]),
        ("larger than the embedding", |s| with_word(s, 93), TRAIN, &["bare/tokenizer.json: ", "94", "93"]),
        ("an id far beyond", |s| with_word(s, 4_000_000_000), TRAIN, &["bare/tokenizer.json: "]),
        ("none", |s| s.remove("bare/tokenizer.json"), TRAIN, &["bare", "tokenizer.json"]),
        ("torn", |s| s.write("bare/tokenizer.json", "{\"version\":"), TRAIN, &["bare/tokenizer.json: "]),
        ("of another kind", |s| s.write("bare/tokenizer.json", "{}"), TRAIN, &["bare/tokenizer.json: "]),
        ("an empty vocabulary", |s| { s.remove("bare/tokenizer.json"); s.write("bare/vocab.txt", "") },
            TRAIN, &["bare/vocab.txt: "]),
        ("settings torn", |s| s.write("bare/tokenizer_config.json", "{"), TRAIN, &["bare/tokenizer_config.json: "]),
        ("longer than the positions", |_| {}, &format!("{TRAIN} --max-length 33"), &["`max_length`: ", "32"]),
        ("longer, for labelling", |_| {}, &format!("{LABEL} --max-length 33"), &["`max_length`: ", "32"]),
    }
}

#[test]
fn settings_that_are_wrong() {
    fn file(scene: &Scene, text: &str) {
        scene.write("run.toml", text);
    }
    let with_file = &format!("{TRAIN} --config run.toml");
    refuse! {
        ("a misspelt key", |s| file(s, "[training]\nepochs = 1\nlearnin_rate = 1\n"),
            with_file, &["run.toml: line 3: ", "learnin_rate", "lr"]),
        ("a key of other programs", |s| file(s, "[training]\nlearning_rate = 1\n"),
            with_file, &["run.toml: line 2: ", "lr"]),
        ("an unknown key", |s| file(s, "[training]\nxyzzy = 1\n"),
            with_file, &["run.toml: line 2: ", "xyzzy", "`weight_decay`"]),
        ("an unknown section", |s| file(s, "[trainin]\nlr = 1\n"), with_file, &["run.toml: line 1: ", "trainin"]),
        ("a mistyped value", |s| file(s, "[training]\nlr = 'fast'\n"),
            with_file, &["run.toml: line 2: `training.lr`: ", "\"fast\""]),
        ("a value out of range", |s| file(s, "[model]\ndropout = 1.5\n"),
            with_file, &["run.toml: line 2: `model.dropout`: "]),
        ("no TOML", |s| file(s, "[training\n"), with_file, &["run.toml: line 1: "]),
        ("no UTF-8", |s| s.write("run.toml", b"[data]\ntrain = '\xFF'\n"), with_file, &["run.toml: line 2: "]),
        ("no file", |_| {}, with_file, &["run.toml: no such file"]),
        ("--set misspelt", |_| {}, &format!("{TRAIN} --set epoch=1"), &["epoch", "epochs"]),
        ("--set mistyped", |_| {}, &format!("{TRAIN} --set epochs=many"), &["`training.epochs`: ", "many"]),
        ("--set without a value", |_| {}, &format!("{TRAIN} --set epochs"), &["--set epochs"]),
        ("several at once", |s| file(s, "[training]\nlr = 0\nepochs = -1\n"),
            with_file, &["`training.lr`", "`training.epochs`"]),
        ("no training data", |_| {}, "train --model bare --out run", &["train"]),
        ("numbers that are none", |_| {}, &format!("{TRAIN} --task regression"), &["is not a finite number"]),
        ("more stages than there are", |_| {}, &format!("{TRAIN} --strategy last:9"), &["`strategy.name`: ", "stages"]),
    }
}

#[test]
fn devices_that_are_not_there() {
    refuse! {
        ("for training", |_| {}, &format!("{TRAIN} --device cuda:77"), &["`device`: ", "cuda:77"]),
        ("for labelling", |_| {}, &format!("{LABEL} --device cuda:77"), &["`device`: ", "cuda:77"]),
        ("for measuring", |_| {}, &format!("{EVALUATE} --device cuda:77"), &["`device`: ", "cuda:77"]),
    }
}

/// The command line's own reader answers these: it has its own way to hint.
#[test]
fn flags_that_are_wrong() {
    let scene = scene();
    let before = scene.everything();
    for (words, says) in [
        (format!("{TRAIN} --epoch 3"), "--epochs"),
        (format!("{TRAIN} --epochs many"), "many"),
        (format!("{TRAIN} --lr -1"), "above 0"),
        (format!("{TRAIN} --strategy half"), "frozen"),
        (format!("{TRAIN} --batch-size 4 --batch-tokens 9"), "cannot be used with"),
        (format!("{TRAIN} --device gpu"), "cuda"),
        (format!("{LABEL} --min-confidence 2"), "up to 1"),
        (format!("{LABEL} --top 0"), "from 1"),
        ("trian".to_owned(), "train"),
    ] {
        let outcome = scene.rehead(&words).run();
        outcome.check(outcome.status.code() == Some(2) && outcome.stdout.is_empty(), "exit status 2");
        outcome.says(&["error: ", says]);
    }
    assert!(scene.everything() == before, "{}", scene.listing());
}

/// Names of files need not be text, but the settings of a run that is saved must be.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let scene = scene();
    let odd = OsStr::from_bytes(b"caf\xE9.csv");
    std::fs::copy(scene.path("train.csv"), scene.path(odd)).unwrap();
    std::fs::copy(scene.path("texts.csv"), scene.path("odd-texts.csv")).unwrap();
    let train = "train --model bare --valid valid.csv --epochs 1 --threads 1";
    for (flag, name) in [("--train", odd), ("--out", OsStr::from_bytes(b"r\xFFn"))] {
        let others = if flag == "--train" { "--out run" } else { "--train train.csv" };
        let before = scene.everything();
        scene.rehead(&format!("{train} {others}")).arg(flag).arg(name).refused().says(&[flag, "UTF-8"]);
        assert!(scene.everything() == before, "{}", scene.listing());
    }
    // For labelling they do.
    std::fs::rename(scene.path("odd-texts.csv"), scene.path(odd)).unwrap();
    scene.rehead("label --model classifier --output out.csv --input").arg(odd).ok();
    assert_eq!(scene.text("out.csv").lines().count(), 3);
    scene.rehead("label --model classifier --input texts.csv --output").arg(OsStr::from_bytes(b"\xFE.csv")).ok();
    assert!(scene.path(OsStr::from_bytes(b"\xFE.csv")).exists());
}
