//! `rehead label` as its users meet it: every row and column stays, the numbers are right and do not depend on what is
//! computed together, pipes work, and an interrupted output ends as it would have without the interruption.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::{Value, json};
use support::{
    LABEL as BASIC, Lottery, Scene, csv, fields, interrupted_when, labelling_scene as scene, sentiment, tensors,
};

const MODEL: &str = "large_weights";
const LABELS: [&str; 3] = ["bad", "mixed", "good"];

/// A text a row, distinct by its number, as `id,text`.
fn many(rows: usize) -> String {
    let mut lottery = Lottery(11);
    let lines: String = (0..rows)
        .map(|row| {
            format!("{row},{} {}\n", lottery.words(1, 9), lottery.pick(&["good", "bad", "fun", "not good", "awful"]))
        })
        .collect();
    format!("id,text\n{lines}")
}

/// A column of a CSV without quoted fields, as numbers.
fn numbers(csv: &str, column: &str) -> Vec<f64> {
    let rows = fields(csv);
    let index = rows[0].iter().position(|name| *name == column).unwrap_or_else(|| panic!("{column} in {:?}", rows[0]));
    rows[1..].iter().map(|row| row[index].parse().unwrap()).collect()
}

#[test]
fn a_foreign_model_gives_the_numbers_that_python_gives() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert");
    for model in [MODEL, "classifier", "mean_pooled", "bf16"] {
        let scene = Scene::with_models(&[model]);
        let expected: Value =
            serde_json::from_slice(&std::fs::read(fixtures.join(model).join("expected.json")).unwrap()).unwrap();
        let logits = tensors(&std::fs::read(fixtures.join(model).join("expected.safetensors")).unwrap());
        let (shape, logits) = &logits["logits"];
        let names = scene.json(&format!("{model}/config.json"))["id2label"].clone();
        let examples = expected["examples"].as_array().unwrap();
        for (kind, columns) in [("single", "a"), ("pair", "a,b")] {
            let is_pair = |text: &Value| text.is_array() == (kind == "pair");
            let chosen: Vec<usize> = (0..examples.len()).filter(|&index| is_pair(&examples[index]["text"])).collect();
            let lines = chosen.iter().map(|&index| match &examples[index]["text"] {
                Value::Array(pair) => json!({"a": pair[0], "b": pair[1]}).to_string() + "\n",
                text => json!({"a": text}).to_string() + "\n",
            });
            scene.write("texts.jsonl", lines.collect::<String>());
            let words = format!(
                "label --model {model} --input texts.jsonl --output - --text {columns} --precision fp32 --probabilities"
            );
            let output = scene.rehead(&words).ok();
            let rows: Vec<Value> =
                output.stdout_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(rows.len(), chosen.len());
            for (row, &index) in rows.iter().zip(&chosen) {
                if row["predicted_label"].is_null() {
                    // An empty text has no answer here.
                    let texts =
                        examples[index]["text"].as_array().cloned().unwrap_or(vec![examples[index]["text"].clone()]);
                    assert!(texts.iter().all(|text| text.as_str().is_some_and(|text| text.trim().is_empty())), "{row}");
                    continue;
                }
                let logits = &logits[index * shape[1]..(index + 1) * shape[1]];
                let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                for (class, &logit) in logits.iter().enumerate() {
                    let name = names[class.to_string()].as_str().unwrap();
                    let (found, right) = (row[&format!("p_{name}")].as_f64().unwrap(), f64::from(logit).exp() / sum);
                    assert!((found - right).abs() < 1e-4, "{model}, {kind} {index}: {found} for {right}");
                }
            }
        }
    }
}

/// Eight bits are near enough, and a row's answer still does not depend on what is computed with it.
#[test]
fn int8_gives_nearly_the_same_answers_whatever_shares_the_batch() {
    let scene = scene();
    scene.write("in.csv", many(300));
    let int8 = "label --model large_weights --device cpu --threads 1 --precision int8 --probabilities --input in.csv";
    let outcome = scene.rehead(&format!("{int8} --output int8.csv")).run();
    if !outcome.status.success() {
        // A CPU without the instructions says so.
        outcome.says(&["int8 needs a CPU", "--precision auto"]);
        return;
    }
    scene.rehead(&format!("{int8} --output small.csv --batch-tokens 40")).ok();
    scene.rehead(&format!("{BASIC} --probabilities --input in.csv --output fp32.csv")).ok();
    let (int8, small, fp32) = (scene.text("int8.csv"), scene.text("small.csv"), scene.text("fp32.csv"));
    for label in LABELS {
        let column = |csv: &str| numbers(csv, &format!("p_{label}"));
        assert_eq!(column(&int8), column(&small));
        let far = column(&int8).iter().zip(column(&fp32)).filter(|(a, b)| (*a - b).abs() > 0.1).count();
        assert!(far < 15, "{far} of 300 rows are far from fp32");
    }
    scene.write("train.csv", csv(&sentiment(40, 1)));
    let words = "train --train train.csv --model large_weights --out run --precision int8";
    scene.rehead(words).refused().says(&["precision", "nothing can be trained in int8"]);
}

#[test]
fn rows_and_columns_stay_in_every_format() {
    let scene = scene();
    let texts = ["good film", "with, \"quotes\" and\nlines", "", "good film", "café — bon"];
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let table = |delimiter: char| {
        let rows: String = texts
            .iter()
            .enumerate()
            .map(|(row, text)| format!("{row}{delimiter}{}{delimiter}00{row}.50\n", quoted(text)))
            .collect();
        format!("n{delimiter}text{delimiter}extra\n{rows}")
    };
    let objects: String = texts
        .iter()
        .enumerate()
        .map(|(row, text)| format!("{{\"n\":{row},\"text\":{},\"extra\":{{\"x\":1.50}}}}\n", json!(text)))
        .collect();
    scene.write("in.csv", table(','));
    scene.write("in.tsv", table('\t'));
    scene.write("in.jsonl", &objects);
    scene.write("in.txt", "good film\n\nbad, film\n");

    scene.rehead(&format!("{BASIC} --input in.jsonl --output out.jsonl")).ok();
    let labelled = scene.text("out.jsonl");
    let answers: Vec<(Value, Value)> = objects
        .lines()
        .zip(labelled.lines())
        .map(|(before, after)| {
            let kept = before.strip_suffix('}').unwrap();
            assert!(after.starts_with(&format!("{kept},\"predicted_label\":")), "{before} became {after}");
            let row: Value = serde_json::from_str(after).unwrap();
            (row["predicted_label"].clone(), row["confidence"].clone())
        })
        .collect();
    assert_eq!(labelled.lines().count(), texts.len());

    for (name, delimiter) in [("csv", ','), ("tsv", '\t')] {
        scene.rehead(&format!("{BASIC} --input in.{name} --output out.{name}")).ok();
        // What was written is read as what was given, with the same answers.
        let columns: Vec<(String, String)> = answers
            .iter()
            .map(|(label, confidence)| match label.as_str() {
                Some(label) => (label.to_owned(), confidence.to_string()),
                None => (String::new(), String::new()),
            })
            .collect();
        let expected: String = texts
            .iter()
            .zip(&columns)
            .enumerate()
            .map(|(row, (text, (label, confidence)))| {
                // Quoted as in the input.
                let text = quoted(text);
                [&row.to_string(), &text, &format!("00{row}.50"), label, confidence]
                    .map(String::as_str)
                    .join(&delimiter.to_string())
                    + "\n"
            })
            .collect();
        let header = ["n", "text", "extra", "predicted_label", "confidence"].join(&delimiter.to_string());
        assert_eq!(scene.text(&format!("out.{name}")), format!("{header}\n{expected}"));
    }

    scene.rehead(&format!("{BASIC} --input in.txt --output lines.csv")).ok();
    let lines = scene.text("lines.csv");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0] == "text,predicted_label,confidence" && lines[1].starts_with("good film,"), "{lines:?}");
    assert!(lines[2].starts_with(',') && lines[3].starts_with("\"bad, film\","), "{lines:?}");
    // The empty text has no answer, and equal texts have equal ones.
    for ((label, confidence), text) in answers.iter().zip(texts) {
        assert_eq!(label.as_str().is_some_and(|label| LABELS.contains(&label)), !text.is_empty());
        assert_eq!(confidence.is_number(), !text.is_empty());
    }
    assert_eq!(answers[0], answers[3]);
}

#[test]
fn probabilities_are_probabilities_and_the_label_is_the_likeliest() {
    let scene = scene();
    scene.write("in.csv", many(300));
    scene.rehead(&format!("{BASIC} --input in.csv --output out.csv --probabilities --top 2")).ok();
    let output = scene.text("out.csv");
    let header = "id,text,predicted_label,confidence,label_1,confidence_1,label_2,confidence_2,p_bad,p_mixed,p_good";
    let rows = fields(&output);
    assert_eq!(rows[0].join(","), header);
    let mut labels = BTreeMap::new();
    for row in &rows[1..] {
        let number = |index: usize| row[index].parse::<f64>().unwrap();
        let p = [number(8), number(9), number(10)];
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 3e-6, "{row:?}");
        let mut order = [0, 1, 2];
        order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
        assert_eq!((row[2], row[4], row[6]), (LABELS[order[0]], LABELS[order[0]], LABELS[order[1]]), "{row:?}");
        assert_eq!((number(3), number(5), number(7)), (p[order[0]], p[order[0]], p[order[1]]), "{row:?}");
        *labels.entry(row[2]).or_insert(0) += 1;
    }
    assert!(labels.len() > 1, "one answer for all tests little: {labels:?}");

    let median = {
        let mut confidences = numbers(&output, "confidence");
        confidences.sort_by(f64::total_cmp);
        confidences[150]
    };
    scene.rehead(&format!("{BASIC} --input in.csv --output sure.csv --min-confidence {median}")).ok();
    let sure = scene.text("sure.csv");
    let sure = fields(&sure);
    let empty = sure[1..].iter().filter(|row| row[2].is_empty()).count();
    assert!((100..=155).contains(&empty), "{empty} without label");
    for row in &sure[1..] {
        // The sixth decimal is rounded.
        let confidence = row[3].parse::<f64>().unwrap();
        assert!(row[2].is_empty() == (confidence < median) || (confidence - median).abs() < 1e-6, "{row:?}");
    }
}

#[test]
fn an_answer_does_not_depend_on_what_is_computed_with_it() {
    let scene = scene();
    scene.write("in.csv", many(120));
    let run = |how: &str| {
        let words = format!("{BASIC} --input in.csv --output - --probabilities {how}");
        let output = scene.rehead(&words).ok();
        numbers(output.stdout_text(), "p_good")
    };
    let alone = run("--window 1");
    for how in ["--window 100", "--batch-tokens 7", "--batch-tokens 100000", "--batch-size 3", "--threads 2"] {
        let together = if how.contains("threads") {
            let words = format!("{} --input in.csv --output - --probabilities {how}", BASIC.replace("--threads 1", ""));
            numbers(scene.rehead(&words).ok().stdout_text(), "p_good")
        } else {
            run(how)
        };
        assert_eq!(alone.len(), together.len());
        for (row, (a, b)) in alone.iter().zip(&together).enumerate() {
            assert!((a - b).abs() <= 1e-5, "{how}, row {row}: {b} instead of {a}");
        }
    }
}

#[test]
fn pipes_take_lines_tables_and_objects() {
    let scene = scene();
    let words = format!("{BASIC} --input - --output - --quiet");
    let pipe = |input: &str| {
        let outcome = scene.rehead(&words).input(input).ok();
        outcome.check(outcome.stderr.is_empty(), "silence");
        outcome.stdout_text().to_owned()
    };
    let lines = pipe("good film\nbad film, not good\n");
    assert!(lines.starts_with("text,predicted_label,confidence\ngood film,"), "{lines}");
    assert!(lines.contains("\n\"bad film, not good\","), "{lines}");
    let table = pipe("id,text\n1,good film\n");
    assert!(table.starts_with("id,text,predicted_label,confidence\n1,good film,"), "{table}");
    let objects = pipe("{\"text\": \"good film\", \"id\": 1}\n");
    assert!(objects.starts_with("{\"text\": \"good film\", \"id\": 1,\"predicted_label\":"), "{objects}");
    assert!(scene.everything().keys().all(|name| name.starts_with(MODEL)), "a pipe left files\n{}", scene.listing());
}

#[test]
fn progress_says_how_much_of_the_input_is_done() {
    let scene = scene();
    scene.write("in.csv", many(300));
    scene.write("gzip.csv.gz", {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&scene.bytes("in.csv")).unwrap();
        encoder.finish().unwrap()
    });
    for input in ["in.csv", "gzip.csv.gz"] {
        let outcome = scene.rehead(&format!("{BASIC} --input {input} --output out.csv")).ok();
        outcome.says(&[
            "labelling: 300 rows in ",
            "100 % of the input",
            "\n300 rows labelled (",
            " rows/s): out.csv\n",
        ]);
    }
    // The size of a pipe is not known.
    let outcome = scene.rehead(&format!("{BASIC} --input - --output -")).input("good film\n").ok();
    let outcome = outcome.says(&["labelling: 1 row", "\n1 row labelled\n"]);
    outcome.check(!outcome.stderr.contains('%'), "no percentage");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let scene = scene();
    scene.write("in.csv", many(30_000));
    let call = scene.rehead(&format!("{BASIC} --input in.csv --output - --quiet --window 64"));
    let mut child = call.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "id,text,predicted_label,confidence\n");
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.success() && said.is_empty(), "{status}: {said}");
}

/// Rows so many, and batches so small, that there is time to interrupt.
const LONG: &str = "--input in.csv --window 100 --batch-tokens 64 --probabilities";

fn long_scene() -> Scene {
    let scene = scene();
    scene.write("in.csv", many(8_000));
    scene.rehead(&format!("{BASIC} {LONG} --output whole.csv")).ok();
    scene
}

/// Interrupts labelling once `rows` rows are written.
fn interrupt(scene: &Scene, words: &str, signal: i32, rows: u64) -> support::Outcome {
    interrupted_when(scene, words, signal, "out.csv", || scene.size("out.partial.csv") > rows * 40)
}

#[test]
fn an_interrupted_output_goes_on_to_be_the_same() {
    let scene = long_scene();
    let words = format!("{BASIC} {LONG} --output out.csv");
    for (signal, rows) in [(libc::SIGINT, 90), (libc::SIGKILL, 500), (libc::SIGTERM, 2000), (libc::SIGKILL, 4000)] {
        let outcome = interrupt(&scene, &words, signal, rows);
        if signal != libc::SIGKILL {
            outcome.check(outcome.status.code() == Some(130), "exit status 130");
            outcome.check(outcome.stderr.matches(" %)").count() <= 1, "the share of the input to be said once");
            outcome.says(&["interrupted: ", "hint: they are kept in ", "--resume"]);
        }
        assert!(!scene.exists("out.csv"), "half an output has the name of a whole one");
        // Without --resume it is not touched.
        let before = scene.everything();
        scene.rehead(&words).refused().says(&["--resume"]);
        assert!(scene.everything() == before);

        scene.rehead(&format!("{words} --resume")).ok().says(&["continuing after row"]);
        assert!(
            scene.bytes("out.csv") == scene.bytes("whole.csv"),
            "signal {signal} after {rows} rows: another output"
        );
        assert!(
            !scene.path("out.partial.csv").exists() && !scene.path("out.partial.csv.origin.json").exists(),
            "{}",
            scene.listing()
        );
        scene.remove("out.csv");
    }
}

#[test]
fn a_torn_row_is_written_again() {
    let scene = long_scene();
    let words = format!("{BASIC} {LONG} --output out.csv");
    interrupt(&scene, &words, libc::SIGKILL, 10);
    let whole = scene.bytes("whole.csv");
    let note = scene.bytes("out.partial.csv.origin.json");
    // In the header, after it, in the middle of rows and of windows, at a row's end, and just before the end.
    let row_end = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(150).unwrap().0 + 1;
    for length in [0, 10, 60, 5_000, 77_777, row_end, row_end - 1, whole.len() - 1, whole.len()] {
        scene.write("out.partial.csv", &whole[..length]);
        scene.write("out.partial.csv.origin.json", &note);
        scene.rehead(&format!("{words} --resume")).ok();
        assert!(scene.bytes("out.csv") == whole, "cut to {length} bytes: another output");
        scene.remove("out.csv");
    }
}

#[test]
fn an_output_is_not_resumed_as_another() {
    let scene = long_scene();
    scene.copy("in.csv", "other.csv");
    scene.copy(MODEL, "other");
    let mut weights = scene.bytes("other/model.safetensors");
    let last = weights.len() - 2;
    weights[last] ^= 1;
    scene.write("other/model.safetensors", weights);
    let words = format!("{BASIC} {LONG} --output out.csv");
    interrupt(&scene, &words, libc::SIGINT, 10);
    let before = scene.everything();
    for (what, from, to) in [
        ("another input", "--input in.csv", "--input other.csv"),
        ("another model", "--model large_weights", "--model other"),
        ("another length limit", "--probabilities", "--probabilities --max-length 8"),
        ("another precision", "--precision fp32", "--precision bf16"),
        ("other columns", "--probabilities", ""),
        ("more columns", "--probabilities", "--probabilities --top 1"),
        ("another confidence", "--probabilities", "--probabilities --min-confidence 0.5"),
        ("another text column", "--probabilities", "--probabilities --text id"),
    ] {
        let outcome = scene.rehead(&format!("{} --resume", words.replace(from, to))).run();
        outcome.check(outcome.status.code() == Some(2), &format!("a refusal for {what}"));
        outcome.says(&["hint: "]);
        assert!(scene.everything() == before, "{what}: the refusal changed files");
    }
    // An input that has become shorter than what is written of it.
    let input = scene.text("in.csv");
    scene.write("in.csv", input.lines().take(3).collect::<Vec<_>>().join("\n"));
    scene.rehead(&format!("{words} --resume")).refused().says(&["hint: "]);
    scene.write("in.csv", input);
    // Other threads round otherwise, which is said.
    let note = scene.text("out.partial.csv.origin.json");
    assert!(note.contains("\"threads\":1"), "{note}");
    let (first, records) = note.split_once('\n').unwrap();
    // A line without a checksum is one of an earlier version.
    let first = first.split(",\"checksum\"").next().unwrap().replacen("\"threads\":1", "\"threads\":3", 1);
    scene.write("out.partial.csv.origin.json", format!("{first}}}\n{records}"));
    scene.rehead(&format!("{words} --resume")).ok().says(&["begun with --threads 3 and is continued with 1"]);
    assert!(scene.bytes("out.csv") == scene.bytes("whole.csv"));
    // What it was made of stays beside it, so the same call knows that it is complete, and another that it is not.
    scene.rehead(&format!("{words} --resume")).ok().says(&["out.csv is complete: there is nothing to resume"]);
    scene.rehead(&format!("{words} --resume --top 1")).refused().says(&["out.csv: the output was made with another"]);
    scene.remove("out.csv.origin.json");
    scene.rehead(&format!("{words} --resume")).refused().says(&["nothing to resume: nothing is recorded"]);
}

#[test]
fn an_interruption_before_the_first_row_leaves_nothing() {
    let scene = long_scene();
    let before = scene.everything();
    let mut running =
        scene.rehead(&format!("{BASIC} --input in.csv --window 8000 --batch-tokens 64 --output out.csv")).start();
    running.wait_until(|_| scene.exists("out.partial.csv"));
    running.signal(libc::SIGINT);
    let outcome = running.wait();
    outcome.check(outcome.status.code() == Some(130), "exit status 130");
    assert!(scene.everything() == before, "{}", scene.listing());
    outcome.says(&["interrupted: 0 rows are labelled", "hint: nothing is kept", "--window 32"]);
}

/// Without `--window` the first rows are soon kept, and windows are the same wherever a call begins.
#[test]
fn by_default_windows_grow_and_an_interrupted_output_has_the_same() {
    let scene = scene();
    scene.write("in.csv", many(12_000));
    let words = format!("{BASIC} --input in.csv --batch-tokens 64 --probabilities --output");
    scene.rehead(&format!("{words} whole.csv")).ok();
    let records = |name: &str| -> Vec<u64> {
        let note = scene.text(name);
        let records = note.lines().skip(1).filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.map(|record| record["rows"].as_u64().unwrap()).collect()
    };
    let boundaries = [512, 1_536, 3_584, 7_680, 12_000];
    for least in [1, 2_000, 4_000] {
        let words = format!("{words} out.csv");
        let kept = || scene.exists("out.partial.csv") && scene.text("out.partial.csv").lines().count() > least;
        let outcome = interrupted_when(&scene, &words, libc::SIGINT, "out.csv", kept);
        outcome.says(&["interrupted: ", "hint: they are kept in "]);
        let recorded = records("out.partial.csv.origin.json");
        assert_eq!(recorded, boundaries[..recorded.len()]);
        // Resumed in the middle of a window too: an earlier call had others.
        if least == 2_000 {
            let other = format!("{words} --resume --window 100");
            interrupted_when(&scene, &other, libc::SIGINT, "out.csv", || {
                records("out.partial.csv.origin.json").len() > recorded.len() + 3
            });
        }
        scene.rehead(&format!("{words} --resume")).ok().says(&["continuing after row"]);
        assert!(scene.bytes("out.csv") == scene.bytes("whole.csv"), "after {recorded:?}: another output");
        scene.remove("out.csv");
    }
}

/// Two outputs that differ in their type alone, and one whose type is that of the note about it.
#[test]
fn outputs_of_one_stem_grow_side_by_side() {
    let scene = long_scene();
    let words = |output: &str| format!("{BASIC} {LONG} --output {output}");
    interrupt(&scene, &words("out.csv"), libc::SIGINT, 500);
    for output in ["out.jsonl", "out.json", "out"] {
        scene.rehead(&words(output)).ok();
    }
    assert_eq!(scene.text("out.json").lines().count(), 8_000);
    assert_eq!(scene.bytes("out.json"), scene.bytes("out.jsonl"));
    assert_eq!(scene.bytes("out"), scene.bytes("whole.csv"));
    scene.rehead(&format!("{} --resume", words("out.csv"))).ok();
    assert_eq!(scene.bytes("out.csv"), scene.bytes("whole.csv"));
}

/// A pipe with a name, a device, a descriptor: written to, never replaced by a file.
#[test]
fn what_is_no_file_is_written_to_and_stays_what_it_is() {
    let scene = scene();
    scene.write("in.csv", many(300));
    scene.rehead(&format!("{BASIC} --input in.csv --output whole.csv")).ok();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("pipe");
    let pipe = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: a valid string.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let reader = std::thread::spawn({
        let path = path.clone();
        move || std::fs::read(path).unwrap()
    });
    scene.rehead(&format!("{BASIC} --input in.csv --output")).arg(&path).ok();
    assert_eq!(reader.join().unwrap(), scene.bytes("whole.csv"));
    assert!(!path.metadata().unwrap().is_file());

    let outcome = scene.rehead(&format!("{BASIC} --input in.csv --output /dev/stdout")).ok();
    assert_eq!(outcome.stdout, scene.bytes("whole.csv"));
    let outcome = scene.rehead(&format!("{BASIC} --input in.csv --output /dev/full")).run();
    outcome.check(outcome.status.code() == Some(1), "exit status 1");
    outcome.says(&["/dev/full: ", "hint: "]);
    assert!(!std::path::Path::new("/dev/full").metadata().unwrap().is_file());
}

#[test]
fn one_interruption_ends_the_wait_for_input_that_never_comes() {
    let scene = scene();
    let call = scene.rehead(&format!("{BASIC} --input - --output out.csv"));
    let mut child = call.command().stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a good film, and a great one\n").unwrap();
    // Silent from here on, and open.
    let started = std::time::Instant::now();
    while !scene.exists("out.partial.csv") && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // SAFETY: a signal to a child of ours that has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(!scene.exists("out.csv") && !scene.exists("out.partial.csv"), "{}", scene.listing());
    drop(stdin);
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let scene = scene();
    let peak = |rows: usize| {
        let mut lottery = Lottery(3);
        let texts: Vec<String> = (0..500).map(|_| lottery.words(2, 4)).collect();
        let lines: String = (0..rows).map(|row| format!("{row},{}\n", texts[row % 500])).collect();
        scene.write("in.csv", format!("id,text\n{lines}"));
        let call = scene.rehead(&format!("{BASIC} --input in.csv --output out.csv --quiet"));
        let (status, kilobytes) = resources(call.command());
        assert_eq!(status, 0);
        assert_eq!(scene.text("out.csv").lines().count(), rows + 1);
        kilobytes
    };
    let (few, many) = (peak(20_000), peak(200_000));
    assert!(many as f64 <= few as f64 * 1.3, "{few} kB for 20,000 rows, {many} kB for 200,000");
}

/// Runs a command; its raw status, and the most memory that it held, in kilobytes.
fn resources(mut command: std::process::Command) -> (i32, i64) {
    #[allow(clippy::zombie_processes, reason = "`wait4` below waits for it")]
    let child = command.spawn().unwrap();
    // SAFETY: the struct holds numbers alone, for which all bits zero is a value.
    let (mut status, mut usage) = (0, unsafe { std::mem::zeroed::<libc::rusage>() });
    // SAFETY: a child of ours that nobody else waits for, and two places to write to.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, &mut usage) };
    assert_eq!(waited, child.id() as i32);
    (status, usage.ru_maxrss)
}

#[test]
fn a_trained_run_labels_by_the_columns_it_was_trained_on() {
    let scene = Scene::with_models(&["bare"]);
    let rows: String = sentiment(60, 1).iter().map(|(text, label)| format!("{text},nothing,{label}\n")).collect();
    scene.write("train.csv", format!("body,title,stars\n{rows}"));
    let words =
        "train --train train.csv --text body --label stars --model bare --strategy frozen --threads 1 --out run";
    scene.rehead(words).ok();
    scene.write("new.csv", "title,body\nan empty title,good fun\n,bad film\n");
    scene.rehead("label --model run --input new.csv --output out.csv --threads 1 --probabilities").ok();
    let output = scene.text("out.csv");
    assert!(
        output.starts_with("title,body,predicted_label,confidence,p_negative,p_positive\nan empty title,good fun,"),
        "{output}"
    );
    // The title says nothing to it.
    scene.rehead("label --model run --input new.csv --output body.csv --text body --threads 1 --probabilities").ok();
    assert_eq!(output, scene.text("body.csv"));
    // Without these columns the usual names are looked for.
    scene.write("new.csv", "text\ngood fun\n");
    let outcome = scene.rehead("label --model run --input new.csv --output - --threads 1").ok();
    assert!(outcome.stdout_text().starts_with("text,predicted_label,confidence\n"));
}

#[test]
fn rows_are_labelled_up_to_the_bad_one_and_on_from_there() {
    let scene = scene();
    let good = csv(&sentiment(250, 1));
    let mut lines: Vec<&str> = good.lines().collect();
    lines.insert(231, "one,field,too,many");
    scene.write("in.csv", lines.join("\n") + "\n");
    let words = format!("{BASIC} --input in.csv --output out.csv --window 50");
    scene.rehead(&words).refused().says(&["in.csv: row 231 (line 232): ", "200 rows (79 %) are kept", "--resume"]);
    assert!(!scene.exists("out.csv"));
    scene.write("in.csv", &good);
    scene.rehead(&format!("{words} --resume")).ok().says(&["continuing after row 200"]);
    scene.rehead(&format!("{BASIC} --input in.csv --output whole.csv --window 50")).ok();
    assert_eq!(scene.text("out.csv"), scene.text("whole.csv"));
}
