//! Text files as people have them: quotes that are text, no header, a header twice, blank lines, Excel's habits, other
//! encodings, rows that do not fit, and JSON of all sorts. Each is read, or refused with the place and a way out.

mod support;

use std::time::{Duration, Instant};

use support::{Outcome, Scene, csv, sentiment};

const TRAIN: &str =
    "train --model bare --epochs 1 --strategy frozen --threads 1 --valid-fraction 0.25 --out run --train";
const LABEL: &str = "label --model classifier --threads 1 --output";

fn scene() -> Scene {
    Scene::with_models(&["bare", "classifier"])
}

/// Labels a file and returns the output's lines.
fn labelled(scene: &Scene, input: &str, output: &str, more: &str) -> (Vec<String>, Outcome) {
    let outcome = scene.rehead(&format!("{LABEL} {output} --input {input} {more}")).ok();
    let lines = scene.text(output).lines().map(str::to_owned).collect();
    (lines, outcome)
}

/// Rows `label<TAB>text` as of the UCI SMS collection, in which quotes are text.
fn messages() -> String {
    let mut rows = String::new();
    for number in 0..20 {
        rows += &format!("ham\t\"see you at {number}\nspam\twin {number} pounds now\" they said\n");
    }
    rows
}

#[test]
fn every_line_of_a_table_with_tabs_counts() {
    let scene = scene();
    scene.write("sms.tsv", format!("label\ttext\n{}", messages()));
    let seen = scene.rehead("inspect sms.tsv").ok();
    seen.shows(&["40 rows", "20   50.0 %  ham", "quote: none"]);
    scene.rehead(&format!("{TRAIN} sms.tsv")).ok().says(&["40 rows, 2 classes"]);
    // Fields with line breaks are still understood where they are whole.
    scene.write("notes.tsv", "text\tlabel\n\"two\nlines\"\ta\n\"one\"\tb\n");
    scene.rehead("inspect notes.tsv").ok().shows(&["2 rows", "\"two\\nlines\""]);
    scene.rehead("inspect notes.tsv --quote none").ok().shows(&["1 of 3 rows cannot be used", "1 field where"]);
}

#[test]
fn a_quote_far_down_in_a_table_with_tabs_glues_no_rows() {
    let scene = scene();
    let mut rows = "text\tlabel\n".to_owned();
    for number in 0..8000 {
        rows += &format!("a plain message of some words, number {number}\tham\n");
    }
    rows += "\"see you\tham\nwin\" now\tspam\n";
    scene.write("long.tsv", rows);
    let seen = scene.rehead("inspect long.tsv").ok();
    seen.shows(&["8,002 rows", "quotes taken as text in 1 row, the first is row 8001", "--quote none"]);
}

#[test]
fn quotes_are_what_the_flag_says() {
    let scene = scene();
    scene.write("in.csv", "id,text\n1,\"good film\n2,bad film\"\n");
    let (lines, _) = labelled(&scene, "in.csv", "out.csv", "--quote none");
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with("1,\"good film,") && lines[2].starts_with("2,bad film\","), "{lines:?}");
    scene.write("single.csv", "id,text\n1,'good, film'\n");
    let (lines, _) = labelled(&scene, "single.csv", "out2.csv", "--quote '");
    assert!(lines[1].starts_with("1,'good, film',"), "{lines:?}");
}

#[test]
fn a_missing_header_is_noticed_and_can_be_said() {
    let scene = scene();
    scene.write("sms.tsv", messages());
    scene.rehead(&format!("{TRAIN} sms.tsv")).refused().says(&["looks like data", "--no-header --text 2 --label 1"]);
    scene.rehead("inspect sms.tsv").ok().shows(&["looks like data", "--no-header"]);
    let trained = scene.rehead(&format!("{TRAIN} sms.tsv --no-header --text 2 --label 1")).ok();
    trained.says(&["40 rows, 2 classes: ham 20, spam 20"]);
    scene.write("comments.csv", "Great product\nTerrible service\nWill buy again\n");
    let (lines, outcome) = labelled(&scene, "comments.csv", "out.csv", "--quiet");
    outcome.says(&["looks like data", "--no-header"]);
    assert_eq!(lines.len(), 3);
    // Without a header in, none out: the added columns are the last ones.
    let (lines, outcome) = labelled(&scene, "comments.csv", "out2.csv", "--no-header --quiet");
    outcome.check(!outcome.stderr.contains("header"), "no word of a header");
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("Great product,"), "{lines:?}");
    scene.write("two.csv", "1,Great product\n2,Terrible service\n");
    scene.rehead("inspect two.csv").ok().shows(&["`1` is a number", "--no-header --text 2"]);
    let (lines, _) = labelled(&scene, "two.csv", "out3.csv", "--no-header --text 2");
    assert!(lines.len() == 2 && lines[1].starts_with("2,Terrible service,"), "{lines:?}");
}

#[test]
fn a_header_in_the_middle_is_no_row() {
    let scene = scene();
    let part = csv(&sentiment(12, 1));
    let (header, rows) = part.split_once('\n').unwrap();
    scene.write("both.csv", format!("{part}\u{feff}{header}\r\n{rows}"));
    let error = "row 13 (line 14): the header comes again here";
    scene.rehead(&format!("{TRAIN} both.csv")).refused().says(&[error, "--on-bad-input skip"]);
    scene.rehead("inspect both.csv").ok().shows(&["1 of 25 rows cannot be used: row 13", "24 rows"]);
    let trained = scene.rehead(&format!("{TRAIN} both.csv --on-bad-input skip")).ok();
    trained.says(&["24 rows, 2 classes", "1 row left out", "row 13 (line 14)"]);
    let (lines, _) = labelled(&scene, "both.csv", "out.csv", "--on-bad-input skip");
    assert_eq!(lines.len(), 25);
}

#[test]
fn blank_lines_are_rows_where_there_is_one_column() {
    let scene = scene();
    scene.write("one.csv", "text\nGreat product\n\nTerrible service\n\n\n");
    assert_eq!(labelled(&scene, "one.csv", "out.csv", "").0.len(), 6);
    scene.write("quoted.csv", "text\nGreat product\n\"\"\nTerrible service\n\" \"\n");
    assert_eq!(labelled(&scene, "quoted.csv", "out2.csv", "").0.len(), 5);
    scene.write("lines.txt", "Great product\n\n\nTerrible service\n");
    assert_eq!(labelled(&scene, "lines.txt", "out3.csv", "").0.len(), 5);
    scene.write("two.csv", "id,text\n1,a\n\n2,b\n");
    let (lines, outcome) = labelled(&scene, "two.csv", "out4.csv", "");
    assert_eq!(lines.len(), 3);
    outcome.says(&["1 blank line left out"]);
}

#[test]
fn what_excel_writes_comes_back_as_excel_writes_it() {
    let scene = scene();
    scene.write("in.csv", "\u{feff}id;text\r\n1;Schöne Grüße\r\n2;\"a;b \"\"c\"\"\"\r\n");
    labelled(&scene, "in.csv", "out.csv", "");
    let out = scene.text("out.csv");
    assert!(out.starts_with("\u{feff}id;text;predicted_label;confidence\r\n1;Schöne Grüße;"), "{out:?}");
    assert_eq!((out.matches("\r\n").count(), out.matches('\n').count()), (3, 3));
    scene.write("sep.csv", "\u{feff}sep=;\r\nid;text\r\n1;good film\r\n");
    labelled(&scene, "sep.csv", "out2.csv", "");
    let out = scene.text("out2.csv");
    assert!(out.starts_with("\u{feff}sep=;\r\nid;text;predicted_label;confidence\r\n1;good film;"), "{out:?}");
    scene.write("plain.csv", "id,text\n1,good film\n");
    labelled(&scene, "plain.csv", "out3.csv", "");
    assert!(!scene.text("out3.csv").contains(['\u{feff}', '\r']));
}

#[test]
fn other_encodings_are_read_and_said() {
    let scene = scene();
    scene.write("western.csv", b"id,text\n1,Sch\xF6ne Gr\xFC\xDFe\n2,good film\n");
    let (lines, outcome) = labelled(&scene, "western.csv", "out.csv", "--quiet");
    outcome.says(&["windows-1252", "--encoding"]);
    assert!(lines[1].starts_with("1,Schöne Grüße,"), "{lines:?}");
    let utf_16 = |mark: &str| {
        format!("{mark}id,text\n1,good film é\n").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    for (name, mark) in [("marked.csv", "\u{feff}"), ("unmarked.csv", "")] {
        scene.write(name, utf_16(mark));
        let (lines, outcome) = labelled(&scene, name, &format!("out-{name}"), "");
        outcome.says(&["UTF-16LE"]);
        assert!(lines[1].starts_with("1,good film é,"), "{lines:?}");
    }
    scene.write("russian.csv", b"id,text\n1,\xD5\xEE\xF0\xEE\xF8\xE8\xE9 \xF4\xE8\xEB\xFC\xEC\n");
    let refused = scene.rehead(&format!("{LABEL} out2.csv --input russian.csv")).refused();
    refused.says(&["row 1 (line 2)", "not UTF-8", "--encoding"]);
    let (lines, _) = labelled(&scene, "russian.csv", "out3.csv", "--encoding cp1251");
    assert!(lines[1].starts_with("1,Хороший фильм,"), "{lines:?}");
    // One bad byte in UTF-8 is a fault of a row.
    scene.write("bad.csv", b"id,text\n1,caf\xC3\xA9\n2,caf\xE9\n3,good film\n");
    scene.rehead(&format!("{LABEL} out4.csv --input bad.csv")).refused().says(&["row 2 (line 3)", "--encoding cp1252"]);
    assert_eq!(labelled(&scene, "bad.csv", "out5.csv", "--on-bad-input skip").0.len(), 3);
    scene.rehead("inspect bad.csv --encoding klingon").refused().says(&["--encoding"]);
}

#[test]
fn a_blank_before_a_quote_is_understood() {
    let scene = scene();
    scene.write("in.csv", "text, label\n\"good, really\", \"positive\"\n\"bad\", \"negative\"\n");
    let seen = scene.rehead("inspect in.csv").ok();
    seen.shows(&["50.0 %  negative", "50.0 %  positive", "blanks beside the quotes of a field left out in 2 rows"]);
    scene.write("torn.csv", "label, text\na, \"one, two\" three\n");
    scene.rehead("inspect torn.csv").ok().shows(&["a blank stands between"]);
}

#[test]
fn the_whole_first_record_decides_about_the_delimiter() {
    let scene = scene();
    scene.write("newline.csv", "\"What did you like?\n(please, explain)\";label\ngood;a\nbad, really;b\n");
    scene.rehead("inspect newline.csv").ok().shows(&["delimiter `;`", "2 rows", "label [label]"]);
    scene.write("comma.csv", "Text, frei;label\ngood, very;a\nbad;b\n");
    scene.rehead("inspect comma.csv").ok().shows(&["delimiter `;`", "2 rows", "Text, frei"]);
    scene.write("commas.tsv", "text,label\ngood,a\nbad,b\n");
    scene.rehead("inspect commas.tsv").ok().shows(&["delimiter `,`", "text [text]"]);
}

#[test]
fn usual_delimiters_line_ends_and_quotes_are_recognised() {
    let scene = scene();
    for (name, table, shown) in [
        ("pipe.csv", "text|label\ngood, very|a\nbad|b\n", "delimiter `|`, 2 rows"),
        ("tab.csv", "text\tlabel\ngood, very\ta\nbad\tb\n", "delimiter tab, 2 rows"),
        ("semicolons.tsv", "text;label\ngood, very;a\nbad;b\n", "delimiter `;`, 2 rows"),
        ("ends.csv", "text,label\r\ngood,a\nbad,b\r\n", "delimiter `,`, 2 rows"),
        ("lines.csv", "text,label\n\"good\nvery\r\ngood\",a\nbad,b\n", "\"good\\nvery\\r\\ngood\""),
        (
            "backslash.csv",
            "text,label\n\"a \\\"good\\\" film\",a\nbad,b\ndull,b\n",
            "1 of 3 rows cannot be used: row 1",
        ),
    ] {
        scene.write(name, table);
        scene.rehead(&format!("inspect {name}")).ok().shows(&[shown, "text [text]", "label [label]"]);
    }
    scene.write("mac.csv", "text,label\rgood,a\rbad,b\r");
    scene.rehead("inspect mac.csv").refused().says(&["end in a carriage return alone", "tr '\\r' '\\n' < OLD > NEW"]);
}

#[test]
fn columns_that_nobody_uses_may_be_called_anything() {
    let scene = scene();
    scene.write("spam.csv", "v1,v2,,,\r\nham,see you,,,\r\nspam,win now,,,\r\n");
    scene.rehead("inspect spam.csv --text v2 --label v1").ok().shows(&["2 rows", "50.0 %  ham"]);
    let (lines, _) = labelled(&scene, "spam.csv", "out.csv", "--text v2");
    assert!(lines[0].starts_with("v1,v2,,,,predicted_label") && lines[1].starts_with("ham,see you,,,,"), "{lines:?}");
    scene.write("twice.csv", "Comment,Email,Email,Rating\na,x,y,1\nb,x,y,2\n");
    scene.rehead("inspect twice.csv --text Comment --label Rating").ok();
    scene.rehead(&format!("{LABEL} out2.csv --input twice.csv --text Email")).refused().says(&["2 and 3", "`Email`"]);
}

#[test]
fn a_table_in_a_text_file_is_a_table() {
    let scene = scene();
    scene.write("table.txt", "text\tlabel\ngood film\ta\nbad film\tb\n");
    scene.rehead("inspect table.txt").ok().shows(&["tsv", "2 rows", "label [label]"]);
    scene.write("prose.txt", "text, and more\nof it\n");
    scene.rehead("inspect prose.txt").ok().shows(&["plain lines, 2 rows"]);
    scene.write("bare.txt", messages());
    scene.rehead(&format!("{TRAIN} bare.txt")).refused().says(&["--no-header --text 2 --label 1"]);
    scene.rehead(&format!("{TRAIN} bare.txt --no-header --text 2 --label 1")).ok().says(&["40 rows, 2 classes"]);
}

#[test]
fn all_rows_that_do_not_fit_are_counted() {
    let scene = scene();
    let mut rows = csv(&sentiment(24, 1));
    rows += "one field\nthree,fields,here\nanother\nand,one,more\nlast\n";
    scene.write("bad.csv", &rows);
    let says = [
        "row 25 (line 26): 1 field where",
        "5 of 29 rows cannot be read",
        "row 26",
        "and 2 more",
        "--on-bad-input skip",
    ];
    scene.rehead(&format!("{TRAIN} bad.csv")).refused().says(&says);
    scene.rehead(&format!("{LABEL} out.csv --input bad.csv")).refused().says(&says);
    scene.rehead("inspect bad.csv").ok().shows(&["24 rows", "5 of 29 rows cannot be used", "row 27"]);
    let trained = scene.rehead(&format!("{TRAIN} bad.csv --on-bad-input skip")).ok();
    trained.says(&["24 rows, 2 classes", "5 rows left out", "row 25"]);
    let (lines, outcome) = labelled(&scene, "bad.csv", "out.csv", "--on-bad-input skip");
    assert_eq!(lines.len(), 25);
    outcome.says(&["5 rows left out"]);
    scene.remove("run");
    scene.write("all.csv", "id,text\n1\n2\n");
    scene
        .rehead(&format!("{TRAIN} all.csv --text text --label id --on-bad-input skip"))
        .refused()
        .says(&["no row can be read"]);
}

#[test]
fn rows_that_are_left_out_count_for_no_label() {
    let scene = scene();
    let line = |(text, label): &(String, &str)| format!("{{\"text\":\"{text}\",\"label\":\"{label}\"}}\n");
    let rows: String = sentiment(24, 1).iter().map(line).collect();
    scene.write("train.jsonl", format!("{rows}{{\"text\":[],\"label\":\"other\"}}\n"));
    let trained = scene.rehead(&format!("{TRAIN} train.jsonl --on-bad-input skip")).ok();
    trained.says(&["24 rows, 2 classes", "1 row left out"]);
}

#[test]
fn stray_quotes_cost_no_time() {
    let scene = scene();
    let rows = 300_000;
    let after_one = format!("text,label\n\"open,x\n{}", "good film,y\n".repeat(rows));
    // Each row closes the quote of the one before it and opens another.
    let in_all = format!("text,label\n{}", "good\",\"x\n".repeat(rows));
    for (name, content) in [("one.csv", after_one), ("all.csv", in_all)] {
        scene.write(name, content);
        let begin = Instant::now();
        scene.rehead(&format!("inspect {name}")).ok().shows(&["cannot be"]);
        assert!(begin.elapsed() < Duration::from_secs(30), "{name}: {:?}", begin.elapsed());
    }
}

#[test]
fn json_as_people_write_it() {
    let scene = scene();
    let rows = |label: &dyn Fn(usize) -> String| -> String {
        (0..24).map(|row| format!("{{\"text\":\"film {row}\",\"label\":{}}}\n", label(row % 2))).collect()
    };
    scene.write("float.jsonl", rows(&|class| format!("{class}.0")));
    scene.rehead(&format!("{TRAIN} float.jsonl")).ok().says(&["0.0 12, 1.0 12"]);
    scene.remove("run");
    scene.write("list.jsonl", rows(&|class| format!("[\"c{class}\"]")));
    scene.rehead(&format!("{TRAIN} list.jsonl")).ok().says(&["c0 12, c1 12"]);
    let two = "{\"text\":\"b\",\"label\":\"x\"}\n{\"text\":\"c\",\"label\":\"y\"}\n";
    scene.remove("run");
    scene.write("first.jsonl", format!("{{\"id\":1,\"text\":\"a\"}}\n{two}"));
    scene.rehead(&format!("{TRAIN} first.jsonl")).refused().says(&["1 of 3 labels is missing: row 1"]);
    scene.write("half.jsonl", format!("{{\"text\":\"a \\ud83d b \\ud83d\\ude00 \\\\ud83d\",\"label\":\"x\"}}\n{two}"));
    let (lines, outcome) = labelled(&scene, "half.jsonl", "out.jsonl", "");
    outcome.says(&["lone surrogate", "1 row", "row 1"]);
    assert!(lines[0].starts_with("{\"text\":\"a \\ufffd b \\ud83d\\ude00 \\\\ud83d\""), "{lines:?}");
    for (name, row, says) in [
        ("nan", "{\"text\":\"a\",\"label\":NaN}", "JSON has no NaN"),
        ("twice", "{\"text\":\"a\",\"text\":\"b\",\"label\":\"x\"}", "the key `text` appears twice"),
        ("nested", "{\"text\":{\"de\":\"a\"},\"label\":\"x\"}", "the text is an object"),
    ] {
        let file = format!("{name}.jsonl");
        scene.write(&file, format!("{two}{row}\n"));
        scene.rehead(&format!("{TRAIN} {file}")).refused().says(&["row 3 (line 3)", says]);
    }
    // On several lines only in an array.
    scene.write("pretty.jsonl", "{\n  \"text\": \"a\",\n  \"label\": \"x\"\n}\n");
    scene.rehead(&format!("{TRAIN} pretty.jsonl")).refused().says(&["jq -c ."]);
    // A row without a text keeps its place, without a label.
    scene.write("absent.jsonl", format!("{two}{{\"id\":1}}\n"));
    let (lines, outcome) = labelled(&scene, "absent.jsonl", "out2.jsonl", "--on-bad-input skip");
    assert!(lines[2].starts_with("{\"id\":1,\"predicted_label\":null"), "{lines:?}");
    outcome.says(&["no text that can be used in 1 row"]);
}

#[test]
fn labels_are_what_is_written() {
    let scene = scene();
    let labels = ["01", "1", "001", "NA", "None", "null"];
    let rows: String = (0..48).map(|row| format!("film {row},{}\n", labels[row % labels.len()])).collect();
    scene.write("train.csv", format!("text,label\n{rows}"));
    scene.rehead("inspect train.csv").ok().shows(&["  01\n", "  1\n", "  001\n", "  NA\n", "  None\n", "  null\n"]);
}

#[test]
fn a_text_file_that_is_a_table_is_read_as_one() {
    let scene = scene();
    let mut table = "Subject\tBody\tCategory\r\n".to_owned();
    for number in 0..20 {
        table +=
            &format!("order {number}\t\"good, very\nfilm {number}\"\ta\r\nmail {number}\tbad film {number}\tb\r\n");
    }
    let utf_16: Vec<u8> = std::iter::once(0xFEFF).chain(table.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    scene.write("utf16.txt", utf_16);
    scene.write("utf8.txt", &table);
    for (number, file) in ["utf16.txt", "utf8.txt"].into_iter().enumerate() {
        for (other, more) in ["", "--delimiter tab"].into_iter().enumerate() {
            let run = format!("run{number}{other}");
            let train = TRAIN.replace("--out run", &format!("--out {run}"));
            let words = format!("{train} {file} --text Subject,Body --label Category {more}");
            scene.rehead(&words).ok().says(&["40 rows, 2 classes"]);
        }
    }
    labelled(&scene, "utf8.txt", "out.csv", "--text Body");
    assert!(scene.text("out.csv").starts_with("Subject,Body,Category,predicted_label"));
    // Excel opens a .csv in UTF-8 only with its mark.
    labelled(&scene, "utf16.txt", "out2.csv", "--delimiter tab --text Body");
    assert!(scene.text("out2.csv").starts_with("\u{feff}Subject,Body,"));
    scene.write("lines.txt", "good, very good film\nbad, bad film\nx\n");
    assert_eq!(labelled(&scene, "lines.txt", "out3.csv", "").0.len(), 4);
}

#[test]
fn hints_about_columns_are_likely_ones() {
    let scene = scene();
    let mut rows = String::new();
    for number in 0..40 {
        let label = ["ham", "spam"][number % 2];
        rows += &format!("{number},2024,x,a text of several words {number},author{number},{label}\n");
    }
    scene.write("rows.csv", &rows);
    let seen = scene.rehead("inspect rows.csv").ok();
    seen.shows(&["--no-header --text 4 --label 6"]);
    let (_, outcome) = labelled(&scene, "rows.csv", "out.csv", "--text x");
    outcome.check(!outcome.stderr.contains("--label"), "no flag that `label` does not have");
    let outcome = scene.rehead(&format!("{LABEL} out2.csv --input rows.csv")).refused();
    let outcome = outcome.says(&["--no-header --text 4"]);
    outcome.check(!outcome.stderr.contains("--label"), "no flag that `label` does not have");
    // Two columns that could be labels: neither is suggested.
    scene.write("two.csv", rows.replace("2024", "yes").replacen("yes", "no", 9));
    let seen = scene.rehead("inspect two.csv").ok();
    seen.check(!seen.stdout_text().contains("--text 4 --label"), "no guess");
    let train = format!("{TRAIN} rows.csv --no-header --label 6");
    scene.rehead(&train).refused().says(&["--text is missing", "--text 2"]);
    scene.write("semicolons.csv", "id;text\n1;good film\n2;bad film\n");
    let words = format!("{LABEL} out3.csv --input semicolons.csv --delimiter ,");
    let outcome = scene.rehead(&words).run();
    outcome.says(&["has no `,` but 1 × `;`", "--delimiter ';'"]);
    let words = format!("{LABEL} out4.csv --input semicolons.csv --delimiter , --text text");
    scene.rehead(&words).refused().says(&["--delimiter ';'"]);
}

#[test]
fn a_delimiter_at_the_end_of_every_row_is_understood() {
    let scene = scene();
    let rows: String = csv(&sentiment(40, 4)).lines().skip(1).map(|line| format!("{line},\n")).collect();
    scene.write("ends.csv", format!("text,label\n{rows}"));
    let said = "every row ends in a delimiter that the header lacks";
    scene.rehead(&format!("{TRAIN} ends.csv")).ok().says(&["40 rows, 2 classes", said]);
    let (lines, outcome) = labelled(&scene, "ends.csv", "out.csv", "");
    outcome.says(&[said]);
    let width = |line: &String| line.split(',').count();
    assert!(lines.len() == 41 && lines.iter().all(|line| width(line) == 4), "{lines:?}");
    // A field with something in it is no habit.
    scene.write("one.csv", format!("text,label\n{rows}good film,positive,more\n"));
    scene.rehead("inspect one.csv").ok().shows(&["3 fields where the header has 2"]);
}

#[test]
fn what_depends_on_the_kind_of_file_stays_with_it() {
    let scene = scene();
    scene.write("sep.csv", "\u{feff}sep=;\r\nid;text\r\n1;good film\r\n");
    labelled(&scene, "sep.csv", "out.tsv", "");
    assert!(scene.text("out.tsv").starts_with("id\ttext\tpredicted_label"), "{}", scene.text("out.tsv"));
    scene.write("excel.csv", b"id;text\r\n1;Sch\xF6ne Gr\xFC\xDFe, sehr gut\r\n");
    let (lines, outcome) = labelled(&scene, "excel.csv", "out.csv", "--quiet");
    outcome.says(&["the input is windows-1252; text is written in UTF-8"]);
    assert!(lines[0].starts_with("\u{feff}id;text;") && lines[1].starts_with("1;Schöne Grüße"), "{lines:?}");
    scene.write("unix.csv", b"id;text\n1;Sch\xF6ne Gr\xFC\xDFe, sehr gut\n");
    assert!(labelled(&scene, "unix.csv", "out2.csv", "").0[0].starts_with("id;text"));
}

#[test]
fn lines_that_make_a_table_are_not_taken_as_texts() {
    let scene = scene();
    let label = |output: &str| scene.rehead(&format!("{LABEL} {output} --quiet --input -"));
    let way = ["--text COL", "--delimiter none"];
    let comments = "id,comment_body\n1,\"nice, film\"\n2,dull film\n";
    label("a.csv").input(comments).refused().says(&["2 fields", "`id` and `comment_body`"]).says(&way);
    label("a.csv").input("id,comment_body\n1,nice film\n2,dull film\n").refused().says(&way);
    label("a.csv").input(comments).arg("--text").arg("comment_body").ok();
    assert!(scene.text("a.csv").starts_with("id,comment_body,predicted_label"), "{}", scene.text("a.csv"));
    for (between, shown) in [("\t", "tab"), (";", "`;`"), ("|", "`|`")] {
        let rows: String = (0..9).map(|row| format!("a, \"b, film{between}{}\n", ["good", "bad"][row % 2])).collect();
        scene.write("table.txt", format!("Kommentar{between}Klasse\n{rows}"));
        let refused = scene.rehead(&format!("{LABEL} b.csv --input table.txt")).refused();
        refused.says(&[shown, "`Kommentar` and `Klasse`"]).says(&way);
        scene.rehead("inspect table.txt").refused().says(&way);
        assert_eq!(labelled(&scene, "table.txt", &format!("b{}.csv", shown.len()), "--text Kommentar").0.len(), 10);
    }
    // Whoever says that lines are meant gets them.
    let (lines, _) = labelled(&scene, "table.txt", "c.csv", "--delimiter none");
    assert_eq!((lines.len(), lines[0].as_str()), (11, "text,predicted_label,confidence"));
    // Without a header the flags for that are named.
    label("d.csv").input("1\tgood film\n2\tbad film\n").refused().says(&["--no-header --text 2"]);
}

#[test]
fn sentences_with_a_comma_each_are_texts() {
    let scene = scene();
    let prose = "A nice film, really\nToo long, too dull\nWell, no\n";
    let said = ["every line has 2 fields with `,` between them", "--text COL"];
    scene.rehead(&format!("{LABEL} a.csv --quiet --input -")).input(prose).ok().says(&said);
    assert_eq!(scene.text("a.csv").lines().count(), 4);
    scene.write("prose.txt", prose.replace("Well, no", "A quiet one; no, \"never\" really"));
    let (lines, outcome) = labelled(&scene, "prose.txt", "b.csv", "");
    assert_eq!(lines.len(), 4);
    outcome.says(&said);
    scene.write("plain.txt", format!("{prose}Why?\n"));
    let (_, outcome) = labelled(&scene, "plain.txt", "c.csv", "");
    outcome.check(!outcome.stderr.contains("table"), "no word of a table");
}

#[test]
fn hints_for_a_single_column_of_texts_without_a_header_work() {
    let scene = scene();
    let rows = "a long, very long film, it is said.\nbad film, bad cast.\nnot one, two or three, but four, films\n";
    for (number, name) in ["lines.csv", "lines.tsv"].into_iter().enumerate() {
        scene.write(name, rows);
        let doubt = if number == 0 { "--no-header --delimiter tab" } else { "--no-header" };
        scene.rehead(&format!("inspect {name}")).ok().shows(&["looks like data", doubt]);
        let (lines, outcome) = labelled(&scene, name, &format!("out{number}.csv"), doubt);
        assert_eq!(lines.len(), 3, "{lines:?}");
        outcome.check(!outcome.stderr.contains("is that the delimiter"), "no other hint");
    }
}

#[test]
fn a_blank_before_a_quote_is_understood_beside_tabs_too() {
    let scene = scene();
    scene.write("in.tsv", "label\t text\npos\t \"good film\"\nneg\t \"a \"\"bad\"\" film\"\n");
    let seen = scene.rehead("inspect in.tsv").ok();
    seen.shows(&["\"good film\", \"a \\\"bad\\\" film\"", "blanks beside the quotes of a field left out in 2 rows"]);
    scene.write("open.tsv", "label\ttext\npos\t \"good film\nneg\t \"bad\" film\n");
    scene.rehead("inspect open.tsv").ok().shows(&["\" \\\"good film\", \" \\\"bad\\\" film\""]);
}

#[test]
fn a_header_comes_again_in_another_case_and_order() {
    let scene = scene();
    for (name, head, again) in [
        ("case.csv", "text,label", "Text,LABEL"),
        ("order.csv", "text,label", "label,text"),
        ("order.tsv", "id\ttext\tlabel", "label\tID\ttext"),
    ] {
        let row = if name == "order.tsv" { "1\tgood film\tpos" } else { "good film,pos" };
        scene.write(name, format!("{head}\n{row}\n{again}\n{row}\n"));
        scene
            .rehead(&format!("inspect {name}"))
            .ok()
            .shows(&["1 of 3 rows cannot be used: row 2", "header comes again"]);
    }
    let row = "{\"text\":\"good film\",\"label\":\"pos\"}\n";
    scene.write("again.jsonl", format!("{row}{{\"text\":\"text\",\"label\":\"label\"}}\n{row}"));
    scene.rehead("inspect again.jsonl").ok().shows(&["1 of 3 rows cannot be used: row 2", "header comes again"]);
    // Columns that have numbers for names, because there is no header or by chance, hold numbers.
    scene.write("numbers.csv", "2,1\n1,2\n2,1\n");
    scene.rehead("inspect numbers.csv --no-header --text 1").ok().shows(&["3 rows"]);
}

#[test]
fn rows_of_every_fault_are_counted_together() {
    let scene = scene();
    let line = |(text, label): &(String, &str)| format!("{{\"text\":\"{text}\",\"label\":\"{label}\"}}\n");
    let rows: String = sentiment(24, 1).iter().map(line).collect();
    let bad = "{\"text\":{\"a\":1},\"label\":\"x\"}\n{\"text\": \"a\"\n{\"label\":\"x\"}\n";
    scene.write("bad.jsonl", format!("{rows}{bad}"));
    let says = ["row 25 (line 25)", "the text is an object", "3 of 27 rows cannot be read, the next: row 26", "row 27"];
    let refused = scene.rehead(&format!("{TRAIN} bad.jsonl")).refused();
    let outcome = refused.says(&says).says(&["--on-bad-input skip"]);
    assert_eq!(outcome.stderr.matches("row 25").count(), 1, "{}", outcome.stderr);
    let evaluate = "evaluate --model classifier --threads 1 --data bad.jsonl";
    scene.rehead(evaluate).refused().says(&says).says(&["--on-bad-input skip"]);
    scene
        .rehead(&format!("{TRAIN} bad.jsonl --on-bad-input skip"))
        .ok()
        .says(&["24 rows, 2 classes", "3 rows left out"]);
}
