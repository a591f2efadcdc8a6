//! Labels and columns as exports have them: which columns are used, how labels are cleaned before they become classes,
//! and several files as one.

mod support;

use support::{BASIC, Scene, csv, sentiment, training_scene, weights};

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
    two("a.csv b.csv").refused().says(&["b.csv: row 2 (line 3): column `label`"]);
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
    scene.write("two.csv", "title,body\na film,good fun\n");
    scene.rehead("label --model run --input two.csv --output -").refused().says(&["`notes` is not in this file"]);
}
