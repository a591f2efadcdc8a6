//! The end of `rehead label`: what was given to how many rows, which rows were left without a label and why, what was
//! not read; and what is written is consistent in itself.

mod support;

use support::{LABEL as BASIC, Lottery, Scene, csv, fields, labelling_scene as scene, sentiment, training_scene};

fn some_rows(rows: usize) -> String {
    let mut lottery = Lottery(5);
    let lines: String = (0..rows)
        .map(|row| format!("{row},{} {}\n", lottery.words(1, 6), lottery.pick(&["good", "bad", "fun", "awful"])))
        .collect();
    format!("id,text\n{lines}")
}

/// How many rows of an output have each label; the empty one too.
fn counted(csv: &str) -> std::collections::BTreeMap<String, usize> {
    let mut counts = std::collections::BTreeMap::new();
    let rows = fields(csv);
    let column = rows[0].iter().position(|name| *name == "predicted_label").unwrap();
    for row in &rows[1..] {
        *counts.entry(row[column].to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn labels_are_counted() {
    let scene = scene();
    scene.write("in.csv", some_rows(300));
    let outcome = scene.rehead(&format!("{BASIC} --input in.csv --output out.csv")).ok();
    let counts = counted(&scene.text("out.csv"));
    assert!(counts.len() > 1, "the rows should get different labels: {counts:?}");
    for (label, rows) in &counts {
        let line = outcome.stderr.lines().find(|line| line.starts_with(&format!("{label} ")));
        let line = line.unwrap_or_else(|| panic!("no line of {label}\n{outcome}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], rows.to_string(), "{outcome}");
        assert_eq!(words[2], format!("{:.1}", *rows as f64 / 3.0), "{outcome}");
    }
    outcome.says(&["label ", "share", "\n300 rows labelled (", "rows/s): out.csv"]);
    // One row is one row; a stream has no path; nothing at all without need.
    let outcome = scene.rehead(&format!("{BASIC} --input - --output -")).input("good film\n").ok();
    outcome.says(&["\n1 row labelled\n"]);
    let outcome = scene.rehead(&format!("{BASIC} --input in.csv --output quiet.csv --quiet")).ok();
    assert_eq!(outcome.stderr, "");
}

#[test]
fn of_many_labels_the_most_frequent_are_shown() {
    let scene = Scene::with_models(&["bare"]);
    let mut lottery = Lottery(3);
    let rows: Vec<(String, String)> =
        (0..130).map(|row| (lottery.words(2, 5), format!("topic {}", row % 26))).collect();
    let lines: String = rows.iter().map(|(text, label)| format!("{text},{label}\n")).collect();
    scene.write("train.csv", format!("text,label\n{lines}"));
    scene.rehead("train --train train.csv --valid train.csv --model bare --strategy frozen --threads 1 --out run").ok();
    let outcome = scene.rehead("label --model run --input train.csv --output out.csv --threads 1").ok();
    outcome.says(&["\n… 6 more labels ", "\n130 rows labelled ("]);
}

#[test]
fn an_empty_text_gets_no_label() {
    let scene = scene();
    scene.write("in.csv", "id,text\n1,good film\n2,\n3,   \n4,\u{200b}\u{feff}\n5,bad film\n");
    let words = format!("{BASIC} --input in.csv --output out.csv --probabilities");
    let outcome = scene.rehead(&words).ok();
    let output = scene.text("out.csv");
    let rows = fields(&output);
    for (row, empty) in rows[1..].iter().zip([false, true, true, true, false]) {
        assert!(row[2..].iter().all(|field| field.is_empty() == empty), "{output}");
    }
    outcome.says(&["(left empty: no text)", "warning: 3 rows have no text and get no label", "2 of 5 rows labelled ("]);
    scene.remove("out.csv");
    let outcome = scene.rehead(&format!("{words} --quiet")).ok();
    assert_eq!(outcome.stderr, "warning: 3 rows have no text and get no label\n");
    // Rows that are labelled get what they get among empty ones or alone.
    scene.write("alone.csv", "id,text\n5,bad film\n");
    scene.rehead(&format!("{BASIC} --input alone.csv --output alone.out.csv --probabilities")).ok();
    assert_eq!(scene.text("alone.out.csv").lines().last(), output.lines().last());
    // Nothing but empty texts.
    scene.write("empty.csv", "text\n\" \"\n\"\"\n");
    scene.rehead(&format!("{BASIC} --input empty.csv --output none.csv")).ok().says(&["0 of 2 rows labelled"]);
    assert_eq!(scene.text("none.csv").lines().skip(1).filter(|line| line.ends_with(",,")).count(), 2);
    // In JSON it is null, and a text that is null is an empty one.
    scene.write("in.jsonl", "{\"text\":\"\"}\n{\"text\":\"good\"}\n{\"text\":null}\n");
    scene.rehead(&format!("{BASIC} --input in.jsonl --output out.jsonl")).ok();
    let lines = scene.text("out.jsonl");
    assert!(lines.starts_with("{\"text\":\"\",\"predicted_label\":null,\"confidence\":null}\n"), "{lines}");
    assert!(lines.ends_with("{\"text\":null,\"predicted_label\":null,\"confidence\":null}\n"), "{lines}");
}

/// What an interrupted call has written is counted too.
#[test]
fn a_continued_output_is_counted_whole() {
    let scene = scene();
    let good = some_rows(250).replace("\n7,", "\n7,\n8888,");
    let mut lines: Vec<&str> = good.lines().collect();
    lines.insert(232, "one,field,too,many");
    scene.write("in.csv", lines.join("\n") + "\n");
    let words = format!("{BASIC} --input in.csv --output out.csv --window 50 --min-confidence 0.6");
    scene.rehead(&words).refused().says(&["200 rows (79 %) are kept"]);
    scene.write("in.csv", &good);
    let outcome = scene.rehead(&format!("{words} --resume")).ok();
    let counts = counted(&scene.text("out.csv"));
    for label in ["bad", "mixed", "good"] {
        let line = outcome.stderr.lines().find(|line| line.starts_with(&format!("{label} "))).unwrap_or_default();
        let rows = line.split_whitespace().nth(1).map_or(0, |rows| rows.parse().unwrap());
        assert_eq!(rows, counts.get(label).copied().unwrap_or(0), "{label}\n{outcome}");
    }
    outcome.says(&["1 row has no text and gets no label", &format!("\n{} of 251 rows labelled (", 251 - counts[""])]);
}

/// However the output is written, and the input read.
#[test]
fn a_continued_output_of_another_dialect_is_counted_whole() {
    let scene = scene();
    let good = some_rows(60).replace(',', ";").replace("good", "\"good");
    let body = good.split_once('\n').unwrap().1;
    for (input, options, output) in [
        (&*good, "--delimiter ; --quote none", "out.tsv"),
        (&good, "--delimiter ; --quote none", "out.csv"),
        (&good, "--delimiter ; --quote none", "out.jsonl"),
        (body, "--delimiter ; --quote none --no-header --text 2", "quiet.csv"),
    ] {
        let mut lines: Vec<&str> = input.lines().collect();
        lines.insert(45, "one;field;too;many");
        scene.write("in.csv", lines.join("\n") + "\n");
        let words = format!("{BASIC} --input in.csv --output {output} --window 20 {options}");
        scene.rehead(&words).refused().says(&["40 rows (", "are kept"]);
        scene.write("in.csv", input);
        let outcome = scene.rehead(&format!("{words} --resume")).ok();
        assert!(!outcome.stderr.contains("counts are without"), "{output}: {outcome}");
        outcome.says(&["\n60 rows labelled ("]);
    }
}

#[test]
fn a_pair_with_one_text_is_labelled_and_counted() {
    let scene = scene();
    scene.write("in.csv", "a,b\ngood,film\ngood,\n,film\n,\n");
    let outcome = scene.rehead(&format!("{BASIC} --text a,b --input in.csv --output out.csv")).ok();
    let output = scene.text("out.csv");
    let given: Vec<bool> = fields(&output)[1..].iter().map(|row| !row[2].is_empty()).collect();
    assert_eq!(given, [true, true, true, false], "{output}");
    outcome
        .says(&["1 row has no text and gets no label", "2 pairs have one empty text; they are labelled by the other"]);
}

#[test]
fn texts_of_unknown_signs_are_said() {
    let scene = scene();
    scene.write("in.csv", "id,text\n1,good film\n2,😀😀\n3,Привет мир\n4,??\n");
    let outcome = scene.rehead(&format!("{BASIC} --input in.csv --output out.csv --quiet")).ok();
    assert_eq!(
        outcome.stderr,
        "warning: 2 of 4 texts hold nothing that the tokenizer knows (emoji, another script): their labels say nothing\n"
    );
}

#[test]
fn cut_texts_are_said_by_every_command() {
    let scene = training_scene();
    let long = "the film was good and the plot was bad ".repeat(10);
    scene.write("test.csv", format!("{}{long},positive\n", scene.text("test.csv")));
    let train = "train --train train.csv --valid valid.csv --test test.csv --model bare --threads 1";
    scene
        .rehead(&format!("{train} --strategy frozen --max-length 16 --out run --quiet"))
        .ok()
        .says(&["warning: test data: 1 of 21 texts is longer than 16 tokens and was cut: "]);
    let said = "1 of 21 texts is longer than 16 tokens and was cut: ";
    let evaluate = "evaluate --model run --data test.csv --threads 1 --quiet";
    scene.rehead(evaluate).ok().says(&[said, "--max-length 32 reads more, and is the most that this model reads"]);
    let outcome = scene.rehead("label --model run --input test.csv --output out.csv --threads 1 --quiet").ok();
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    outcome.says(&[said]);
    let outcome = scene.rehead("label --model run --input test.csv --output all.csv --threads 1 --max-length 32").ok();
    outcome.says(&[
        "was cut: about 64 % of its tokens are not read (it has about 91 tokens; ",
        "this model reads no more at once; --long-text windows reads all)",
    ]);
}

const WINDOWS: &str = "--max-length 16 --long-text windows --stride 4";

/// A story of texts of which some need several windows: trained on, scored, labelled, alone or with others.
#[test]
fn texts_are_read_in_windows_by_every_command() {
    let scene = training_scene();
    let long = |word: &str, times: usize| "the film was and the plot is ".repeat(times) + word;
    let rows = |words: [(&'static str, &'static str); 2]| -> String {
        let row = |row: usize| {
            let (word, label) = words[row % 2];
            format!("{},{label}\n", long(word, row % 9))
        };
        format!("text,label\n{}", (0..40).map(row).collect::<String>())
    };
    scene.write("train.csv", rows([("good", "positive"), ("bad", "negative")]));
    scene.write("valid.csv", rows([("great", "positive"), ("awful", "negative")]));
    let train = "train --train train.csv --valid valid.csv --model bare --threads 1 --epochs 1 --batch-size 8 --quiet";
    for (run, flags) in [("frozen", "frozen --window-pooling max"), ("last", "last:1"), ("same", "last:1 --cache off")]
    {
        scene.rehead(&format!("{train} {WINDOWS} --out {run} --strategy {flags}")).ok();
        let label = |input: &str, output: &str| {
            let words = format!("label --model {run} --input {input} --output {output} --threads 1 --probabilities");
            scene.rehead(&words).ok();
            scene.text(output)
        };
        let together = label("valid.csv", &format!("{run}.csv"));
        // The same as of the validation rows when the run ended: of frozen ones the features were pooled there, too.
        let confidences = |csv: &str| -> Vec<f64> {
            let rows = fields(csv);
            let at = rows[0].iter().position(|name| *name == "confidence").unwrap();
            rows[1..].iter().map(|row| row[at].parse().unwrap()).collect()
        };
        let then = confidences(&scene.text(&format!("{run}/predictions/valid.csv")));
        assert_eq!(then.len(), 40);
        let differs = |(now, then): (f64, f64)| (now - then).abs() > 2e-6;
        assert!(!confidences(&together).into_iter().zip(then).any(differs), "{run}: {together}");
        // And of each row by itself.
        let all = scene.text("valid.csv");
        for row in [1, 8, 9, 18] {
            let line = all.lines().nth(row).unwrap();
            scene.write("one.csv", format!("text,label\n{line}\n"));
            let alone = label("one.csv", &format!("{run}{row}.csv"));
            assert_eq!(alone.lines().nth(1), together.lines().nth(row), "{run} {row}");
        }
        // What is asked for comes before what the run did.
        let words =
            format!("label --model {run} --input valid.csv --output {run}2.csv --threads 1 --long-text truncate");
        scene.rehead(&words).ok().says(&["were cut"]);
    }
    assert!(scene.bytes("last/model.safetensors") == scene.bytes("same/model.safetensors"), "cached: other weights");
    let evaluate = "evaluate --model last --data valid.csv --threads 1";
    scene.rehead(evaluate).ok().says(&["of 40 texts in several windows, "]);
    scene.write("long.csv", format!("text\n{}\n", long("good", 8)));
    scene
        .rehead("explain --model last --input long.csv --threads 1")
        .refused()
        .says(&["long_text", "--long-text truncate"]);
}

#[test]
fn what_cannot_be_read_in_windows_is_refused_by_name() {
    let scene = training_scene();
    let train = "train --train train.csv --valid valid.csv --model bare --threads 1 --strategy frozen --out run";
    for (flags, said) in [
        ("--stride 4", "leave out --stride"),
        ("--window-pooling max --long-text head-tail", "leave out --window-pooling"),
        ("--max-length 16 --long-text windows --stride 6", "windows of 16 tokens cannot share 6"),
    ] {
        scene.rehead(&format!("{train} {flags}")).refused().says(&[said]);
        assert!(!scene.exists("run/model.safetensors"));
    }
}

/// What is written adds up to 1, and the confidence is that of the label's column.
#[test]
fn probabilities_add_up_as_they_are_written() {
    let scene = scene();
    scene.write("in.csv", some_rows(300));
    scene.rehead(&format!("{BASIC} --input in.csv --output out.csv --probabilities --top 2")).ok();
    scene.rehead(&format!("{BASIC} --input in.csv --output out.jsonl --probabilities --top 2")).ok();
    let (output, json) = (scene.text("out.csv"), scene.text("out.jsonl"));
    let rows = fields(&output);
    let column = |name: &str| rows[0].iter().position(|found| *found == name).unwrap();
    let millionths = |text: &str| (text.parse::<f64>().unwrap() * 1e6).round() as u64;
    for (row, line) in rows[1..].iter().zip(json.lines()) {
        let sum: u64 = ["p_bad", "p_mixed", "p_good"].iter().map(|name| millionths(row[column(name)])).sum();
        assert_eq!(sum, 1_000_000, "{row:?}");
        let own = row[column(&format!("p_{}", row[column("predicted_label")]))];
        assert_eq!(own, row[column("confidence")]);
        assert_eq!(own, row[column("confidence_1")]);
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        for name in ["confidence", "p_bad", "p_mixed", "p_good", "confidence_2"] {
            assert_eq!(object[name].as_f64().unwrap(), row[column(name)].parse::<f64>().unwrap(), "{name}");
        }
    }
}

#[test]
fn what_is_unsure_can_be_given_a_name() {
    let scene = scene();
    scene.write("in.csv", some_rows(60));
    let words = format!("{BASIC} --input in.csv --min-confidence 0.9");
    let outcome = scene.rehead(&format!("{words} --output empty.csv")).ok();
    let unsure = counted(&scene.text("empty.csv"))[""];
    assert!(unsure > 0 && unsure < 60, "{unsure} of 60");
    outcome.says(&["(left empty: below 0.9)", &format!("\n{} of 60 rows labelled (", 60 - unsure)]);
    let outcome = scene.rehead(&format!("{words} --unknown-label unsure --output named.csv")).ok();
    assert_eq!(counted(&scene.text("named.csv"))["unsure"], unsure);
    outcome.says(&["(written as unsure: below 0.9)"]);
    assert_eq!(scene.text("named.csv").replace(",unsure,", ",,"), scene.text("empty.csv"));
    scene
        .rehead(&format!("{words} --unknown-label good --output x.csv"))
        .refused()
        .says(&["one of the model's labels"]);
    scene.rehead(&format!("{BASIC} --input in.csv --unknown-label x --output x.csv")).refused().says(&["--min-conf"]);
}

#[test]
fn one_label_for_everything_is_said() {
    let scene = Scene::with_models(&["bare"]);
    // Texts that say nothing about the labels, one of which is rare.
    let row = |row: usize| ("the film".to_owned(), if row.is_multiple_of(5) { "rare" } else { "common" });
    let rows: Vec<(String, &str)> = (0..60).map(row).collect();
    scene.write("train.csv", csv(&rows));
    scene.write("valid.csv", csv(&rows[..20]));
    scene.write("new.csv", csv(&sentiment(30, 4)).replace("label", "kind"));
    let said = "every row gets `common`";
    let words =
        "train --train train.csv --valid valid.csv --model bare --strategy frozen --threads 1 --out run --quiet";
    scene.rehead(words).ok().says(&["validation: every row gets `common`"]);
    scene.rehead("evaluate --model run --data valid.csv --threads 1 --quiet").ok().says(&[said]);
    scene.rehead("label --model run --input new.csv --output out.csv --threads 1 --quiet").ok().says(&[said]);
    scene.write("half.csv", format!("{}{}", scene.text("new.csv"), ",\n".repeat(30)));
    let outcome = scene.rehead("label --model run --input half.csv --output half.out.csv --threads 1 --quiet").ok();
    outcome.says(&["warning: every row that has a text gets `common`"]);
    // Few rows, or rows that are all of one class, prove nothing.
    scene.write("few.csv", "text\ngood film\nbad film\n");
    let outcome = scene.rehead("label --model run --input few.csv --output few.out.csv --threads 1 --quiet").ok();
    assert_eq!(outcome.stderr, "");
    scene.write("common.csv", csv(&rows).lines().filter(|line| !line.ends_with("rare")).collect::<Vec<_>>().join("\n"));
    let outcome = scene.rehead("evaluate --model run --data common.csv --threads 1 --quiet").ok();
    outcome.check(!outcome.stderr.contains("every row"), "no word about rows that are all of one label");
}
