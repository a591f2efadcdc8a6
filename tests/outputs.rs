//! Where results go: links are followed, modes kept, places locked, and an output that was interrupted is only continued
//! over the rows that it was made of, and where no bit of it has changed. Several inputs become one output, or one each.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use support::{
    LABEL as BASIC, Lottery, Scene, csv, interrupted_when, labelling_scene as scene, sentiment, training_scene,
};

const LONG: &str = "--input in.csv --window 100 --batch-tokens 64";

#[test]
fn a_link_is_followed_and_a_mode_is_kept() {
    let scene = scene();
    scene.write("in.csv", "text\ngood film\n");
    fs::create_dir(scene.path("disk")).unwrap();
    for name in ["real.csv", "real.xlsx"] {
        scene.write(&format!("disk/{name}"), "old\n");
        fs::set_permissions(scene.path(format!("disk/{name}")), Permissions::from_mode(0o600)).unwrap();
        let link = name.replace("real", "link");
        symlink(format!("disk/{name}"), scene.path(&link)).unwrap();
        scene.rehead(&format!("{BASIC} --input in.csv --output {link}")).ok();
        assert!(scene.path(&link).is_symlink(), "{}", scene.listing());
        assert!(scene.bytes(&format!("disk/{name}")).len() > 4);
        let mode = fs::metadata(scene.path(format!("disk/{name}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(scene.text("disk/real.csv").starts_with("text,predicted_label"));
    symlink("disk/new.csv", scene.path("dangling.csv")).unwrap();
    scene.rehead(&format!("{BASIC} --input in.csv --output dangling.csv")).ok();
    assert_eq!(scene.text("disk/new.csv"), scene.text("disk/real.csv"));
    // The input is no output, by whatever name.
    symlink("in.csv", scene.path("alias.csv")).unwrap();
    scene.rehead(&format!("{BASIC} --input in.csv --output alias.csv")).refused().says(&["the output is the input"]);
    assert_eq!(scene.text("in.csv"), "text\ngood film\n");
}

#[test]
fn names_that_collide_are_told_apart() {
    let scene = scene();
    scene.write("in.csv", "text,label_1,p_good\ngood film,a,b\n");
    for flag in ["--top 2", "--probabilities"] {
        let words = format!("{BASIC} --input in.csv --output out.csv {flag}");
        scene.rehead(&words).refused().says(&["the input already has a column of this name", "--column-prefix"]);
        scene.rehead(&format!("{words} --column-prefix new_")).ok();
        assert!(scene.text("out.csv").starts_with("text,label_1,p_good,new_predicted_label,new_confidence,new_"));
    }
}

#[test]
fn an_output_needs_a_folder_and_what_is_unknown_a_name_of_its_own() {
    let scene = scene();
    scene.write("in.csv", "text\ngood film\n");
    let before = scene.everything();
    let words = format!("{BASIC} --input in.csv --output");
    let missing = ["Q/out.csv: there is no folder Q for the output", "hint: mkdir -p Q"];
    scene.rehead(&format!("{words} Q/out.csv")).refused().says(&missing);
    scene.rehead(&format!("{words} Q/out.xlsx")).refused().says(&["Q/out.xlsx: there is no folder Q"]);
    scene.rehead(&format!("{words} in.csv/out.csv")).refused().says(&["error: in.csv/out.csv: ", "--output"]);
    for name in ["good", "Good", " good ", "", "  "] {
        let call = scene.rehead(&format!("{words} out.csv --min-confidence 0.5 --unknown-label")).arg(name);
        call.refused().says(&["unknown-label", "--unknown-label unsure"]);
    }
    assert!(scene.everything() == before, "{}", scene.listing());
}

/// `text` of so many rows, from a seed.
fn many(rows: usize, seed: u64) -> String {
    let mut lottery = Lottery(seed);
    (0..rows).fold("text\n".to_owned(), |text, _| text + &lottery.words(1, 9) + "\n")
}

/// Leaves an output that was interrupted.
fn interrupted(scene: &Scene) {
    let words = format!("{BASIC} {LONG} --output out.csv");
    interrupted_when(scene, &words, libc::SIGKILL, "out.csv", || scene.size("out.partial.csv") > 30_000);
}

#[test]
fn rows_of_two_inputs_never_end_in_one_output() {
    let scene = scene();
    let text = many(6_000, 5);
    scene.write("in.csv", &text);
    scene.rehead(&format!("{BASIC} {LONG} --output whole.csv")).ok();
    interrupted(&scene);
    let before = scene.everything();
    let resume = format!("{BASIC} {LONG} --output out.csv --resume");
    // Another file of this name; one changed row; a row more at the beginning; another column.
    let changed = text.replacen("the", "not the", 1);
    let inserted = text.replacen("text\n", "text\nanother film\n", 1);
    let renamed = text.replacen("text\n", "Text\n", 1);
    for (input, says) in [
        (many(6_000, 6), "are not those that were read before"),
        (changed, "are not those that were read before"),
        (inserted, "are not those that were read before"),
        (renamed, "its columns have changed"),
        (many(3, 5), "fewer rows"),
    ] {
        scene.write("in.csv", &input);
        scene.rehead(&resume).refused().says(&[says, "hint: "]);
        scene.write("in.csv", &text);
        assert!(scene.everything() == before, "{says}: the refusal changed files");
    }
    // Rows that are not labelled yet may still come.
    scene.write("in.csv", format!("{text}a last film\n"));
    scene.rehead(&resume).ok();
    assert!(scene.text("out.csv").starts_with(&scene.text("whole.csv")));
    assert_eq!(scene.text("out.csv").lines().count(), 6_002);
}

#[test]
fn a_damaged_output_is_not_continued() {
    let scene = scene();
    scene.write("in.csv", many(6_000, 5));
    interrupted(&scene);
    let resume = format!("{BASIC} {LONG} --output out.csv --resume");
    let (whole, note) = (scene.bytes("out.partial.csv"), scene.text("out.partial.csv.origin.json"));
    let mut damaged = whole.clone();
    damaged[2_000] ^= 1;
    scene.write("out.partial.csv", &damaged);
    scene.rehead(&resume).refused().says(&["the interrupted output is damaged", "rows 1 to 100"]);
    scene.write("out.partial.csv", &whole);
    scene.write("out.partial.csv.origin.json", note.replacen("\"rows\":100,", "\"rows\":101,", 1));
    scene.rehead(&resume).refused().says(&["out.partial.csv.origin.json", "the file is damaged", "hint: delete it"]);
    scene.write("out.partial.csv.origin.json", note);
    scene.rehead(&resume).ok();
}

#[test]
fn one_process_writes_at_a_time() {
    let scene = scene();
    scene.write("in.csv", many(6_000, 5));
    let words = format!("{BASIC} {LONG} --output out.csv");
    let mut first = scene.rehead(&words).start();
    assert!(first.wait_until(|_| scene.exists("out.partial.csv")));
    first.signal(libc::SIGSTOP);
    for more in ["", " --resume"] {
        scene.rehead(&format!("{words}{more}")).refused().says(&["another rehead (process ", "is writing here"]);
    }
    first.signal(libc::SIGCONT);
    let outcome = first.wait();
    outcome.check(outcome.status.success(), "the first to be undisturbed");
    assert!(!scene.exists(".out.csv.rehead.lock") && !scene.exists("out.partial.csv"), "{}", scene.listing());
}

#[test]
fn two_runs_never_share_a_directory() {
    let scene = training_scene();
    scene.write("train.csv", csv(&sentiment(400, 1)));
    let train = "train --train train.csv --model bare --device cpu --threads 1 --epochs 30 --out run";
    let mut first = scene.rehead(train).start();
    // The lock is held once it names its holder.
    assert!(first.wait_until(|_| scene.size("run/.rehead.lock") > 0));
    first.signal(libc::SIGSTOP);
    let second = scene.rehead(train).refused();
    second.says(&["another rehead (process ", "is writing here", "--out"]);
    let compare = "compare --train train.csv --model bare --strategies frozen --seeds 1 --device cpu --out run";
    scene.rehead(compare).refused().says(&["is writing here"]);
    first.signal(libc::SIGKILL);
    first.wait();
    // What a killed process leaves keeps nobody out.
    scene.rehead(&format!("{train} --resume --set epochs=30")).ok();
    assert!(!scene.exists("run/.rehead.lock"), "{}", scene.listing());
}

/// Distinct texts from row `begin` on, as `id,text`.
fn part(begin: usize, rows: usize) -> String {
    let mut lottery = Lottery(begin as u64 + 1);
    let line = |row| format!("{row},{} {}\n", lottery.words(1, 9), lottery.pick(&["good", "bad", "not good", "awful"]));
    "id,text\n".to_owned() + &(begin..begin + rows).map(line).collect::<String>()
}

/// Three parts, whose names are in another order than their texts would be.
fn parts() -> Scene {
    let scene = scene();
    for (name, begin, rows) in [("part-1.csv", 0, 700), ("part-2.csv", 700, 900), ("part-10.csv", 1600, 40)] {
        scene.write(name, part(begin, rows));
    }
    scene
}

/// The outputs one after the other, with the header of the first.
fn joined(scene: &Scene, names: &[&str]) -> String {
    let rows = names.iter().map(|name| scene.text(name).split_once('\n').unwrap().1.to_owned());
    let header = scene.text(names[0]).lines().next().unwrap().to_owned();
    header + "\n" + &rows.collect::<String>()
}

#[test]
fn several_inputs_become_one_output_or_one_each() {
    let scene = parts();
    for name in ["1", "2", "10"] {
        scene.rehead(&format!("{BASIC} --probabilities --input part-{name}.csv --output one-{name}.csv")).ok();
    }
    let expected = joined(&scene, &["one-1.csv", "one-2.csv", "one-10.csv"]);
    for input in ["--input part-*.csv", "--input part-1.csv --input part-2.csv part-10.csv", "--input ./p*t-[0-9]*.csv"]
    {
        scene.rehead(&format!("{BASIC} --probabilities {input} --output all.csv")).ok().says(&["1,640 rows labelled"]);
        assert_eq!(scene.text("all.csv"), expected, "{input}");
    }
    // A table of another kind is made of the input, which is read again.
    scene.rehead(&format!("{BASIC} --probabilities --input part-*.csv --output all.parquet")).ok();
    scene.rehead("label --model large_weights --input all.parquet --output again.csv --column-prefix n_ --quiet").ok();
    assert_eq!(scene.text("again.csv").lines().count(), 1 + 1640);
    let before = scene.everything().len();
    scene.write("lines.txt", "good film\nbad film\n");
    let words = format!("{BASIC} --probabilities --input part-*.csv lines.txt --output each/");
    scene.rehead(&words).ok().says(&["part-10.csv (3 of 4)", "1,642 rows labelled", ": each/"]);
    for name in ["1", "2", "10"] {
        assert_eq!(scene.text(&format!("each/part-{name}.csv")), scene.text(&format!("one-{name}.csv")));
    }
    // Lines have no columns; and no note is left.
    assert!(scene.text("each/lines.csv").starts_with("text,predicted_label,"));
    assert_eq!(scene.everything().len(), before + 1 + 1 + 4, "{}", scene.listing());
    scene.rehead(&words).ok();
    // JSON Lines name their keys themselves: a table has those of all.
    scene.write("a.jsonl", "{\"text\":\"good\",\"id\":1}\n");
    scene.write("b.jsonl", "{\"text\":\"bad\",\"more\":[2]}\n");
    scene.rehead(&format!("{BASIC} --input a.jsonl b.jsonl --output keys.csv")).ok();
    let keys = scene.text("keys.csv");
    assert!(keys.starts_with("text,id,more,predicted_label,") && keys.contains("\nbad,,[2],"), "{keys}");
}

#[test]
fn several_inputs_must_agree_and_messages_name_the_file() {
    let scene = parts();
    scene.write("other.csv", "id,sentence\n1,good film\n");
    scene.write("order.csv", "text,id\ngood film,1\n");
    scene.write("numbers.csv", "id,n\n1,2\n");
    scene.write("torn.csv", "id,text\n1,good film\n2\n");
    scene.write("a.jsonl", "{\"text\":\"good\"}\n");
    fs::create_dir(scene.path("x")).unwrap();
    scene.copy("part-1.csv", "x/part-1.csv");
    let before = scene.everything();
    let folder = "--output FOLDER/";
    for (input, output, says) in [
        ("nothing-*.csv", "o.csv", ["nothing-*.csv: no file matches this pattern", "there is: "]),
        ("no/*.csv", "o.csv", ["no file matches this pattern", "there is no folder no"]),
        ("part-1.csv other.csv", "o.csv", ["other.csv: there is no column `text`, which part-1.csv has", folder]),
        ("part-1.csv order.csv", "o.csv", ["order.csv: the columns are in another order than in part-1.csv", folder]),
        ("part-1.csv a.jsonl", "o.csv", ["a.jsonl: this is jsonl, and part-1.csv is csv", folder]),
        ("part-1.csv -", "o.csv", ["standard input is read alone", "hint: "]),
        ("part-1.csv part-1.csv", "o.csv", ["part-1.csv: the file is given twice", "hint: "]),
        ("part-*.csv", "part-2.csv", ["part-2.csv: the output is the input file", "hint: "]),
        ("part-1.csv x/part-1.csv", "o/", ["the output of x/part-1.csv would have this name too", "hint: "]),
        ("part-1.csv numbers.csv", "o/", ["numbers.csv: no text column found", "--text COL"]),
        ("x/*.csv", "x/", ["x/part-1.csv: the output is the input file", "hint: "]),
    ] {
        scene.rehead(&format!("{BASIC} --input {input} --output {output}")).refused().says(&says);
        assert!(scene.everything() == before, "{input} {output}: {}", scene.listing());
    }
    let words = format!("{BASIC} --input part-10.csv torn.csv --output o.csv");
    scene.rehead(&words).refused().says(&["torn.csv: row 2 (line 3): 1 field where the header has 2"]);
    let skipped = "warning: torn.csv: 1 row left out, which cannot be read: row 2 (line 3)";
    scene.rehead(&format!("{words} --on-bad-input skip")).ok().says(&[skipped, "41 rows labelled"]);
    // Commands that write no rows ask for the text alone.
    scene.write("more.csv", "more,text\n1,good film\n");
    let words = "embed --model large_weights --threads 1 --input part-10.csv more.csv --output";
    scene.rehead(&format!("{words} e.npy")).ok().says(&["41 rows of 16 features"]);
    scene.rehead(&format!("{words} e.csv")).refused().says(&["more.csv: there is no column `id`"]);
    let explained =
        scene.rehead("explain --model large_weights --threads 1 --rows 41 --input part-10.csv more.csv").ok();
    assert!(explained.stdout_text().contains("\nmore.csv: row 1: "), "{explained}");
    let suggested =
        scene.rehead("suggest --model large_weights --threads 1 --count 3 --input part-*.csv --output -").ok();
    assert!(suggested.stdout_text().starts_with("id,text,label,file,row,predicted_label,"), "{suggested}");
    let words = "train --train nothing-*.csv --model large_weights --out run";
    scene.rehead(words).refused().says(&["nothing-*.csv: no file matches this pattern"]);
    scene.write("l-1.csv", "text,label\ngood film,good\n");
    scene.write("l-2.csv", "label,text\nbad,awful film\nmixed,so so\n");
    let evaluated = scene.rehead("evaluate --model large_weights --threads 1 --data l-*.csv --out scores --json").ok();
    assert_eq!(evaluated.json()["test"]["rows"], 3);
    assert!(scene.text("scores/predictions/test.csv").contains("l-2.csv"));
    let inspected = scene.rehead("inspect l-*.csv --merge-labels").ok();
    assert!(inspected.stdout_text().contains("l-2.csv: csv"), "{inspected}");
}

/// In the second file, and in the second output of a folder.
#[test]
fn several_inputs_are_continued_where_they_were_interrupted() {
    let scene = scene();
    for (name, begin) in [("part-1.csv", 0), ("part-2.csv", 1_000), ("part-3.csv", 5_000)] {
        scene.write(name, part(begin, if begin == 1_000 { 4_000 } else { 1_000 }));
    }
    let words = format!("{BASIC} --probabilities --window 100 --batch-tokens 64 --input part-*.csv --output");
    scene.rehead(&format!("{words} whole.csv")).ok();
    let lines = |name: &str| if scene.exists(name) { scene.text(name).lines().count() } else { 0 };
    let call = format!("{words} out.csv");
    let in_second = || lines("out.partial.csv") > 1_400;
    interrupted_when(&scene, &call, libc::SIGINT, "out.csv", in_second).says(&["rows", "hint: they are kept"]);
    let done = lines("out.partial.csv") - 1;
    assert!((1_100..5_000).contains(&done) && done % 100 == 0, "{done}");
    // Rows that are done have changed, in either file, or there is another file.
    for (name, row) in [("part-1.csv", 7), ("part-2.csv", 1_050)] {
        let text = scene.text(name);
        scene.write(name, text.replace(&format!("\n{row},"), &format!("\n{row},really ")));
        scene.rehead(&format!("{call} --resume")).refused().says(&[name, "the input has changed"]);
        scene.write(name, text);
    }
    scene.write("part-0.csv", part(9_000, 10));
    scene.rehead(&format!("{call} --resume")).refused().says(&["another input: part-1.csv + part-2.csv + part-3.csv"]);
    scene.remove("part-0.csv");
    scene.rehead(&format!("{call} --resume")).ok().says(&[&format!("continuing after row {},", done / 1000)]);
    assert!(scene.bytes("out.csv") == scene.bytes("whole.csv"));

    let call = format!("{words} each/");
    let in_second = || lines("each/part-2.partial.csv") > 400;
    interrupted_when(&scene, &call, libc::SIGINT, "each", in_second).says(&["hint: they are kept"]);
    assert!(scene.exists("each/part-1.csv") && !scene.exists("each/part-3.csv"));
    let first = scene.path("each/part-1.csv").metadata().unwrap().modified().unwrap();
    scene
        .rehead(&format!("{call} --resume"))
        .ok()
        .says(&["1 output in each/ complete already", "continuing after row"]);
    assert_eq!(scene.path("each/part-1.csv").metadata().unwrap().modified().unwrap(), first);
    let each = ["each/part-1.csv", "each/part-2.csv", "each/part-3.csv"];
    assert_eq!(joined(&scene, &each), scene.text("whole.csv"));
    scene.rehead(&format!("{call} --resume")).ok().says(&["3 outputs in each/ complete already"]);
}

/// A label and a text of strangers, which a spreadsheet program would compute.
#[test]
fn formulas_are_kept_from_spreadsheets_where_that_is_asked_for() {
    let scene = scene();
    scene.edit_json("large_weights/config.json", |config| {
        config["id2label"] = serde_json::json!({ "0": "=1+1", "1": "=HYPERLINK(\"x\")", "2": "@x" });
        config["label2id"] = serde_json::json!({ "=1+1": 0, "=HYPERLINK(\"x\")": 1, "@x": 2 });
    });
    scene.write("in.csv", "text,n,@id\n\"=cmd|'/C calc'!A0, film\",-0.5,+1-2\ngood film,3,'a\n");
    let words = format!("{BASIC} --input in.csv --output");
    scene.rehead(&format!("{words} plain.csv --text text")).ok();
    scene.rehead(&format!("{words} safe.csv --text text --csv-safe")).ok();
    let [plain, safe] = ["plain.csv", "safe.csv"].map(|name| scene.text(name));
    assert!(plain.contains("\n\"=cmd|'/C calc'!A0, film\",-0.5,+1-2,") && plain.starts_with("text,n,@id,"), "{plain}");
    assert!(safe.starts_with("text,n,'@id,predicted_label"), "{safe}");
    assert!(safe.contains("\n\"'=cmd|'/C calc'!A0, film\",-0.5,'+1-2,"), "{safe}");
    assert!(safe.contains("\ngood film,3,'a,"), "{safe}");
    let quoted =
        |table: &str| ["'=1+1", "'=HYPER", "'@x"].map(|label| table.matches(label).count()).iter().sum::<usize>();
    assert_eq!([plain, safe].map(|table| quoted(&table)), [0, 2]);
    scene.rehead(&format!("{words} out.jsonl --text text --csv-safe")).refused().says(&["--csv-safe is for .csv"]);
}

/// A terminal does what it is told: to clear the screen, to answer as if somebody typed.
#[test]
fn terminal_escapes_are_shown_and_not_obeyed() {
    let scene = scene();
    let evil = "a\u{1b}[2J\u{7}\u{9b}31m\u{202e}b";
    scene.edit_json("large_weights/config.json", |config| {
        config["id2label"] = serde_json::json!({ "0": evil, "1": format!("{evil}2"), "2": "c" });
        config["label2id"] = serde_json::json!({ evil: 0, format!("{evil}2"): 1, "c": 2 });
    });
    let rows = |label: &str| format!("text,label,{evil}\n{evil} film,{label},{evil}\ngood,{label},x\n");
    scene.write("in.csv", rows(evil));
    scene.write("bad.csv", rows(&format!("{evil}3")));
    scene.write(&format!("{evil}.csv"), rows(evil));
    scene.write("torn.csv", format!("{}{evil},\"{evil}\n", rows(evil)));
    scene.write("bad.jsonl", format!("{{\"text\": \"a\", \"{evil}\": 1, \"{evil}\": 2}}\n"));
    scene.write("a.txt", format!("good {evil}\n"));
    let evaluate = "evaluate --model large_weights --threads 1";
    let train = "train --model large_weights --threads 1 --valid-fraction 0.5 --out run --train";
    let calls = [
        format!("{BASIC} --input {evil}.csv --output {evil}2.csv --text text"),
        format!("{BASIC} --input in.csv --output out2.csv --text {evil}3"),
        format!("{BASIC} --input torn.csv --output out3.csv --text text"),
        format!("{BASIC} --input bad.jsonl --output out4.csv --text text"),
        format!("{evaluate} --data in.csv --out results --text text --label label"),
        format!("inspect {evil}.csv --text text --label label"),
        "inspect large_weights".to_string(),
        "explain --model large_weights --threads 1 --input a.txt".to_string(),
        format!("{train} bad.csv --text text --label label"),
        format!("train --config {evil}.toml"),
    ];
    let mut obeyed = String::new();
    for words in calls {
        let outcome = scene.rehead(&words).run();
        let shown = [outcome.stderr.clone(), outcome.stdout_text().to_owned()].concat();
        if shown.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']) {
            let line = shown.lines().find(|line| line.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']));
            obeyed += &format!("\n{words:?}\n    {:?}", line.unwrap_or_default());
        }
    }
    assert!(obeyed.is_empty(), "{obeyed}");
}
