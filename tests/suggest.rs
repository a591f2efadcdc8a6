//! `rehead suggest` as its users meet it: rows that the model doubts, all different, none that has a label already,
//! with all their columns, in every format; what is skipped is counted, and what cannot be done is refused.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::pictures::{half_bright, scene_with_net};
use support::{Lottery, Scene, csv, fields, sentiment};

const MODEL: &str = "--model run --device cpu --precision fp32 --threads 1";

/// A scene with a run, trained on `train.csv`.
fn scene() -> Scene {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", csv(&sentiment(40, 1)));
    scene
        .rehead("train --train train.csv --model bare --strategy frozen --precision fp32 --threads 1 --out run --quiet")
        .ok();
    scene
}

/// Texts that differ from each other and from those of training.
fn new_texts(scene: &Scene, rows: usize) -> Vec<String> {
    let train = scene.text("train.csv");
    let mut seen: BTreeSet<String> = fields(&train).iter().map(|row| row[0].to_owned()).collect();
    let texts = sentiment(rows + 40, 2).into_iter().map(|(text, _)| text);
    let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).take(rows).collect();
    assert_eq!(texts.len(), rows);
    texts
}

fn column<'f>(rows: &[Vec<&'f str>], name: &str) -> Vec<&'f str> {
    let index = rows[0].iter().position(|column| *column == name).unwrap_or_else(|| panic!("{name} in {:?}", rows[0]));
    rows[1..].iter().map(|row| row[index]).collect()
}

#[test]
fn doubtful_rows_are_suggested_once_with_all_their_columns() {
    let scene = scene();
    let texts = new_texts(&scene, 200);
    let train = scene.text("train.csv");
    let trained: Vec<&str> = fields(&train)[1..].iter().map(|row| row[0]).collect();
    // Before the new texts those of training, between them repeats and nothing.
    let mut input: Vec<&str> = trained.clone();
    for (index, text) in texts.iter().enumerate() {
        input.push(text);
        input.extend([texts[index / 2].as_str()].iter().filter(|_| index % 50 == 49));
        input.extend(["  "].iter().filter(|_| index % 100 == 99));
    }
    let lines: String = input.iter().enumerate().map(|(index, text)| format!("{index},{text},x{index}\n")).collect();
    scene.write("in.csv", format!("id,text,note\n{lines}"));

    let command = format!("suggest {MODEL} --input in.csv --count 8");
    let output = scene.rehead(&format!("{command} --output out.csv")).ok();
    // Training held out a tenth of the rows: their labels are known as well.
    let output = output.says(&["40 that are labelled already", "4 that repeat an earlier one", "2 without a text"]);
    output.says(&["8 of 246 rows suggested: out.csv"]);
    let written = scene.text("out.csv");
    let rows = fields(&written);
    assert_eq!(
        rows[0],
        ["id", "text", "note", "label", "row", "predicted_label", "confidence", "similar_rows"],
        "{written}"
    );
    assert_eq!(rows.len(), 9);

    // What `label` says of them.
    scene.rehead(&format!("label {MODEL} --input in.csv --output labelled.csv --quiet")).ok();
    let labelled = scene.text("labelled.csv");
    let labelled = fields(&labelled);
    for row in &rows[1..] {
        let number: usize = row[4].parse().unwrap();
        let (same, answer) = labelled[number].split_at(3);
        assert_eq!(&row[..3], same);
        assert_eq!(row[3], "");
        assert_eq!(row[5], answer[0]);
        assert!((row[6].parse::<f64>().unwrap() - answer[1].parse::<f64>().unwrap()).abs() < 1e-5, "{row:?}");
    }
    let suggested: BTreeSet<&str> = column(&rows, "text").into_iter().collect();
    assert_eq!(suggested.len(), 8, "{written}");
    assert!(trained.iter().all(|text| !suggested.contains(text)), "{written}");

    // They are among the ten times as many that are doubted most, and stand for all of these.
    let confidences: BTreeMap<&str, f64> = labelled[1..]
        .iter()
        .filter(|row| !row[4].is_empty() && !trained.contains(&row[1]))
        .map(|row| (row[1], row[4].parse().unwrap()))
        .collect();
    let mut sorted: Vec<f64> = confidences.values().copied().collect();
    sorted.sort_by(f64::total_cmp);
    assert!(suggested.iter().all(|text| confidences[text] <= sorted[79] + 1e-5), "{written}");
    let similar: Vec<usize> = column(&rows, "similar_rows").iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(similar.iter().sum::<usize>() + 8, 80);

    scene.rehead(&format!("{command} --output again.csv --quiet")).ok();
    assert_eq!(scene.text("again.csv"), written);
    let piped = scene.rehead(&format!("{command} --output - --quiet")).ok();
    assert_eq!(piped.stdout_text(), written);
    scene.rehead(&format!("{command} --output other.csv --quiet --seed 7")).ok();
    assert_ne!(scene.text("other.csv"), written);
}

#[test]
fn rows_with_a_label_are_not_suggested() {
    let scene = scene();
    let texts = new_texts(&scene, 30);
    let lines: String = texts
        .iter()
        .enumerate()
        .map(|(index, text)| format!("{text},{}\n", if index < 10 { "positive" } else { "" }))
        .collect();
    scene.write("in.csv", format!("text,label\n{lines}"));
    let lines: String = texts[10..15].iter().map(|text| format!("{{\"text\": \"{text}\"}}\n")).collect();
    scene.write("more.jsonl", lines);
    let command = format!("suggest {MODEL} --input in.csv --labelled more.jsonl train.csv --count 40 --output out.csv");
    let output = scene.rehead(&command).ok();
    let output = output.says(&["10 with a label in the column `label`", "5 that are labelled already"]);
    output.says(&["15 rows suggested, and not 40: there are no others"]);
    let written = scene.text("out.csv");
    let rows = fields(&written);
    assert_eq!(rows[0], ["text", "label", "row", "predicted_label", "confidence", "similar_rows"]);
    let suggested: BTreeSet<&str> = column(&rows, "text").into_iter().collect();
    assert_eq!(suggested, texts[15..].iter().map(String::as_str).collect());
    let confidences: Vec<f64> = column(&rows, "confidence").iter().map(|text| text.parse().unwrap()).collect();
    assert!(confidences.is_sorted(), "the least confident first: {confidences:?}");

    // What was filled in is trained on beside the old rows.
    let filled: String = rows[1..].iter().map(|row| format!("{},positive,{}\n", row[0], row[2..].join(","))).collect();
    scene.write("filled.csv", format!("{}\n{filled}", rows[0].join(",")));
    scene
        .rehead(
            "train --train train.csv filled.csv --model bare --strategy frozen --precision fp32 --threads 1 --out 2",
        )
        .ok();

    let all = csv(&texts.iter().map(|text| (text.clone(), "negative")).collect::<Vec<_>>());
    scene.write("all.csv", all);
    scene
        .rehead(&format!("suggest {MODEL} --input all.csv --count 3 --output none.csv"))
        .refused()
        .says(&["no row is left to suggest: 30 with a label in the column `label`", "--label"]);
    assert!(!scene.exists("none.csv"));
}

#[test]
fn every_format_is_written() {
    let scene = scene();
    let texts = new_texts(&scene, 60);
    scene.write("in.txt", texts.join("\n"));
    let numbers = |output: &str| {
        // Read back by the program itself.
        let command = format!("label {MODEL} --input {output} --output back.csv --column-prefix again_ --quiet");
        scene.rehead(&command).ok();
        let back = scene.text("back.csv");
        let rows = fields(&back);
        assert_eq!(column(&rows, "predicted_label"), column(&rows, "again_predicted_label"));
        let rows: Vec<(String, String)> = column(&rows, "row")
            .iter()
            .zip(column(&rows, "text"))
            .map(|(number, text)| ((*number).to_owned(), text.to_owned()))
            .collect();
        assert!(rows.iter().all(|(number, text)| texts[number.parse::<usize>().unwrap() - 1] == *text), "{rows:?}");
        rows
    };
    let suggest = |input: &str, output: &str| {
        scene.rehead(&format!("suggest {MODEL} --input {input} --count 5 --output {output} --quiet")).ok();
    };
    suggest("in.txt", "out.csv");
    let expected = numbers("out.csv");
    assert_eq!(expected.len(), 5);
    for kind in ["tsv", "jsonl", "xlsx", "parquet"] {
        suggest("in.txt", &format!("out.{kind}"));
        assert_eq!(numbers(&format!("out.{kind}")), expected, "{kind}");
    }
    // Rows of a Parquet file keep their columns, in another order than they were read.
    scene.rehead(&format!("label {MODEL} --input in.txt --output all.csv --quiet")).ok();
    let lines: String = texts.iter().enumerate().map(|(index, text)| format!("{index},{text}\n")).collect();
    scene.write("numbered.csv", format!("id,text\n{lines}"));
    scene.rehead(&format!("label {MODEL} --input numbered.csv --output in.parquet --column-prefix old_ --quiet")).ok();
    suggest("in.parquet", "from.parquet");
    assert_eq!(numbers("from.parquet"), expected);
    suggest("in.parquet", "from.csv");
    let rows = scene.text("from.csv");
    let rows = fields(&rows);
    for (id, number) in column(&rows, "id").iter().zip(column(&rows, "row")) {
        assert_eq!(id.parse::<usize>().unwrap() + 1, number.parse::<usize>().unwrap());
    }
    let piped =
        scene.rehead(&format!("suggest {MODEL} --input - --count 5 --output - --quiet")).input(texts.join("\n"));
    assert_eq!(piped.ok().stdout_text(), scene.text("out.csv"));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let scene = scene();
    scene.write("in.csv", "text\na good film\n");
    let before = scene.everything();
    let refused = |words: &str, parts: &[&str]| {
        scene.rehead(&format!("suggest {words}")).refused().says(parts);
    };
    refused(&format!("{MODEL} --input in.csv --count 0 --output out.csv"), &["--count", "from 1 to 10000"]);
    refused("--model nowhere --input in.csv --count 1 --output out.csv", &["nowhere"]);
    refused("--model bare --input in.csv --count 1 --output out.csv", &["bare"]);
    refused(&format!("{MODEL} --input none.csv --count 1 --output out.csv"), &["none.csv"]);
    refused(&format!("{MODEL} --input in.csv --count 1 --output in.csv"), &["the output is the input file"]);
    refused(
        &format!("{MODEL} --input in.csv --count 1 --output out.txt"),
        &["no columns for the labels", "write .csv"],
    );
    refused(&format!("{MODEL} --input in.csv --count 1 --output folder/out.csv"), &["mkdir -p folder"]);
    refused(&format!("{MODEL} --input in.csv --count 1 --output run"), &["the output is a directory"]);
    refused(&format!("{MODEL} --input in.csv --count 1 --output /dev/stdout --text x"), &["`x`"]);
    refused(&format!("{MODEL} --input in.csv --labelled none.csv --count 1 --output out.csv"), &["none.csv"]);
    scene.write("labelled.csv", "text,confidence\na good film,1\n");
    refused(&format!("{MODEL} --input labelled.csv --count 1 --output out.csv"), &["confidence", "--column-prefix"]);
    scene.write("empty.csv", "text\n\" \"\n");
    refused(&format!("{MODEL} --input empty.csv --count 1 --output out.csv"), &["no row is left", "1 without a text"]);
    scene.remove("labelled.csv");
    scene.remove("empty.csv");
    assert_eq!(scene.everything(), before);
}

#[test]
fn images_are_suggested_too() {
    let scene = scene_with_net();
    let mut lottery = Lottery(3);
    for (folder, count) in [("train/left", 6), ("train/right", 6), ("new", 12)] {
        std::fs::create_dir_all(scene.path(folder)).unwrap();
        for index in 0..count {
            let left = folder.ends_with("left") || index % 2 == 0;
            half_bright(&mut lottery, 32, 32, left).save(scene.path(format!("{folder}/{index}.png"))).unwrap();
        }
    }
    // One of training's, one twice, and one that is none.
    scene.copy("train/left/0.png", "new/known.png");
    scene.copy("new/1.png", "new/twice.png");
    scene.write("new/torn.png", "no image");
    let train = "train --train train --model net --init random --strategy frozen --valid train --device cpu \
                 --precision fp32 --threads 1 --out run --quiet";
    scene.rehead(train).ok();
    let output =
        scene.rehead(&format!("suggest {MODEL} --input new --count 4 --output out.csv --on-bad-input skip")).ok();
    output.says(&["1 that are labelled already", "1 that repeat an earlier one", "1 that could not be read"]);
    let written = scene.text("out.csv");
    let rows = fields(&written);
    assert_eq!(rows.len(), 5, "{written}");
    assert!(rows[1..].iter().all(|row| scene.exists(&format!("new/{}", row[0])) && row[0] != "known.png"), "{written}");
}
