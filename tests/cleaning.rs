//! Labels and columns as exports have them: which columns are used, how labels are cleaned before they become classes,
//! and several files as one.

mod support;

use serde_json::json;
use support::{BASIC, Scene, csv, fields, sentiment, training_scene, weights};

/// A frozen run on tiny data, everything but the data fixed.
const FROZEN: &str = "train --model bare --strategy frozen --device cpu --precision fp32 --threads 1 --out run";

#[test]
fn several_training_files_are_read_as_one() {
    let scene = training_scene();
    let rows = sentiment(64, 1);
    scene.write("a.csv", csv(&rows[..40]));
    let lines: Vec<String> =
        rows[40..].iter().map(|(text, label)| format!("{{\"text\": {text:?}, \"label\": {label:?}}}")).collect();
    scene.write("b.jsonl", lines.join("\n"));
    scene.rehead(&format!("{BASIC} --strategy frozen --out whole")).ok();
    let parts = BASIC.replace("--train train.csv", "--train a.csv --train b.jsonl");
    scene.rehead(&format!("{parts} --strategy frozen --out run")).ok().says(&["64 rows (a.csv 40, b.jsonl 24)"]);
    assert_eq!(weights(&scene, "run"), weights(&scene, "whole"));
    // One flag with both, the file of settings, and what the run has saved say the same.
    assert!(scene.text("run/rehead.toml").contains("train = [\"a.csv\", \"b.jsonl\"]"));
    let parts = BASIC.replace("--train train.csv", "--train a.csv b.jsonl");
    scene.rehead(&format!("{parts} --strategy frozen --out one_flag")).ok();
    assert_eq!(weights(&scene, "one_flag"), weights(&scene, "whole"));
    scene.rehead("train --config run/rehead.toml --out again --quiet").ok();
    assert_eq!(weights(&scene, "again"), weights(&scene, "whole"));
    scene.rehead("advise --train a.csv b.jsonl --model bare").ok().says(&["64 rows (a.csv 40, b.jsonl 24)"]);
}

#[test]
fn training_files_must_agree_and_messages_name_the_file() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("a.csv", csv(&sentiment(20, 1)));
    scene.write("b.csv", "body,label\nfine film,positive\n");
    let two = |files: &str| scene.rehead(&format!("{FROZEN} --train {files}"));
    two("a.csv b.csv").refused().says(&["b.csv: column `text`: there is no such column, which a.csv has", "`body`"]);
    scene.write("b.csv", "text,label\nfine film,positive\ndull film,\n");
    two("a.csv b.csv").refused().says(&["b.csv: column `label`: 1 of 22 labels is empty: row 2 of b.csv"]);
    two("a.csv a.csv").refused().says(&["a.csv is given twice"]);
    scene.write("b.csv", "text,label\n");
    two("a.csv b.csv").refused().says(&["b.csv: ", "no rows"]);
}

/// A run trained on the columns `text` and `label` of a file, named as given.
fn run_on(columns: &str, text: &str, label: &str) -> Scene {
    let scene = Scene::with_models(&["bare"]);
    let fields = columns.split(',').count() - 2;
    let rows: String = sentiment(40, 1)
        .iter()
        .map(|(text, label)| format!("{text},{}{label}\n", "it was good,".repeat(fields)))
        .collect();
    scene.write("train.csv", format!("{columns}\n{rows}"));
    scene.rehead(&format!("{FROZEN} --train train.csv --quiet --text {text} --label {label}")).ok();
    scene
}

#[test]
fn a_file_without_the_trained_column_is_refused() {
    let scene = run_on("comment_text,category", "comment_text", "category");
    scene.write("new.csv", "id,comment_body,title\n1,dreadful and dull,A masterpiece\n");
    let label = "label --model run --output - --quiet --input";
    scene.rehead(&format!("{label} new.csv")).refused().says(&[
        "new.csv: the model was trained on the column `comment_text`",
        "`id`, `comment_body` and `title`",
        "hint: name the column that holds the same: --text COL",
    ]);
    let outcome = scene.rehead(&format!("{label} new.csv --text comment_body")).ok();
    assert_eq!(outcome.stderr, "");
    // Pairs are no single texts.
    scene.write("pairs.csv", "text_a,text_b\na cat sat,the cat sat\n");
    scene.rehead(&format!("{label} pairs.csv")).refused().says(&["`comment_text`", "--text COL"]);
    scene.rehead(&format!("{label} pairs.csv --text text_a,text_b")).refused().says(&["trained on single texts"]);
    // The same name in another case is the same column; it goes before another that has a usual name.
    scene.write("case.csv", "text,Comment_Text\nbad,good fun\n");
    let outcome = scene.rehead("label --model run --output - --input case.csv").ok();
    outcome.says(&["text = Comment_Text (as in training)"]);
    // What can only be the text is taken, and said even when quiet.
    for (content, column) in
        [("review\ngood fun\n", "review"), ("id,text\n1,good\n", "text"), ("answer,label\ngood,x\n", "answer")]
    {
        scene.write("one.csv", content);
        let outcome = scene.rehead(&format!("{label} one.csv")).ok();
        outcome.says(&["warning: one.csv: the model was trained on the text column `comment_text`", column]);
    }
    for content in ["id,price\n1,3\n", "text,title\na,b\n", "id,label\n1,a\n"] {
        scene.write("none.csv", content);
        scene.rehead(&format!("{label} none.csv")).refused().says(&["`comment_text`"]);
    }
    // Lines have no columns to choose from.
    let outcome = scene.rehead(&format!("{label} -")).input("good fun\n").ok();
    assert_eq!(outcome.stderr, "");
}

#[test]
fn evaluate_takes_the_trained_label_column_or_none() {
    let scene = run_on("comment,category", "comment", "category");
    let evaluate = "evaluate --model run --quiet --data";
    scene.write("a.csv", "comment,sentiment,stars\ngood fun,positive,5\n");
    scene.rehead(&format!("{evaluate} a.csv")).refused().says(&["label column `category`", "--label COL"]);
    scene.rehead(&format!("{evaluate} a.csv --label sentiment")).ok();
    scene.write("b.csv", "comment,label\ngood fun,positive\n");
    scene.rehead(&format!("{evaluate} b.csv")).ok().says(&["warning: ", "the label column `category`", "`label`"]);
    scene.write("c.csv", "body,category\ngood fun,positive\n");
    scene.rehead(&format!("{evaluate} c.csv")).ok().says(&["warning: ", "the text column `comment`", "`body`"]);
    scene.write("d.csv", "body,subject,category\ngood fun,a,positive\n");
    scene.rehead(&format!("{evaluate} d.csv")).refused().says(&["`comment`", "--text COL"]);
}

#[test]
fn a_model_of_pairs_refuses_single_texts() {
    let scene = run_on("first,second,label", "first,second", "label");
    let label = "label --model run --output - --quiet --input";
    scene.write("single.csv", "text\na cat sat\n");
    scene.rehead(&format!("{label} single.csv")).refused().says(&["`first` and `second`, a pair of texts", "--text"]);
    scene.write("half.csv", "first,text\na cat sat,good\n");
    scene.rehead(&format!("{label} half.csv")).refused().says(&["`second` is not in this file"]);
    scene.rehead(&format!("{label} half.csv --text text")).refused().says(&["trained on pairs of texts"]);
    scene.rehead(&format!("{label} half.csv --text first,text")).ok();
    scene.rehead(&format!("{label} -")).input("good fun\n").refused().says(&["`first` and `second`"]);
    scene.write("evaluate.csv", "text,label\na cat sat,positive\n");
    scene.rehead("evaluate --model run --data evaluate.csv").refused().says(&["`first` and `second`"]);
}

#[test]
fn names_with_commas_are_names_first() {
    let scene = Scene::with_models(&["bare"]);
    let rows: String = sentiment(40, 1).iter().map(|(text, label)| format!("{text},so,{label}\n")).collect();
    scene.write("train.csv", format!("\"What did you like, and why?\",Other,Rating\n{rows}"));
    let question = "What did you like, and why?";
    let train = || scene.rehead(&format!("{FROZEN} --train train.csv --label Rating")).arg("--text").arg(question);
    train().ok();
    scene.write("new.csv", "\"What did you like, and why?\",id\ngood fun,1\n");
    for command in
        ["label --model run --input new.csv --output - --quiet", "label --model run --input - --output - --quiet"]
    {
        let content = scene.bytes("new.csv");
        let known = scene.rehead(command).input(&content).ok();
        let named = scene.rehead(command).arg("--text").arg(question).input(&content).ok();
        assert_eq!(known.stdout_text(), named.stdout_text());
        assert!(known.stdout_text().starts_with("\"What did you like, and why?\",id,predicted_label"), "{known}");
    }
    scene.rehead("inspect train.csv --label Rating --text").arg(question).ok();
    scene.rehead("evaluate --model run --data train.csv --quiet --text").arg(question).ok();
    // Such a name in a pair: the flag is given twice.
    scene.remove("run");
    train().arg("--text").arg("Other").ok();
    assert!(scene.text("run/rehead.toml").contains("text = [\"What did you like, and why?\", \"Other\"]"));
    scene.rehead("evaluate --model run --data train.csv --quiet").ok();
    // Lists are still lists.
    scene.remove("run");
    scene.write("plain.csv", "a,b,label\nx,good,y\nz,bad,n\nx,fun,y\nz,bore,n\n");
    scene.rehead(&format!("{FROZEN} --train plain.csv --text a,b --valid-fraction 0.5")).ok();
    assert!(scene.text("run/rehead.toml").contains("text = [\"a\", \"b\"]"));
    for (text, says) in [("a,a", "named twice"), ("a,", "without a name"), ("a,x", "no such column")] {
        let outcome = scene.rehead(&format!("inspect plain.csv --text {text}")).ok();
        assert!(outcome.stdout_text().contains(says), "{outcome}");
    }
}

#[test]
fn three_columns_are_parts_of_one_text() {
    let scene = Scene::with_models(&["bare"]);
    let rows = sentiment(40, 1);
    let parts: String = rows.iter().map(|(text, label)| format!("it was,{text},,{label}\n")).collect();
    scene.write("parts.csv", format!("title,body,notes,label\n{parts}"));
    let joined: String = rows.iter().map(|(text, label)| format!("it was | {text},{label}\n")).collect();
    scene.write("joined.csv", format!("text,label\n{joined}"));
    let train = "train --model bare --strategy frozen --device cpu --precision fp32 --threads 1";
    scene.rehead(&format!("{train} --train parts.csv --text title,body,notes --out run")).ok();
    scene.rehead(&format!("{train} --train joined.csv --out joined")).ok();
    assert_eq!(weights(&scene, "run"), weights(&scene, "joined"));
    scene.write("new.csv", "notes,body,title\nthe end,good fun,a film\n");
    scene.write("new_joined.csv", "text\na film | good fun | the end\n");
    let label = |model: &str, file: &str| {
        let call = scene.rehead(&format!("label --model {model} --input {file} --output - --quiet --probabilities"));
        call.ok().stdout_text().lines().nth(1).unwrap().rsplitn(5, ',').take(4).collect::<Vec<_>>().join(",")
    };
    assert_eq!(label("run", "new.csv"), label("joined", "new_joined.csv"));
    scene.rehead("evaluate --model run --data parts.csv").ok();
    scene.write("new.jsonl", r#"{"title": "a film", "notes": null, "body": "good fun"}"#);
    scene.write("new_joined.csv", "text\na film | good fun\n");
    let labelled = scene.rehead("label --model run --input new.jsonl --output - --quiet").ok();
    let confidence = labelled.json()["confidence"].as_f64().unwrap().to_string();
    let expected = label("joined", "new_joined.csv");
    assert!(expected.contains(&confidence), "{confidence} in {expected}");
    scene.write("two.csv", "title,body\na film,good fun\n");
    scene.rehead("label --model run --input two.csv --output -").refused().says(&["`notes` is not in this file"]);
}

/// Rows of two classes with labels as given, in turn.
fn rows_with(labels: &[&str], rows: usize) -> String {
    let texts = sentiment(rows, 9);
    let lines: String = texts
        .iter()
        .zip(labels.iter().cycle())
        .map(|((text, _), label)| format!("{text},\"{}\"\n", label.replace('"', "\"\"")))
        .collect();
    format!("text,label\n{lines}")
}

fn metrics_labels(scene: &Scene) -> Vec<String> {
    let metrics = scene.json("run/metrics.json");
    let classes = metrics["valid"]["per_class"].as_object().unwrap();
    classes.keys().cloned().collect()
}

#[test]
fn invisible_characters_around_labels_are_taken_off() {
    let scene = Scene::with_models(&["bare"]);
    let labels = ["negative", "positive", "\u{FEFF}negative", "positive\u{200B}", "negative\u{A0}", "positive  "];
    scene.write("train.csv", rows_with(&labels, 48));
    let outcome = scene.rehead(&format!("{FROZEN} --train train.csv")).ok();
    let outcome = outcome.says(&["48 rows, 2 classes: negative 24, positive 24", "taken off 32 labels"]);
    assert!(!outcome.stderr.contains("look alike"), "{outcome}");
    assert_eq!(metrics_labels(&scene), ["negative", "positive"]);
    scene.rehead("evaluate --model run --data train.csv").ok();
    let inspected = scene.rehead("inspect train.csv").ok();
    assert!(inspected.stdout_text().contains("classes (2)"), "{inspected}");
}

#[test]
fn labels_that_look_alike_are_named_and_merged() {
    for labels in [["Negative", "positive", "negative", "Positive"], ["café", "thé", "cafe\u{301}", "the\u{301}"]] {
        let scene = Scene::with_models(&["bare"]);
        let weighted = [labels[0], labels[1], labels[0], labels[1], labels[2], labels[3]];
        scene.write("train.csv", rows_with(&weighted, 48));
        let (first, second) = (format!("`{}` 16, `{}` 8", labels[0], labels[2]), "--merge-labels makes them one");
        let outcome = scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok();
        outcome.says(&["warning: labels that look alike are different classes", &first, second]);
        let inspected = scene.rehead("inspect train.csv").ok();
        assert!(inspected.stdout_text().contains(&first), "{inspected}");
        assert!(scene.text("run/report.html").contains("look alike and count as different classes"));
        scene.remove("run");
        let outcome = scene.rehead(&format!("{FROZEN} --train train.csv --merge-labels")).ok();
        outcome.says(&[&format!("merged into `{}` (16 rows): `{}` 8", labels[0], labels[2]), "48 rows, 2 classes:"]);
        let kept = metrics_labels(&scene);
        assert!(kept.len() == 2 && kept.contains(&labels[0].to_owned()), "{kept:?}");
        // The raw file again: what training did is done to it.
        let evaluated = scene.rehead("evaluate --model run --data train.csv --json").ok();
        assert_eq!(evaluated.json()["test"]["rows"], 48);
    }
}

#[test]
fn empty_labels_stop_or_are_left_out() {
    let scene = training_scene();
    let with_empty = |name: &str| {
        let mut lines: Vec<String> = scene.text(name).lines().map(str::to_owned).collect();
        for row in [3, 14] {
            let (text, _) = lines[row].rsplit_once(',').unwrap();
            lines[row] = format!("{text},{}", if row == 3 { "" } else { " \u{200B}" });
        }
        scene.write(name, lines.join("\n"));
    };
    with_empty("train.csv");
    let train = format!("{BASIC} --strategy frozen");
    scene.rehead(&format!("{train} --out run")).refused().says(&[
        "train.csv: column `label`: 2 of 64 labels are empty: rows 3, 14 (the first on line 4)",
        "--on-empty-label skip",
    ]);
    scene.rehead("advise --train train.csv --model bare").refused().says(&["2 of 64 labels are empty"]);
    scene.rehead("advise --train train.csv --model bare --on-empty-label skip").ok().says(&["62 rows"]);
    let says = ["62 rows, 2 classes", "2 rows without a label left out"];
    scene.rehead(&format!("{train} --out run --on-empty-label skip")).ok().says(&says);
    let inspected = scene.rehead("inspect train.csv").ok();
    assert!(inspected.stdout_text().contains("no label in 2 rows (3.1 %), the first in row 3"), "{inspected}");
    with_empty("test.csv");
    scene.rehead("evaluate --model run --data test.csv").refused().says(&["2 of 20 labels are empty: rows 3, 14"]);
    let evaluated = scene.rehead("evaluate --model run --data test.csv --on-empty-label skip --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 18);
    scene.write("x.jsonl", "{\"text\":\"bad\",\"label\":null}\n{\"text\":\"good\",\"label\":\"positive\"}\n");
    scene.rehead("evaluate --model run --data x.jsonl").refused().says(&["1 of 2 labels is empty: row 1"]);
    let evaluated = scene.rehead("evaluate --model run --data x.jsonl --on-empty-label skip --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 1);
}

/// `label` gives an empty text no label: none is trained on, and none is scored.
#[test]
fn empty_texts_are_neither_trained_on_nor_scored() {
    let scene = training_scene();
    let empty = ",negative\n  ,positive\n\u{200b}\u{feff},positive\n";
    for name in ["train.csv", "test.csv"] {
        scene.write(name, format!("{}{empty}", scene.text(name)));
    }
    let left_out = |name: &str, first: usize| {
        format!("{name}: 3 rows left out, since the text is empty; the first is row {first}")
    };
    let outcome = scene.rehead(&format!("{BASIC} --strategy frozen --test test.csv --quiet --out run")).ok();
    outcome.check(!outcome.stderr.contains("another label"), "no contradiction of empty texts");
    outcome.says(&[&left_out("train.csv", 65), &left_out("test.csv", 21)]);
    let metrics = scene.json("run/metrics.json");
    assert_eq!((&metrics["train_rows"], &metrics["test"]["rows"]), (&json!(64), &json!(20)));
    assert_eq!(metrics["data_warnings"], json!([left_out("train.csv", 65), left_out("test.csv", 21)]));
    let predictions = scene.text("run/predictions/test.csv");
    let rows: Vec<usize> = fields(&predictions)[1..].iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(rows, (1..=20).collect::<Vec<_>>());
    let page = scene.text("run/report.html");
    let (_, data) = page.split_once("<section id=\"data\"").unwrap();
    assert!(data.contains("3 rows with an empty text left out") && data.contains(&left_out("test.csv", 21)));

    let outcome = scene.rehead("evaluate --model run --data test.csv --json --quiet").ok();
    assert_eq!(outcome.json()["test"]["rows"], 20);
    assert_eq!(outcome.json()["data_warnings"], json!([left_out("test.csv", 21)]));
    outcome.says(&[&left_out("test.csv", 21)]);
    scene.rehead("label --model run --input test.csv --output out.csv").ok().says(&["20 of 23 rows labelled"]);
    let words =
        "compare --train train.csv --valid valid.csv --test test.csv --model bare --strategies frozen --seeds 1";
    scene.rehead(&format!("{words} --out both")).ok().says(&[&left_out("test.csv", 21)]);
    for run in ["frozen/seed-42", "tf-idf", "majority"] {
        assert_eq!(scene.json(&format!("both/{run}/metrics.json"))["test"]["rows"], 20, "{run}");
    }
    scene.rehead("inspect train.csv").ok().shows(&["`train` and `evaluate` leave the row out", ": 3 rows (4.5 %)"]);
    // Of a pair and of several columns all must be empty.
    for (columns, rows) in [("a,b", "good,\n,bad\n ,\u{200b}\n"), ("a,b,c", "good,,\n,,bad\n , ,\u{200b}\n")] {
        let rows: String = rows.lines().map(|row| format!("{row},x\n{row} ,y\n")).collect();
        scene.write("parts.csv", format!("{columns},label\n{rows}"));
        scene.copy("parts.csv", "more.csv");
        let outcome = scene.rehead(&format!("inspect parts.csv more.csv --text {columns}")).ok();
        outcome.shows(&["gets 8 rows", "4 rows with an empty text left out"]);
    }
    scene.write("test.csv", format!("text,label\n{empty}"));
    let outcome = scene.rehead("evaluate --model run --data test.csv").refused();
    outcome.says(&["test.csv: the text of each row is empty: 3 rows of `text`", "--text COL"]);
}

/// What has no text or no label is neither repeated nor in contradiction to anything.
#[test]
fn only_labelled_texts_repeat_and_contradict() {
    let scene = Scene::with_models(&[]);
    scene.write("x.csv", "text,label\ngood,x\nbad,y\ngood,\n,x\n ,y\ngood,\n");
    let report = scene.rehead("inspect x.csv --json").ok().json();
    assert_eq!(
        (&report["duplicates"], &report["contradictions"], &report["empty_texts"]),
        (&json!(0), &json!(0), &json!(2))
    );
    scene.write("new.csv", "text,id\ngood,1\nbad,2\ngood,3\n,4\n,5\n");
    let outcome = scene.rehead("inspect new.csv").ok();
    outcome.check(!outcome.stdout_text().contains("text and label"), "there are no labels");
    outcome.shows(&["no label column found", "the text of an earlier row repeated: 1 row (20.0 %)"]);
}

#[test]
fn a_label_map_renames_and_leaves_out() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_with(&["bad", "good", "awful", "great", "junk"], 60));
    scene.write("map.csv", "from,to\nbad,negative\nawful,negative\ngood,positive\ngreat,positive\njunk,\nGood,x\n");
    let train = |map: &str| scene.rehead(&format!("{FROZEN} --train train.csv --label-map {map}")).ok();
    train("map.csv").says(&[
        "48 rows, 2 classes: negative 24, positive 24",
        "map.csv: 48 rows renamed, 12 rows left out",
        "warning: map.csv: `Good` never appears in the training data (`Good`: did you mean `good`?)",
    ]);
    assert_eq!(metrics_labels(&scene), ["negative", "positive"]);
    let whole = weights(&scene, "run");
    // Raw labels and new ones mean the same to the model.
    scene.write("test.csv", "text,label\ngood fun,great\nbad film,negative\nbore,junk\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 2);
    evaluated.says(&["left out as in training: `junk` 1"]);
    scene.write(
        "map.json",
        r#"{"bad": "negative", "awful": "negative", "good": "positive", "great": "positive", "junk": ""}"#,
    );
    scene.write("map.toml", "bad = 'negative'\nawful = 'negative'\ngood = 'positive'\ngreat = 'positive'\njunk = ''\n");
    for map in ["map.json", "map.toml"] {
        scene.remove("run");
        train(map);
        assert_eq!(weights(&scene, "run"), whole, "{map}");
    }
    // A validation file is resolved as the training file was.
    scene.remove("run");
    scene.write("valid.csv", rows_with(&["bad", "great", "junk"], 18));
    train("map.csv --valid valid.csv").says(&["12 rows, 2 classes", "6 rows left out"]);
    // And a model that has never seen a map gets one in `evaluate`.
    scene.write("raw.csv", "text,label\ngood fun,gut\nbad film,schlecht\n");
    scene.write("german.csv", "gut,positive\nschlecht,negative\n");
    scene.rehead("evaluate --model run --data raw.csv").refused().says(&["`gut` is unknown", "--label-map FILE"]);
    scene.rehead("evaluate --model run --data raw.csv --label-map german.csv").ok();
    scene.write("bad.csv", "a,b,c\n");
    scene.remove("run");
    for (map, says) in [("absent.csv", "absent.csv"), ("bad.csv", "3 fields where FROM,TO are two")] {
        scene.rehead(&format!("{FROZEN} --train train.csv --label-map {map}")).refused().says(&[says]);
    }
}

#[test]
fn rare_labels_are_named_left_out_or_put_together() {
    let scene = Scene::with_models(&["bare"]);
    let rare = "weird film,weird\nodd film,odd\nodd plot,odd\n";
    scene.write("train.csv", csv(&sentiment(60, 1)) + rare);
    let train = |more: &str| scene.rehead(&format!("{FROZEN} --train train.csv {more}"));
    let says = "warning: the class `weird` has one row; it can be neither split nor measured; --min-rows-per-label 2";
    train("").ok().says(&[says]);
    scene.remove("run");
    train("--min-rows-per-label 3").ok().says(&[
        "60 rows, 2 classes",
        "2 labels with fewer than 3 rows (3 rows together) are left out: `odd` 2, `weird` 1",
    ]);
    scene.write("test.csv", "text,label\ngood fun,positive\nweird,weird\nnew,new\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 1);
    scene.remove("run");
    train("--min-rows-per-label 3 --other rest").ok().says(&["63 rows, 3 classes", "become `rest`"]);
    let evaluated = scene.rehead("evaluate --model run --data test.csv --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 3);
    scene.remove("run");
    train("--other rest").refused().says(&["`data.other`", "--min-rows-per-label N"]);
    train("--min-rows-per-label 1000").refused().says(&["no row is left"]);
    let many: String = (0..13).map(|class| format!("text {class},class{class}\nmore {class},class{class}\n")).collect();
    scene.write("many.csv", csv(&sentiment(60, 1)) + &many);
    scene.rehead(&format!("{FROZEN} --train many.csv")).ok().says(&["positive 30, class0 2", "and 5 more"]);
}

#[test]
fn scores_and_joined_labels_are_no_classes() {
    let scene = Scene::with_models(&["bare"]);
    let scores: Vec<String> = (0..40).map(|tenth| format!("{:.1}", 1.0 + f64::from(tenth) / 10.0)).collect();
    let scores: Vec<&str> = scores.iter().map(String::as_str).collect();
    scene.write("scores.csv", rows_with(&scores, 160));
    scene.write("joined.csv", rows_with(&["a", "b", "a|b", "b|c", "c"], 60));
    scene.write("lists.csv", rows_with(&["['a', 'b']", "['b']", "['a']"], 60));
    let train = |file: &str, more: &str| scene.rehead(&format!("{FROZEN} --train {file} {more}"));
    for (file, says) in [
        ("scores.csv", "40 different numbers, such as `1.0`"),
        ("joined.csv", "several labels per row"),
        ("lists.csv", "several labels per row"),
    ] {
        match file {
            "scores.csv" => {
                train(file, "").refused().says(&[says, "--task", "hint: "]);
            }
            _ => {
                train(file, "").ok().says(&["task = multi-label (", says, "label_separator = |", "Micro-F1 on"]);
                scene.remove("run");
            }
        }
        let inspected = scene.rehead(&format!("inspect {file}")).ok();
        assert!(inspected.stdout_text().contains(says), "{inspected}");
        train(file, "--task single-label").ok().says(&["warning: ", says]);
        scene.remove("run");
    }
    train("scores.csv", "--task regression").ok().says(&["numbers from ", "RMSE on"]);
    scene.remove("run");
    // Not so sure: said, and trained.
    scene.write("stars.csv", rows_with(&["1.0", "1.5", "2.0", "2.5", "3.0", "3.5"], 60));
    train("stars.csv", "").ok().says(&["warning: the labels are 6 different numbers"]);
    scene.remove("run");
    let numbers: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    scene.write("numbers.csv", rows_with(&numbers.iter().map(String::as_str).collect::<Vec<_>>(), 160));
    train("numbers.csv", "").ok().says(&["warning: the labels are 40 different whole numbers"]);
}

#[test]
fn words_for_nothing_stay_labels_and_are_said() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_with(&["NA", "nan", "null", "0", "false"], 60));
    let outcome = scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok();
    outcome.says(&["warning: `NA` 12, `nan` 12, `null` 12 look like missing values and are taken as classes"]);
    assert_eq!(metrics_labels(&scene), ["0", "NA", "false", "nan", "null"]);
}

#[test]
fn odd_labels_are_labels() {
    let scene = Scene::with_models(&["bare"]);
    let long = "x".repeat(300);
    let labels = [
        "a, b",
        "say \"hi\"",
        "two\nlines",
        "🎉👨\u{200D}👩\u{200D}👧",
        &long,
        "../../etc",
        "=1+1",
        "p_a",
        "label_1",
        "</script><script>",
        "ש לום",
        "naïve",
    ];
    scene.write("train.csv", rows_with(&labels, 240));
    let outcome = scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok();
    assert_eq!(outcome.stderr, "");
    let mut expected: Vec<&str> = labels.to_vec();
    expected.sort_unstable();
    let mut kept = metrics_labels(&scene);
    kept.sort_unstable();
    assert_eq!(kept, expected);
    scene.rehead("evaluate --model run --data train.csv --quiet --out scores").ok();
    scene.rehead("label --model run --input train.csv --output out.csv --quiet --probabilities").ok();
}

#[test]
fn evaluate_takes_variants_of_the_models_labels() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_with(&["Very bad", "good"], 40));
    scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok();
    scene.write("test.csv", "text,label\nbad,very_bad\nbad,VERY BAD\nfun,good\nfun,mixed\n");
    scene
        .rehead("evaluate --model run --data test.csv")
        .refused()
        .says(&["the label `mixed` is unknown", "`mixed` 1×"]);
    scene.write("test.csv", "text,label\nbad,very_bad\nbad,VERY BAD\nfun,good\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --quiet").ok();
    evaluated.says(&["warning: taken as the model's label `Very bad`: `very_bad` 1, `VERY BAD` 1"]);
    // A head whose classes have no names, by their index.
    scene.copy("run", "unnamed");
    scene.edit_json("unnamed/config.json", |config| {
        config["id2label"] = serde_json::json!({"0": "LABEL_0", "1": "LABEL_1"});
        config["label2id"] = serde_json::json!({"LABEL_0": 0, "LABEL_1": 1});
    });
    scene.write("test.csv", "text,label\nbad,0\nfun,1\n");
    let evaluated = scene.rehead("evaluate --model unnamed --data test.csv --json --quiet").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 2);
    evaluated.says(&["taken as the model's label `LABEL_0`: `0` 1"]);
    scene.write("test.csv", "text,label\nbad,0\nfun,2\n");
    scene.rehead("evaluate --model unnamed --data test.csv").refused().says(&["the label `2` is unknown"]);
}

#[test]
fn a_run_is_not_resumed_with_labels_resolved_otherwise() {
    let scene = training_scene();
    scene.write("map.csv", "negative,bad\n");
    scene.rehead(&format!("{BASIC} --strategy frozen --label-map map.csv --out run")).ok();
    // As if it had been interrupted.
    scene.remove("run/metrics.json");
    for checkpoint in ["run/checkpoints", "run/model.safetensors"] {
        if scene.exists(checkpoint) {
            scene.remove(checkpoint);
        }
    }
    scene.write("map.csv", "negative,awful\n");
    scene.rehead("train --resume --out run").refused().says(&["the label map changed", "hint: "]);
    let origin = scene.text("run/origin.json");
    scene.remove("run/origin.json");
    scene.rehead("train --resume --out run").refused().says(&["other classes than when this run began"]);
    scene.write("run/origin.json", origin);
    scene.write("map.csv", "negative,bad\n");
    scene.rehead("train --resume --out run").ok();
}

/// A training file of some rows for each label, every text another one.
fn rows_of(labels: &[(&str, usize)]) -> String {
    let lines: Vec<String> = labels
        .iter()
        .enumerate()
        .flat_map(|(class, (label, rows))| (0..*rows).map(move |row| format!("fun {class} of {row},{label}\n")))
        .collect();
    format!("text,label\n{}", lines.concat())
}

#[test]
fn a_map_with_merging_stands_for_all_spellings() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_of(&[("Billing", 12), ("billing", 7), ("BILLING", 5), ("Shipping", 10)]));
    scene.write("map.csv", "Billing,Invoices\nship-ping,Delivery\n");
    let train = |more: &str| scene.rehead(&format!("{FROZEN} --train train.csv --label-map map.csv --quiet {more}"));
    train("").ok().says(&["warning: map.csv: `billing` 7, `BILLING` 5 look like the mapped `Billing`, but"]);
    scene.remove("run");
    let outcome = train("--merge-labels").ok();
    assert!(!outcome.stderr.contains("look like the mapped"), "{outcome}");
    assert_eq!(metrics_labels(&scene), ["Delivery", "Invoices"]);
    scene.write("test.csv", "text,label\nfun,BiLLing\nfun,invoices\nfun,SHIPPING\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 3);
    evaluated.says(&["labels are treated as in training: ", " renamed, spellings merged"]);
    // An exact spelling goes before one that looks like it, so names can be swapped.
    scene.remove("run");
    scene.write("map.csv", "Billing,Shipping\nbilling,Cards\nShipping,Billing\n");
    train("--merge-labels").ok().says(&["`BILLING` 5 looks like the mapped `Billing`, whose spellings have different"]);
    scene.remove("run");
    scene.write("map.csv", "Billing,Shipping\nShipping,Billing\n");
    train("--merge-labels").ok();
    let metrics = scene.json("run/label_rules.json");
    assert_eq!(metrics["renames"]["billing"], "Shipping", "{metrics}");
    assert_eq!(metrics["renames"]["Shipping"], "Billing", "{metrics}");
}

#[test]
fn maps_that_cannot_be_used_are_named_once_with_a_way() {
    let scene = training_scene();
    scene.write("map.csv", ",Unknown\nnegative,bad\n");
    let train = |more: &str| scene.rehead(&format!("{BASIC} --strategy frozen --out run {more}"));
    train("--label-map map.csv").refused().says(&["would call empty labels `Unknown`", "--on-empty-label skip"]);
    let outcome = train("--label-map absent.csv").refused();
    let outcome = outcome.says(&["absent.csv: no such file or directory", "hint: check the path after --label-map"]);
    assert_eq!(outcome.stderr.matches("absent.csv").count(), 1, "{outcome}");
    let outcome = train("--train train.csv").refused();
    let outcome = outcome.says(&["train.csv is given twice", "name each file once"]);
    assert_eq!(outcome.stderr.matches("train.csv").count(), 1, "{outcome}");
}

#[test]
fn evaluate_names_labels_that_training_never_saw() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_of(&[("Billing", 10), ("Shipping", 10), ("odd", 3), ("rare", 2)]));
    let train = |more: &str| scene.rehead(&format!("{FROZEN} --train train.csv --quiet {more}")).ok();
    train("--min-rows-per-label 5 --other other");
    scene.write("test.csv", "text,label\na,Billing\nb,GDPR\nc,Shiping\nd,odd\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --quiet").ok();
    evaluated.says(&[
        "warning: ",
        "`GDPR` 1, `Shiping` 1 are no labels of this model and are counted as `other`",
        "(`Shiping`: did you mean `Shipping`?)",
    ]);
    scene.remove("run");
    train("--min-rows-per-label 5");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --quiet").ok();
    evaluated.says(&["`GDPR` 1, `Shiping` 1 are no labels of this model and are left out"]);
    scene.write("test.csv", "text,label\nb,GDPR\nc,Shiping\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --quiet");
    evaluated.refused().says(&["no row is left after cleaning the labels (`GDPR` 1, `Shiping` 1)"]);
}

#[test]
fn missing_values_are_said_before_they_are_rare_and_small_rests_too() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_of(&[("a", 20), ("b", 20), ("N/A", 3), ("-", 2), ("None", 1)]));
    let clean = "--merge-labels --on-empty-label skip --min-rows-per-label 10 --other other";
    scene.rehead(&format!("{FROZEN} --train train.csv --quiet {clean}")).ok().says(&[
        "warning: `-` 2, `N/A` 3, `None` 1 look like missing values and become `other`; --label-map FILE",
        "warning: the class `other` has 6 rows itself, fewer than the 10 of --min-rows-per-label",
    ]);
}

#[test]
fn the_class_of_rare_labels_has_no_lookalike() {
    let scene = Scene::with_models(&["bare"]);
    scene.write("train.csv", rows_of(&[("Billing", 20), ("b", 20), ("c", 3)]));
    let train = |more: &str| scene.rehead(&format!("{FROZEN} --train train.csv --min-rows-per-label 10 {more}"));
    train("--other billing").refused().says(&["--other billing looks like the label `Billing`", "--merge-labels"]);
    train("--other billing --merge-labels").ok().says(&["becomes `Billing`"]);
    assert_eq!(metrics_labels(&scene), ["Billing", "b"]);
    scene.write("test.csv", "text,label\na,billing\nb,c\n");
    let evaluated = scene.rehead("evaluate --model run --data test.csv --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 2);
}

#[test]
fn labels_written_with_and_without_blanks_look_alike() {
    let scene = Scene::with_models(&["bare"]);
    scene
        .write("train.csv", rows_of(&[("BugReport", 12), ("Bug Report", 8), ("bug-report", 6), ("1-0", 9), ("10", 9)]));
    let train = |more: &str| scene.rehead(&format!("{FROZEN} --train train.csv {more}"));
    train("").ok().says(&["look alike are different classes: `BugReport` 12, `Bug Report` 8, `bug-report` 6"]);
    scene.remove("run");
    train("--merge-labels").ok().says(&["merged into `BugReport` (12 rows): `Bug Report` 8, `bug-report` 6"]);
    assert_eq!(metrics_labels(&scene), ["1-0", "10", "BugReport"]);
}

#[test]
fn what_shared_texts_do_to_validation_is_said() {
    let scene = Scene::with_models(&["bare"]);
    let shared = "same film,a\nsame film,a\nsame film,other\nsame plot,b\nsame plot,b\nsame plot,other\nown,other\n";
    scene.write("train.csv", rows_of(&[("a", 20), ("b", 20)]) + shared);
    let outcome = scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok();
    outcome.says(&["no validation row for `other`: of its 3 different texts 2 also have rows with another label"]);
    scene.remove("run");
    let repeated: String = (0..80).map(|row| format!("text {},{}\n", row % 4, row % 2)).collect();
    scene.write("train.csv", format!("text,label\n{repeated}"));
    let outcome = scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok();
    outcome.says(&["40 of 80 rows are held out for validation, where 8 were asked for: in `0` and `1` every text is"]);
}

#[test]
fn labels_that_are_one_number_or_one_word_to_the_eye_are_named() {
    let scene = Scene::with_models(&["bare"]);
    let labels = ["1", "01", "+1", "2", "2.0", "apple", "\u{430}pple", "pear", "p\u{1b}[31mear"];
    scene.write("train.csv", rows_with(&labels, 90));
    let says = [
        "`+1` 10, `01` 10, `1` 10 (they differ in zeros and signs before a number)",
        "`2` 10, `2.0` 10 (they differ in decimals)",
        "`apple` 10, `\u{430}pple` 10 (they differ in letters of two alphabets)",
    ];
    let inspected = scene.rehead("inspect train.csv").ok();
    let inspected = inspected.shows(&says).shows(&["p [31mear"]);
    assert!(!inspected.stdout_text().contains('\u{1b}'), "{inspected}");
    scene.rehead(&format!("{FROZEN} --train train.csv --quiet")).ok().says(&says);
}

#[test]
fn labels_that_join_others_are_pointed_out() {
    let scene = Scene::with_models(&["bare"]);
    for (name, between) in [("slash", "/"), ("plus", " + "), ("and", "&")] {
        let labels = ["a", "b", "c"].map(str::to_owned).into_iter();
        let labels: Vec<String> = labels.chain([format!("a{between}b"), format!("b{between}c")]).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        scene.write(&format!("{name}.csv"), rows_with(&labels, 60));
        scene.rehead(&format!("inspect {name}.csv")).ok().shows(&["whose parts recur", "several labels per row"]);
        scene.write("names.csv", rows_with(&labels[1..], 60));
        let seen = scene.rehead("inspect names.csv").ok();
        assert!(!seen.stdout_text().contains("parts recur"), "{seen}");
    }
    scene
        .rehead(&format!("{FROZEN} --train and.csv --dropout 0.3"))
        .ok()
        .says(&["warning: 24 rows hold labels such as", "`--dropout` has no effect with --strategy frozen"]);
}

#[test]
fn a_file_as_model_hints_at_its_folder_only_where_a_model_is() {
    let scene = Scene::with_models(&["bare"]);
    std::fs::create_dir(scene.path("data")).unwrap();
    scene.write("data/train.csv", rows_with(&["a", "b"], 20));
    let words = "train --strategy frozen --out run --train data/train.csv --model";
    scene.rehead(&format!("{words} bare/config.json")).refused().says(&["give the directory: bare"]);
    let refused = scene.rehead(&format!("{words} data/train.csv")).refused();
    let refused = refused.says(&["the directory that holds config.json"]);
    assert!(!refused.stderr.contains("give the directory: data"), "{refused}");
}
