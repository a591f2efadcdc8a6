//! `rehead embed`: the features are those that Python computes, in every format; what a model of sentence-transformers
//! says of itself is followed; an interrupted output is continued to the same bytes.

mod support;

use support::{Lottery, Scene, interrupted_when, tensors, training_scene};

const EMBED: &str = "embed --model bare --device cpu --threads 1";

/// What Python computed of the texts of the fixture `bare` that are one line each, and those texts.
fn expected(name: &str) -> (Vec<String>, Vec<Vec<f32>>) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert/bare");
    let about: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let tensors = tensors(&std::fs::read(folder.join("expected.safetensors")).unwrap());
    let (shape, values) = &tensors[name];
    let rows = values.chunks_exact(shape[1]).map(<[f32]>::to_vec);
    let examples = about["examples"].as_array().unwrap().iter().zip(rows);
    let lines = examples.filter_map(|(example, row)| Some((example["text"].as_str()?.to_owned(), row)));
    lines.filter(|(text, _)| !text.trim().is_empty() && !text.contains(['\n', '\r', '\0'])).unzip()
}

/// The shape and the numbers of a file of NumPy's.
fn array(scene: &Scene, name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = scene.bytes(name);
    let length = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00") && header.contains("'descr': '<f4', 'fortran_order': False"));
    let (_, shape) = header.split_once("'shape': (").unwrap();
    let (shape, _) = shape.split_once(')').unwrap();
    let numbers = bytes[10 + length..].chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    (shape.split(", ").map(|size| size.parse().unwrap()).collect(), numbers.collect())
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn scaled(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    row.iter().map(|value| value / length).collect()
}

/// A table of texts, quoted.
fn table(texts: &[String]) -> String {
    let rows = texts.iter().enumerate().map(|(id, text)| format!("{id},\"{}\"\n", text.replace('"', "\"\"")));
    "id,text\n".to_owned() + &rows.collect::<String>()
}

#[test]
fn features_are_those_of_transformers_in_every_format() {
    let scene = Scene::with_models(&["bare"]);
    let (texts, means) = expected("mean");
    assert!(texts.len() > 8);
    scene.write("in.csv", table(&texts));
    let embed = format!("{EMBED} --input in.csv");
    let outcome = scene.rehead(&format!("{embed} --output mean.npy")).ok();
    outcome.says(&["pooling = mean", "of 16 features", "mean.npy"]);
    let (shape, mean) = array(&scene, "mean.npy");
    assert_eq!(shape, [texts.len(), 16]);
    assert!(largest_difference(&mean, &means.concat()) < 1e-5);

    scene.rehead(&format!("{embed} --pooling cls --output first.npy")).ok();
    let firsts = expected("first_token").1.concat();
    assert!(largest_difference(&array(&scene, "first.npy").1, &firsts) < 1e-5);

    scene.rehead(&format!("{embed} --normalise --output scaled.npy")).ok();
    let all_scaled: Vec<f32> = means.iter().flat_map(|row| scaled(row)).collect();
    assert!(largest_difference(&array(&scene, "scaled.npy").1, &all_scaled) < 1e-5);

    // Every column of the input is kept, and no digit of the numbers is lost.
    scene.rehead(&format!("{embed} --output out.jsonl")).ok();
    let lines: Vec<serde_json::Value> =
        scene.text("out.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers = lines.iter().flat_map(|line| line["features"].as_array().unwrap());
    assert_eq!(numbers.map(|number| number.as_f64().unwrap() as f32).collect::<Vec<_>>(), mean);
    assert!(
        lines
            .iter()
            .enumerate()
            .all(|(id, line)| line["id"].as_str() == Some(&id.to_string()) && line["text"] == texts[id])
    );

    scene.rehead(&format!("{embed} --output out.csv")).ok();
    let mut rows = csv::Reader::from_path(scene.path("out.csv")).unwrap();
    let header: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..4], ["id", "text", "feature_0", "feature_1"]);
    let numbers = rows.records().flat_map(|row| {
        let row = row.unwrap();
        row.iter().skip(2).map(|number| number.parse::<f32>().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(numbers.collect::<Vec<_>>(), mean);

    scene.rehead(&format!("{embed} --output out.parquet --column-prefix x_")).ok();
    // Read again, a list is what JSON has for it.
    scene.rehead(&format!("{EMBED} --input out.parquet --text text --output again.jsonl")).ok();
    let line = scene.text("again.jsonl");
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    let list = |key: &str| -> Vec<f32> {
        line[key].as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    assert_eq!(list("x_features"), mean[..16]);
    assert_eq!(list("features"), mean[..16]);
}

#[test]
fn any_stage_can_be_taken_and_a_run_is_pooled_as_it_was_trained() {
    let scene = training_scene();
    scene.rehead(&format!("{EMBED} --input test.csv --stage 3 --output last.npy")).ok();
    scene.rehead(&format!("{EMBED} --input test.csv --output default.npy")).ok();
    assert_eq!(scene.bytes("last.npy"), scene.bytes("default.npy"));
    scene.rehead(&format!("{EMBED} --input test.csv --stage 0 --output first.npy")).ok();
    assert_ne!(scene.bytes("first.npy"), scene.bytes("last.npy"));
    let refused = scene.rehead(&format!("{EMBED} --input test.csv --stage 4 --output x.npy")).refused();
    refused.says(&["there is no stage 4: the last is 3", "hint: the stages, from 0: "]);

    scene
        .rehead("train --train train.csv --model bare --strategy full --epochs 1 --device cpu --threads 1 --out run")
        .ok();
    let words = "embed --model run --input test.csv --device cpu --threads 1 --output";
    scene.rehead(&format!("{words} own.npy")).ok();
    scene.rehead(&format!("{words} cls.npy --pooling cls")).ok();
    assert_eq!(scene.bytes("own.npy"), scene.bytes("cls.npy"));
}

/// What sentence-transformers writes beside a model, in its older form and its newer one.
#[test]
fn what_sentence_transformers_says_is_followed() {
    let scene = Scene::with_models(&["bare"]);
    let (texts, firsts) = expected("first_token");
    scene.write("in.csv", table(&texts));
    let module =
        |kind: &str, path: &str| format!(r#"{{"type": "sentence_transformers.models.{kind}", "path": "{path}"}}"#);
    let modules = |kinds: &[(&str, &str)]| {
        let listed: Vec<String> = kinds.iter().map(|(kind, path)| module(kind, path)).collect();
        scene.write("bare/modules.json", format!("[{}]", listed.join(", ")));
    };
    std::fs::create_dir(scene.path("bare/1_Pooling")).unwrap();
    let older =
        r#"{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;
    let newer = r#"{"embedding_dimension": 32, "pooling_mode": "cls", "include_prompt": true}"#;
    let all_scaled: Vec<f32> = firsts.iter().flat_map(|row| scaled(row)).collect();
    modules(&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]);
    for settings in [older, newer] {
        scene.write("bare/1_Pooling/config.json", settings);
        let outcome = scene.rehead(&format!("{EMBED} --input in.csv --output out.npy")).ok();
        outcome.says(&["pooling = cls (normalised, as `modules.json` says)"]);
        assert!(largest_difference(&array(&scene, "out.npy").1, &all_scaled) < 1e-5);
    }
    // Texts are cut where its own file says.
    scene.write("bare/sentence_bert_config.json", r#"{"max_seq_length": 5, "do_lower_case": false}"#);
    let outcome = scene.rehead(&format!("{EMBED} --input in.csv --output out.npy")).ok();
    outcome.says(&["max_length = 5", "longer than 5 tokens"]);
    // More than the network's positions is as many as these.
    scene.write("bare/sentence_bert_config.json", r#"{"max_seq_length": 4096}"#);
    let outcome = scene.rehead(&format!("{EMBED} --input in.csv --output out.npy")).ok();
    outcome.says(&["max_length = 32 (as `sentence_bert_config.json` says)"]);
    scene.remove("bare/sentence_bert_config.json");
    scene.write(
        "bare/config_sentence_transformers.json",
        r#"{"prompts": {"query": "query: "}, "default_prompt_name": "query"}"#,
    );
    scene.rehead(&format!("{EMBED} --input in.csv --output out.npy")).ok().says(&["puts `query: ` before each text"]);

    // What is not computed is named, and can be done without.
    for (kinds, settings, says) in [
        (&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")][..], newer, "a module `Dense`"),
        (&[("Pooling", "1_Pooling")], r#"{"pooling_mode": "max"}"#, "pooling by `max`"),
        (&[("Pooling", "1_Pooling")], r#"{"pooling_mode": ["cls", "mean"]}"#, "pooling by `cls` and `mean`"),
        (&[("Pooling", "1_Pooling")], "{}", "pooling by none"),
    ] {
        modules(kinds);
        scene.write("bare/1_Pooling/config.json", settings);
        scene.rehead(&format!("{EMBED} --input in.csv --output x.npy")).refused().says(&[says, "--pooling mean"]);
        scene.rehead(&format!("{EMBED} --input in.csv --output out.npy --pooling mean")).ok();
    }
}

#[test]
fn rows_without_a_text_are_none_and_said() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("in.csv", "id,text\n1,good film\n2,\n3,good film\n");
    let says = ["1 row without a text: the features are"];
    scene.rehead(&format!("{EMBED} --input in.csv --output out.npy")).ok().says(&says);
    let (shape, numbers) = array(&scene, "out.npy");
    assert_eq!(shape, [3, 16]);
    assert_eq!(numbers[..16], numbers[32..]);
    assert!(numbers[16..32].iter().all(|number| number.is_nan()));
    scene.rehead(&format!("{EMBED} --input in.csv --output out.jsonl")).ok().says(&says);
    let text = scene.text("out.jsonl");
    assert!(text.lines().nth(1).unwrap().ends_with("\"features\":null}"), "{text}");
    scene.rehead(&format!("{EMBED} --input in.csv --output out.csv")).ok();
    assert!(scene.text("out.csv").lines().nth(2).unwrap().ends_with(&",".repeat(16)));
    // The same from a pipe.
    scene
        .rehead(&format!("{EMBED} --input - --output piped.npy"))
        .input("id,text\n1,good film\n2,\n3,good film\n")
        .ok();
    assert_eq!(scene.bytes("piped.npy"), scene.bytes("out.npy"));
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_written() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("in.csv", "text,feature_0\ngood film,1\n");
    let before = scene.everything();
    for (words, says) in [
        ("--input in.csv --output -", "features are written to a file"),
        ("--input - --output out.csv", "a table needs the input twice"),
        ("--input - --output out.npy --resume", "--resume needs a file"),
        ("--input in.csv --output in.csv", "the output is the input file"),
        ("--input in.csv --output out.csv", "already has a column of this name"),
        ("--input in.csv --output out.txt", "features are not written in this format"),
        ("--input in.csv --output out.npy --resume", "there is nothing to resume"),
        ("--input in.csv --output absent/out.npy", "there is no folder absent"),
        ("--input in.csv --output out.npy --max-length 100", "max_length"),
    ] {
        scene.rehead(&format!("{EMBED} {words}")).refused().says(&[says]);
        assert!(scene.everything() == before, "{words}: {}", scene.listing());
    }
}

#[test]
fn an_interrupted_output_is_continued_to_the_same_bytes() {
    let scene = Scene::with_models(&["bare"]);
    let mut lottery = Lottery(5);
    let text = (0..6_000).fold("text\n".to_owned(), |text, _| text + &lottery.words(1, 9) + "\n");
    scene.write("in.csv", &text);
    let words = format!("{EMBED} --input in.csv --window 100 --batch-tokens 64 --output");
    for name in ["whole.npy", "whole.parquet"] {
        scene.rehead(&format!("{words} {name}")).ok();
    }
    for (name, whole) in [("out.npy", "whole.npy"), ("out.parquet", "whole.parquet")] {
        let partial = format!("out.partial.{}.f32", name.rsplit('.').next().unwrap());
        for signal in [libc::SIGINT, libc::SIGKILL] {
            if scene.exists(name) {
                scene.remove(name);
            }
            let ready = || scene.size(&partial) > 50_000;
            let outcome = interrupted_when(&scene, &format!("{words} {name}"), signal, name, ready);
            if signal == libc::SIGINT {
                assert_eq!(outcome.status.code(), Some(130));
                outcome.says(&["rows are embedded", "--resume continues after them"]);
            }
            let resume = format!("{words} {name} --resume");
            if signal == libc::SIGKILL && name == "out.npy" {
                only_the_same_call_goes_on(&scene, &resume, &text);
            }
            scene.rehead(&resume).ok().says(&["continuing after row"]);
            assert!(scene.bytes(name) == scene.bytes(whole), "{name}");
            assert!(!scene.exists(&partial) && !scene.listing().contains("partial"), "{}", scene.listing());
        }
    }
}

/// Over the same rows.
fn only_the_same_call_goes_on(scene: &Scene, resume: &str, text: &str) {
    scene.rehead(resume.trim_end_matches(" --resume")).refused().says(&["an interrupted output is here"]);
    scene.rehead(&format!("{resume} --normalise")).refused().says(&["another choice of --normalise"]);
    scene.rehead(&format!("{resume} --pooling cls")).refused().says(&["with another pooling"]);
    scene.rehead(&format!("{resume} --stage 1")).refused().says(&["with another --stage"]);
    scene.write("in.csv", text.replacen("the", "not the", 1));
    scene.rehead(resume).refused().says(&["the input has changed"]);
    scene.write("in.csv", text);
}
