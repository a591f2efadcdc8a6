//! What an output keeps of its input: quotes and line ends of text files, the sheet of a workbook, and columns of one
//! name. What it cannot keep is said.

mod support;

use calamine::Reader;
use rust_xlsxwriter::Workbook;
use support::{LABEL as BASIC, Scene, labelling_scene as scene};

fn labelled(scene: &Scene, input: &str, output: &str) -> support::Outcome {
    scene.rehead(&format!("{BASIC} --quiet --input {input} --output {output}")).ok()
}

/// The lines of an output without what was added to them.
fn kept_lines(scene: &Scene, output: &str, line_end: &str) -> Vec<String> {
    let text = scene.text(output);
    assert!(text.ends_with(line_end));
    let lines = text.trim_end_matches(line_end).split(line_end);
    lines.map(|line| line.rsplitn(3, [',', '\t']).last().unwrap().to_owned()).collect()
}

#[test]
fn fields_keep_their_quotes() {
    let scene = scene();
    for (name, lines) in [
        ("all.csv", ["\"id\",\"text\",\"note\"", "\"007\",\"good\",\"\"", "\"1\",\"a \"\"b\"\"\",\"x, y\""]),
        ("some.csv", ["id,\"text\",note", "\"007\",good,NA", "7,\"good, bad\",\"NA\""]),
        ("none.csv", ["id,text,note", "007,good,", "7,bad,\"a, b\""]),
        ("tabs.tsv", ["id\t\"text\"\tnote", "\"007\"\tgood\t", "7\tbad\t\"\""]),
    ] {
        let output = format!("out.{name}");
        scene.write(name, lines.join("\n") + "\n");
        labelled(&scene, name, &output);
        assert_eq!(kept_lines(&scene, &output, "\n"), lines, "{name}");
        scene.write(name, lines.join("\r\n") + "\r\n");
        labelled(&scene, name, &output);
        assert_eq!(kept_lines(&scene, &output, "\r\n"), lines, "{name} with Windows line ends");
    }
    // Another kind of table has quotes where it needs them.
    labelled(&scene, "all.csv", "all.tsv");
    assert_eq!(kept_lines(&scene, "all.tsv", "\r\n"), ["id\ttext\tnote", "007\tgood\t", "1\t\"a \"\"b\"\"\"\tx, y"]);
}

#[test]
fn lines_of_json_end_as_they_did() {
    let scene = scene();
    for end in ["\n", "\r\n"] {
        scene.write("in.jsonl", format!("{{\"text\": \"good\"}}{end}{{\"text\":\"bad\"}}{end}"));
        labelled(&scene, "in.jsonl", "out.jsonl");
        let text = scene.text("out.jsonl");
        assert_eq!(text.matches("}\n").count() + text.matches("}\r\n").count(), 2);
        assert_eq!(text.matches(&format!("}}{end}")).count(), 2, "{text:?}");
        assert!(text.starts_with("{\"text\": \"good\",\"predicted_label\":"));
    }
}

#[test]
fn a_workbook_keeps_the_name_of_its_sheet_and_says_what_it_lacks() {
    let scene = scene();
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Tickets 2024").unwrap();
    sheet.write_string(0, 0, "Export of all tickets").unwrap();
    for (row, cells) in (1..).zip([["text", "note"], ["good film", ""], ["bad film", "x"], ["fun", ""]]) {
        for (column, cell) in (0..).zip(cells) {
            sheet.write_string(row, column, cell).unwrap();
        }
    }
    sheet.set_formula_result_default("");
    for row in [2, 4] {
        sheet.write_formula(row, 1, "=A1").unwrap();
    }
    workbook.add_worksheet().set_name("Legend").unwrap();
    workbook.add_worksheet().set_name("Numbers").unwrap();
    workbook.save(scene.path("in.xlsx")).unwrap();
    labelled(&scene, "in.xlsx", "out.xlsx").says(&[
        "the output has the table of the sheet `Tickets 2024` alone, without the sheets `Legend` and `Numbers` and the \
         row above the header",
        "2 formulas without a stored result are read as empty, the first in row 3 of the sheet",
    ]);
    scene.rehead("inspect in.xlsx").ok().shows(&["  - 2 formulas without a stored result are read as empty"]);
    let written: calamine::Xlsx<_> = calamine::open_workbook(scene.path("out.xlsx")).unwrap();
    assert_eq!(written.sheet_names(), ["Tickets 2024"]);
    // A workbook with nothing else in it.
    let again = labelled(&scene, "out.xlsx --column-prefix again_", "again.xlsx");
    again.check(again.stderr.is_empty(), "nothing to be said");
}

#[test]
fn columns_of_one_name_are_kept_or_said() {
    let scene = scene();
    scene.write("in.csv", "text,note,note\ngood,a,b\n");
    for output in ["out.csv", "out.tsv", "out.xlsx"] {
        let outcome = labelled(&scene, "in.csv", output);
        outcome.check(outcome.stderr.is_empty(), "nothing to be said");
    }
    labelled(&scene, "in.csv", "out.parquet").says(&["column 3, another `note`, is called `note_3`"]);
    let before = scene.everything();
    let refused = scene.rehead(&format!("{BASIC} --input in.csv --output out.jsonl")).refused();
    refused.check(!refused.stderr.contains("partial"), "no name of a file that nobody knows");
    refused
        .says(&["in.csv: two columns are named `note`, which an object of JSON cannot have", "hint: write to a .csv"]);
    assert!(scene.everything() == before, "{}", scene.listing());
}
