//! What a run and an evaluation leave beside the scores: predictions that can be joined with the data, the mistakes among
//! them, and the knowledge of what was trained on.

mod support;

use support::{Scene, fields, sentiment};

const TRAIN: &str = "train --model bare --device cpu --precision fp32 --threads 1";

/// Rows with an identifier and a number beside text and label; every tenth label is wrong, so that there are mistakes.
fn table(rows: usize, seed: u64, name: &str) -> String {
    let lines: String = sentiment(rows, seed)
        .into_iter()
        .enumerate()
        .map(|(row, (text, label))| {
            let other = if label == "negative" { "positive" } else { "negative" };
            let label = if row % 10 == 9 { other } else { label };
            format!("{name}{row},{text},{label},{}\n", row * 7)
        })
        .collect();
    format!("id,text,label,stars\n{lines}")
}

/// The rows of a file without quoted fields, each by its header.
fn records(csv: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let rows = fields(csv);
    let record = |row: &Vec<&str>| {
        assert_eq!(row.len(), rows[0].len(), "{csv}");
        rows[0].iter().zip(row).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    rows[1..].iter().map(record).collect()
}

#[test]
fn predictions_are_joined_to_the_data_by_row_and_columns() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", table(80, 1, "a"));
    scene.write("test.csv", table(30, 2, "t"));
    scene.rehead(&format!("{TRAIN} --train train.csv --test test.csv --strategy frozen --out run")).ok();
    for (split, file) in [("valid", "train.csv"), ("test", "test.csv")] {
        let predictions = scene.text(&format!("run/predictions/{split}.csv"));
        let header = "row,id,text,stars,label,prediction,confidence,p_negative,p_positive\n";
        assert!(predictions.starts_with(header), "{predictions}");
        let data = scene.text(file);
        let data = records(&data);
        let rows = records(&predictions);
        assert!(rows.len() == 30 || split == "valid" && (4..20).contains(&rows.len()), "{}", rows.len());
        for row in &rows {
            let number: usize = row["row"].parse().unwrap();
            for column in ["id", "text", "stars", "label"] {
                assert_eq!(row[column], data[number - 1][column], "{split}, row {number}, {column}");
            }
            assert_eq!(row["confidence"], row[&format!("p_{}", row["prediction"])]);
        }
    }
    // The mistakes are the test's wrong rows, the most confident first.
    let wrong: Vec<_> = records(&scene.text("run/predictions/test.csv"))
        .into_iter()
        .filter(|row| row["label"] != row["prediction"])
        .collect();
    let mistakes = records(&scene.text("run/predictions/mistakes.csv"));
    assert!(!wrong.is_empty() && mistakes.len() == wrong.len(), "{} of {}", mistakes.len(), wrong.len());
    assert!(mistakes.iter().all(|row| wrong.contains(row)));
    let confidence: Vec<f64> = mistakes.iter().map(|row| row["confidence"].parse().unwrap()).collect();
    assert!(confidence.is_sorted_by(|a, b| a >= b), "{confidence:?}");
    // An evaluation leaves the same.
    scene.rehead("evaluate --model run --data test.csv --out found --precision fp32 --threads 1 --device cpu").ok();
    for name in ["test", "mistakes"] {
        let file = format!("predictions/{name}.csv");
        assert_eq!(scene.text(&format!("found/{file}")), scene.text(&format!("run/{file}")));
    }
}

#[test]
fn several_files_and_taken_names_are_told_apart() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("a.csv", table(40, 1, "a").replace("id,text,label,stars", "row,text,label,confidence"));
    let objects: String = sentiment(40, 3)
        .into_iter()
        .map(|(text, label)| format!("{{\"text\":\"{text}\",\"label\":\"{label}\",\"source\":{{\"n\":1}}}}\n"))
        .collect();
    scene.write("b.jsonl", objects);
    let words = format!("{TRAIN} --train a.csv --train b.jsonl --valid-fraction 0.3 --strategy frozen --out run");
    let outcome = scene.rehead(&words).ok();
    outcome.says(&["the data's column `row` is called `input_row` in the predictions", "`input_confidence`"]);
    let predictions = scene.text("run/predictions/valid.csv");
    assert!(
        predictions
            .starts_with("row,file,input_row,text,input_confidence,source,label,prediction,confidence,p_negative,"),
        "{predictions}"
    );
    let data = scene.text("a.csv");
    let mut files = std::collections::BTreeSet::new();
    for line in predictions.lines().skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        files.insert(row[1].to_owned());
        if row[1] == "a.csv" {
            let number: usize = row[0].parse().unwrap();
            assert!(data.lines().nth(number).unwrap().starts_with(&format!("{},{},", row[2], row[3])), "{line}");
        }
    }
    assert_eq!(files.into_iter().collect::<Vec<_>>(), ["a.csv", "b.jsonl"]);
}

/// A label column of another name stays beside what was made of it.
#[test]
fn the_datas_own_labels_stay() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", table(60, 1, "a").replace("id,text,label", "id,body,mood"));
    let words = format!("{TRAIN} --train train.csv --text body --label mood --strategy frozen --out run");
    scene.rehead(&words).ok();
    let predictions = scene.text("run/predictions/valid.csv");
    assert!(predictions.starts_with("row,id,body,mood,stars,label,prediction,confidence,"), "{predictions}");
    assert!(records(&predictions).iter().all(|row| row["mood"] == row["label"]));
}

#[test]
fn rows_that_were_trained_on_are_known_again() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", table(80, 1, "a"));
    scene.write("new.csv", table(30, 2, "n"));
    scene.rehead(&format!("{TRAIN} --train train.csv --strategy frozen --out run")).ok();
    let trained = scene.json("run/metrics.json")["train_rows"].as_u64().unwrap();
    // Copied, under another name, in another order, with other columns and in another format.
    let mut rows = records(&scene.text("train.csv"));
    rows.reverse();
    let objects: String =
        rows.iter().map(|row| format!("{{\"label\":\"{}\",\"text\":\"{}\"}}\n", row["label"], row["text"])).collect();
    scene.write("copy.jsonl", objects);
    let evaluate = "evaluate --model run --threads 1 --quiet --data";
    let said =
        format!("{trained} of 80 rows are rows that this model was trained on: the score says nothing about new");
    for file in ["train.csv", "copy.jsonl"] {
        let outcome = scene.rehead(&format!("{evaluate} {file}")).ok();
        outcome.says(&[&said]);
    }
    // The page and the metrics say it too, and choose nothing by such rows.
    let section = |page: &str, id: &str| {
        let page = scene.text(page);
        let (_, section) = page.split_once(&format!("<section id=\"{id}\"")).unwrap();
        section.split("<section").next().unwrap().to_owned()
    };
    let untrained = "The network was not trained on these rows";
    scene.rehead(&format!("{evaluate} train.csv --out again")).ok();
    assert!(scene.json("again/metrics.json")["data_warnings"][0].as_str().unwrap().starts_with(&said));
    assert!(section("again/report.html", "result").contains(&said));
    assert!(section("again/report.html", "next").contains(&said));
    assert!(section("again/report.html", "thresholds").contains("they recommend no threshold"));
    let doubtful = section("again/report.html", "label-errors");
    assert!(!doubtful.contains(untrained) && doubtful.contains(&format!("trained on {trained} rows")), "{doubtful}");
    scene.rehead(&format!("{evaluate} new.csv --out fresh")).ok();
    assert!(scene.json("fresh/metrics.json").get("data_warnings").is_none());
    assert!(section("fresh/report.html", "label-errors").contains(untrained));
    let outcome = scene.rehead(&format!("{evaluate} new.csv")).ok();
    outcome.check(!outcome.stderr.contains("trained on"), "nothing about new rows");
    // A few of them among new ones.
    let few: Vec<String> = scene.text("run/predictions/valid.csv").lines().map(str::to_owned).collect();
    let held_out: Vec<&str> = few[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    let train = scene.text("train.csv");
    let one =
        train.lines().enumerate().skip(1).find(|(row, _)| !held_out.contains(&row.to_string().as_str())).unwrap().1;
    scene.write("mixed.csv", format!("{}{one}\n", scene.text("new.csv")));
    let outcome = scene.rehead(&format!("{evaluate} mixed.csv")).ok();
    outcome
        .says(&["1 of 31 rows is a row that this model was trained on: the score is too optimistic about new texts"]);
    // A run of an earlier version does not know.
    scene.remove("run/trained_rows.bin");
    let outcome = scene.rehead(&format!("{evaluate} train.csv")).ok();
    outcome.check(!outcome.stderr.contains("trained on"), "nothing without the digests");
}
