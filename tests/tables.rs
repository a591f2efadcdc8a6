//! Spreadsheets, Parquet and Arrow files as people have them: read wherever rows are read, written by `label` with every
//! cell and column as it was.

mod support;

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int64Array, LargeStringArray,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::DataType;
use calamine::{Data, Reader};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use serde_json::{Value, json};
use support::{
    BASIC as TRAIN, LABEL as BASIC, Lottery, Scene, csv, interrupted_when, labelling_scene as scene, sentiment,
    training_scene,
};

/// Writes a workbook with one sheet.
fn workbook(scene: &Scene, name: &str, fill: impl FnOnce(&mut Worksheet)) {
    let mut workbook = Workbook::new();
    fill(workbook.add_worksheet());
    workbook.save(scene.path(name)).unwrap();
}

fn strings(sheet: &mut Worksheet, first_row: u32, rows: &[&[&str]]) {
    for (row, cells) in (first_row..).zip(rows) {
        for (column, cell) in (0..).zip(*cells) {
            if !cell.is_empty() {
                sheet.write_string(row, column, *cell).unwrap();
            }
        }
    }
}

fn parquet(scene: &Scene, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let batch = batch.unwrap();
    let file = std::fs::File::create(scene.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

/// A column of two rows: a list of two texts, and nothing.
fn a_list_and_none() -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), Some("b")]);
    lists.append_null();
    Arc::new(lists.finish())
}

/// What `label` writes to standard output.
fn labelled(scene: &Scene, input: &str, more: &str) -> String {
    let words = format!("{BASIC} --input {input} --output - {more}");
    scene.rehead(&words).ok().stdout_text().to_owned()
}

#[test]
fn a_spreadsheet_and_a_parquet_file_give_what_a_csv_gives() {
    let scene = scene();
    let rows = [["007", "good film"], ["8", "bad, bad \"film\""], ["9", ""]];
    scene.write("in.csv", "id,text\n007,good film\n8,\"bad, bad \"\"film\"\"\"\n9,\n");
    workbook(&scene, "in.xlsx", |sheet| {
        strings(sheet, 0, &[&["id", "text"]]);
        for (row, cells) in (1..).zip(rows) {
            strings(sheet, row, &[&cells]);
        }
    });
    parquet(
        &scene,
        "in.parquet",
        vec![("id", texts(&rows.map(|row| row[0]))), ("text", texts(&rows.map(|row| row[1])))],
    );
    let expected = labelled(&scene, "in.csv", "");
    assert_eq!(expected.lines().count(), 4);
    assert_eq!(labelled(&scene, "in.xlsx", ""), expected);
    assert_eq!(labelled(&scene, "in.parquet", ""), expected);
}

#[test]
fn cells_are_read_as_a_person_reads_them() {
    let scene = scene();
    workbook(&scene, "in.xlsx", |sheet| {
        strings(sheet, 0, &[&["text", "number", "date", "time", "truth", "zeros", "formula", "error", "share"]]);
        sheet.write_string(1, 0, "good film").unwrap();
        sheet.write_number(1, 1, 12.0).unwrap();
        let date = ExcelDateTime::from_ymd(2024, 3, 1).unwrap();
        sheet.write_datetime_with_format(1, 2, &date, &Format::new().set_num_format("dd/mm/yyyy")).unwrap();
        let moment = ExcelDateTime::from_ymd(2024, 3, 1).unwrap().and_hms(12, 30, 0).unwrap();
        sheet.write_datetime_with_format(1, 3, &moment, &Format::new().set_num_format("d.m.yy h:mm")).unwrap();
        sheet.write_boolean(1, 4, true).unwrap();
        sheet.write_string(1, 5, "00123").unwrap();
        sheet.write_formula(1, 6, Formula::new("=B2/8").set_result("1.5")).unwrap();
        sheet.write_formula(1, 7, Formula::new("=NA()").set_result("#N/A")).unwrap();
        sheet.write_number_with_format(1, 8, 0.25, &Format::new().set_num_format("0%")).unwrap();
    });
    let output = scene.rehead(&format!("{BASIC} --input in.xlsx --output out.csv")).ok();
    output.says(&["1 cell with an error value is read as empty", "#N/A", "row 2"]);
    let text = scene.text("out.csv");
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with("good film,12,2024-03-01,2024-03-01 12:30:00,true,00123,1.5,,0.25,"), "{row}");
}

#[test]
fn blank_rows_titles_and_sheets_are_told() {
    let scene = scene();
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Empty").unwrap();
    let sheet = book.add_worksheet().set_name("Reviews").unwrap();
    sheet.merge_range(0, 0, 0, 1, "Survey 2024", &Format::new()).unwrap();
    strings(sheet, 2, &[&["text", "note"], &["good film", "x"], &[], &["bad film", ""]]);
    strings(book.add_worksheet().set_name("Old").unwrap(), 0, &[&["text"], &["never read"]]);
    let hidden = book.add_worksheet().set_name("Secret").unwrap();
    strings(hidden, 0, &[&["text"], &["never read"]]);
    hidden.set_hidden(true);
    book.save(scene.path("in.xlsx")).unwrap();

    let output = scene.rehead(&format!("{BASIC} --input in.xlsx --output out.csv")).ok();
    let output = output.says(&["sheet = Reviews", "`Old`", "header = row 3 of the sheet"]);
    output.check(!output.stderr.contains("Secret"), "nothing of a hidden sheet");
    for (sheet, text) in [("Old", "never read"), ("3", "never read"), ("Secret", "never read"), ("2", "bad film")] {
        scene.rehead(&format!("{BASIC} --input in.xlsx --sheet {sheet} --output sheet.csv --quiet")).ok();
        assert!(scene.text("sheet.csv").contains(text), "{sheet}");
    }
    scene
        .rehead(&format!("{BASIC} --input in.xlsx --sheet 9 --output x.csv"))
        .refused()
        .says(&["no sheet `9`", "`Reviews`"]);
    let text = scene.text("out.csv");
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 4, "a blank row stays a row, so that the output lines up with the sheet: {rows:?}");
    assert!(rows[1].starts_with("good film,x,") && rows[2].starts_with(",,") && rows[3].starts_with("bad film,,"));
}

#[test]
fn training_reads_spreadsheets_and_parquet() {
    let scene = training_scene();
    let train = sentiment(64, 1);
    scene.write("train.csv", csv(&train));
    scene.rehead(&format!("{TRAIN} --strategy frozen --out of_csv")).ok();
    workbook(&scene, "train.xlsx", |sheet| {
        strings(sheet, 0, &[&["text", "label"]]);
        for (row, (text, label)) in (1..).zip(&train) {
            // A blank row in the middle is no row of the data.
            let row = if row > 30 { row + 1 } else { row };
            strings(sheet, row, &[&[text.as_str(), label]]);
        }
    });
    let labels: DictionaryArray<Int32Type> = train.iter().map(|(_, label)| Some(*label)).collect();
    let large = LargeStringArray::from_iter_values(train.iter().map(|(text, _)| text));
    parquet(&scene, "train.parquet", vec![("text", Arc::new(large)), ("label", Arc::new(labels))]);
    for kind in ["xlsx", "parquet"] {
        let words = TRAIN.replace("train.csv", &format!("train.{kind}"));
        scene.rehead(&format!("{words} --strategy frozen --out of_{kind}")).ok();
        assert!(support::weights(&scene, "of_csv") == support::weights(&scene, &format!("of_{kind}")), "{kind}");
    }
    scene.rehead("inspect train.xlsx").ok();
    scene.rehead("inspect train.parquet").ok();
}

#[test]
fn labels_of_every_type_are_labels() {
    let scene = training_scene();
    let train = sentiment(64, 1);
    let is_positive = || train.iter().map(|(_, label)| *label == "positive");
    let inputs = StringViewArray::from_iter_values(train.iter().map(|(text, _)| text));
    let write = |name: &str, labels: ArrayRef| {
        parquet(&scene, name, vec![("text", Arc::new(inputs.clone())), ("label", labels)]);
    };
    write("ints.parquet", Arc::new(is_positive().map(|label| Some(i64::from(label))).collect::<Int64Array>()));
    write("bools.parquet", Arc::new(is_positive().map(Some).collect::<BooleanArray>()));
    workbook(&scene, "ints.xlsx", |sheet| {
        strings(sheet, 0, &[&["text", "label"]]);
        for (row, ((text, _), label)) in (1..).zip(train.iter().zip(is_positive())) {
            sheet.write_string(row, 0, text).unwrap();
            sheet.write_number(row, 1, f64::from(u8::from(label))).unwrap();
        }
    });
    for (name, labels) in
        [("ints.parquet", ["0", "1"]), ("bools.parquet", ["false", "true"]), ("ints.xlsx", ["0", "1"])]
    {
        let words =
            format!("train --train {name} --model bare --strategy frozen --device cpu --threads 1 --out run_{name}");
        scene.rehead(&words).ok();
        let names = scene.json(&format!("run_{name}/config.json"))["id2label"].clone();
        assert_eq!([names["0"].as_str().unwrap(), names["1"].as_str().unwrap()], labels, "{name}");
    }
}

#[test]
fn columns_of_every_type_are_written_as_text_and_json() {
    let scene = scene();
    parquet(
        &scene,
        "in.parquet",
        vec![
            ("text", Arc::new(StringArray::from(vec![Some("good film"), None])) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![Some(7), None]))),
            ("x", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]))),
            ("day", Arc::new(Date32Array::from(vec![Some(19_000), None]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_700_000_000_000_000), None]))),
            ("tags", a_list_and_none()),
        ],
    );
    scene.rehead(&format!("{BASIC} --input in.parquet --output out.csv")).ok();
    let text = scene.text("out.csv");
    let rows: Vec<&str> = text.lines().collect();
    assert!(
        rows[1].starts_with("good film,7,0.5,2022-01-08,2023-11-14 22:13:20,\"[\"\"a\"\",\"\"b\"\"]\","),
        "{}",
        rows[1]
    );
    assert!(rows[2].starts_with(",,,,,,"), "{}", rows[2]);
    scene.rehead(&format!("{BASIC} --input in.parquet --output out.jsonl")).ok();
    let text = scene.text("out.jsonl");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&rows[0]["n"], &rows[0]["tags"][1]), (&7.into(), &"b".into()));
    assert!(rows[1]["n"].is_null() && rows[1]["text"].is_null() && rows[1]["tags"].is_null());
}

#[test]
fn what_is_no_table_is_said() {
    let scene = scene();
    let refused = |name: &str, parts: &[&str]| {
        scene.rehead(&format!("{BASIC} --input {name} --output out.csv")).refused().says(parts);
    };
    scene.write("empty.xlsx", "");
    refused("empty.xlsx", &["the file is empty"]);
    scene.write("text.xls", "text\tlabel\ngood\t1\n");
    refused("text.xls", &["the name says spreadsheet", ".tsv"]);
    scene.write("zip.xlsx", b"PK\x03\x04 and no archive");
    refused("zip.xlsx", &["the spreadsheet cannot be read"]);
    scene.write("torn.parquet", b"PAR1 and no more");
    refused("torn.parquet", &["the Parquet file cannot be read"]);
    workbook(&scene, "blank.xlsx", |_| ());
    refused("blank.xlsx", &["the workbook has no data"]);
    refused("absent.xlsx", &["no such file"]);
    refused("absent.parquet", &["no such file"]);
    parquet(&scene, "in.parquet", vec![("text", texts(&["good film"]))]);
    scene.copy("in.parquet", "in.csv");
    refused("in.csv", &["the content is a Parquet file", ".parquet"]);
    let words = format!("{BASIC} --input - --output out.csv");
    scene.rehead(&words).input(scene.bytes("in.parquet")).refused().says(&["a Parquet file", "not from a pipe"]);
    workbook(&scene, "in.xlsx", |sheet| strings(sheet, 0, &[&["text"], &["good film"]]));
    scene.rehead(&words).input(scene.bytes("in.xlsx")).refused().says(&["a spreadsheet", ".xlsx"]);
    // Cut anywhere, a file is refused without a panic.
    for name in ["in.parquet", "in.xlsx"] {
        let bytes = scene.bytes(name);
        for part in [8, bytes.len() / 2, bytes.len() - 1] {
            scene.write(&format!("cut_{name}"), &bytes[..part]);
            refused(&format!("cut_{name}"), &["error: "]);
        }
    }
}

/// The cells of a workbook's first sheet.
fn sheet(scene: &Scene, name: &str) -> Vec<Vec<Data>> {
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(scene.path(name)).unwrap();
    let range = book.worksheet_range_at(0).unwrap().unwrap();
    range.rows().map(<[Data]>::to_vec).collect()
}

fn batches(scene: &Scene, name: &str) -> Vec<RecordBatch> {
    let file = std::fs::File::open(scene.path(name)).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_workbook_keeps_its_cells() {
    let scene = scene();
    workbook(&scene, "in.xlsx", |sheet| {
        strings(sheet, 0, &[&["text", "n", "day", "truth", "zeros", "share"]]);
        sheet.write_string(1, 0, "=1+1 is a good film").unwrap();
        sheet.write_number(1, 1, 12.5).unwrap();
        let day = ExcelDateTime::from_ymd(2024, 3, 1).unwrap();
        sheet.write_datetime_with_format(1, 2, &day, &Format::new().set_num_format("dd/mm/yyyy")).unwrap();
        sheet.write_boolean(1, 3, true).unwrap();
        sheet.write_string(1, 4, "007").unwrap();
        sheet.write_number_with_format(1, 5, 0.25, &Format::new().set_num_format("0.0%")).unwrap();
        strings(sheet, 3, &[&["bad film"]]);
    });
    scene.rehead(&format!("{BASIC} --input in.xlsx --output out.xlsx --probabilities")).ok();
    let (before, after) = (sheet(&scene, "in.xlsx"), sheet(&scene, "out.xlsx"));
    assert_eq!(after.len(), 4, "the blank row stays where it was");
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before[..], after[..6]);
    }
    let texts: Vec<String> = after[0][6..].iter().map(ToString::to_string).collect();
    assert_eq!(texts.join(","), "predicted_label,confidence,p_bad,p_mixed,p_good");
    assert!(matches!(after[1][6], Data::String(_)) && matches!(after[1][7], Data::Float(_)), "{:?}", after[1]);
    let styles = {
        let mut book: calamine::Xlsx<_> = calamine::open_workbook(scene.path("out.xlsx")).unwrap();
        let styles = book.worksheet_style("Sheet1").unwrap();
        let code = |column| styles.get((1, column)).unwrap().number_format.clone().unwrap().format_code;
        [code(2), code(5)]
    };
    assert_eq!(styles, ["dd/mm/yyyy", "0.0%"]);
    // The same rows give the same file.
    scene.rehead(&format!("{BASIC} --input in.xlsx --output again.xlsx --probabilities")).ok();
    assert!(scene.bytes("out.xlsx") == scene.bytes("again.xlsx"));
    scene.rehead(&format!("{BASIC} --input in.xlsx --output out.xls")).refused().says(&["not written", ".xlsx"]);
}

#[test]
fn blank_rows_of_a_sheet_count_in_every_command_alike() {
    let scene = training_scene();
    let rows = sentiment(40, 3);
    workbook(&scene, "data.xlsx", |sheet| {
        strings(sheet, 0, &[&["id", "text", "label"]]);
        for (number, (text, label)) in (1..).zip(&rows) {
            // Every tenth row of the sheet is blank.
            let row = number + (number - 1) / 9;
            strings(sheet, row, &[&[&format!("row {row}"), text, label]]);
        }
    });
    let words = "--device cpu --precision fp32 --threads 1";
    let train = TRAIN.replace("train.csv", "data.xlsx");
    let trained = scene.rehead(&format!("{train} --strategy frozen --out run")).ok();
    trained.check(!trained.stderr.contains("has changed"), "the rows are found again");
    scene.rehead(&format!("evaluate --model run --data data.xlsx --out seen {words}")).ok();
    scene.rehead(&format!("label --model run --input data.xlsx --output out.csv {words}")).ok();
    let (labelled, predicted) = (scene.text("out.csv"), scene.text("seen/predictions/test.csv"));
    let (labelled, predicted) = (support::fields(&labelled), support::fields(&predicted));
    assert_eq!(predicted[0][..3], ["row", "id", "text"]);
    assert!(predicted.len() > 4);
    for row in &predicted[1..] {
        let number: usize = row[0].parse().unwrap();
        assert_eq!(row[1], format!("row {number}"));
        assert_eq!(labelled[number][..2], row[1..3], "a join by `row` finds the same text");
    }
    scene.rehead("inspect data.xlsx").ok().shows(&["40 rows", "4 blank lines left out"]);
}

#[test]
fn an_error_value_is_an_empty_cell_in_a_workbook_too() {
    let scene = scene();
    workbook(&scene, "in.xlsx", |sheet| {
        strings(sheet, 0, &[&["text", "error"], &["good film"]]);
        sheet.write_formula(1, 1, Formula::new("=NA()").set_result("#N/A")).unwrap();
    });
    scene.rehead(&format!("{BASIC} --input in.xlsx --output out.xlsx")).ok();
    assert_eq!(sheet(&scene, "out.xlsx")[1][1], Data::Empty);
}

#[test]
fn parquet_keeps_its_columns_and_types() {
    let scene = scene();
    let words: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    parquet(
        &scene,
        "in.parquet",
        vec![
            ("text", Arc::new(StringViewArray::from(vec![Some("good film"), None])) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![Some(7), None]))),
            (
                "at",
                Arc::new(TimestampMicrosecondArray::from(vec![Some(1_700_000_000_000_000), None]).with_timezone("UTC")),
            ),
            ("tags", a_list_and_none()),
            ("kind", Arc::new(words)),
        ],
    );
    scene.rehead(&format!("{BASIC} --input in.parquet --output out.parquet")).ok();
    let (before, after) = (batches(&scene, "in.parquet"), batches(&scene, "out.parquet"));
    let kept: Vec<usize> = (0..5).collect();
    assert_eq!(before[0], after[0].project(&kept).unwrap());
    let schema = after[0].schema();
    assert_eq!(*schema.field(5).data_type(), DataType::Utf8);
    assert_eq!(*schema.field(6).data_type(), DataType::Float64);
    assert!(after[0].column(6).is_null(1) && after[0].column(5).is_null(1), "an empty text has no label");
}

#[test]
fn tables_change_into_each_other() {
    let scene = scene();
    scene.write("in.csv", "id,text\n007,good film\n8,=bad film\n");
    for kind in ["xlsx", "parquet"] {
        scene.rehead(&format!("{BASIC} --input in.csv --output out.{kind}")).ok();
        // What was added is a column of the file now.
        let again = format!("{BASIC} --input out.{kind} --output again.csv");
        scene.rehead(&again).refused().says(&["predicted_label", "--column-prefix"]);
        scene.rehead(&format!("{again} --column-prefix second_")).ok();
        let text = scene.text("again.csv");
        let header = "id,text,predicted_label,confidence,second_predicted_label,second_confidence";
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows[0].join(","), header);
        assert_eq!((rows[1][0], rows[2][1]), ("007", "=bad film"));
        assert_eq!((rows[1][2], rows[1][3]), (rows[1][4], rows[1][5]));
    }
    scene.write("in.jsonl", "{\"text\":\"good film\",\"n\":1.5,\"ok\":true}\n{\"n\":2,\"text\":null}\n");
    // From a pipe too, which is read once.
    let words = format!("{BASIC} --input - --output piped.xlsx");
    scene.rehead(&words).input("{\"text\":\"good film\",\"n\":1.5,\"ok\":true}\n").ok();
    let cells = sheet(&scene, "piped.xlsx");
    assert_eq!(cells[1][..3], [Data::String("good film".into()), Data::Float(1.5), Data::Bool(true)]);
    workbook(&scene, "in.xlsx", |sheet| {
        strings(sheet, 0, &[&["text", "n", "", "n"], &["good film"]]);
        sheet.write_number(1, 1, 3.0).unwrap();
        sheet.write_number(1, 3, 0.5).unwrap();
    });
    scene.rehead(&format!("{BASIC} --input in.xlsx --output from_sheet.parquet")).ok();
    let batch = &batches(&scene, "from_sheet.parquet")[0];
    let schema = batch.schema();
    let fields: Vec<String> = schema.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
    let expected =
        ["text Utf8", "n Int64", "column_3 Utf8", "n_4 Float64", "predicted_label Utf8", "confidence Float64"];
    assert_eq!(fields, expected);
}

#[test]
fn no_key_of_an_object_is_lost_in_a_table() {
    let scene = scene();
    // Keys that cannot be names of columns get others.
    scene.write("in.jsonl", "{\"text\":\"good film\",\"\":\"unnamed\"}\n");
    scene.rehead(&format!("{BASIC} --input in.jsonl --output out.parquet")).ok();
    let batch = &batches(&scene, "out.parquet")[0];
    let unnamed = batch.column_by_name("column_2").unwrap();
    let unnamed: &StringArray = unnamed.as_any().downcast_ref().unwrap();
    assert_eq!(unnamed.value(0), "unnamed");
    // A key that comes too late to be a column.
    let early = "{\"text\":\"good film\"}\n".repeat(2_000);
    scene.write("late.jsonl", format!("{early}{{\"text\":\"bad film\",\"late\":1}}\n"));
    for kind in ["csv", "xlsx", "parquet"] {
        let outcome = scene.rehead(&format!("{BASIC} --input late.jsonl --output late.{kind}")).refused();
        outcome.says(&["row 2001 (line 2001)", "the key `late` is not among", "write to a .jsonl file"]);
    }
}

#[test]
fn numbers_of_json_keep_their_digits() {
    let scene = scene();
    let object = r#"{"text":"good film","price":1.10,"id":123456789012345678901234,"list":[1.50, 2]}"#;
    scene.write("in.jsonl", format!("{object}\n"));
    scene.rehead(&format!("{BASIC} --input in.jsonl --output out.csv")).ok();
    let csv = scene.text("out.csv");
    assert!(csv.contains("good film,1.10,123456789012345678901234,\"[1.50, 2]\","), "{csv}");
    scene.rehead(&format!("{BASIC} --input in.jsonl --output out.xlsx")).ok();
    let expected =
        [Data::Float(1.1), Data::String("123456789012345678901234".into()), Data::String("[1.50, 2]".into())];
    assert_eq!(sheet(&scene, "out.xlsx")[1][1..4], expected);
    scene.rehead(&format!("{BASIC} --input in.jsonl --output out.parquet")).ok();
    let batch = &batches(&scene, "out.parquet")[0];
    let words: Vec<&str> = (1..4).map(|column| batch.column(column).as_string::<i32>().value(0)).collect();
    assert_eq!(words, ["1.10", "123456789012345678901234", "[1.50, 2]"]);
    // Labels too: 1.10 and 1.1 are versions of something.
    let rows: String =
        (0..24).map(|row| format!("{{\"text\":\"row {row}\",\"label\":1.{}0}}\n", row % 2 + 1)).collect();
    scene.write("versions.jsonl", rows);
    scene.rehead("inspect versions.jsonl").ok().shows(&["1.10", "1.20"]);
}

#[test]
fn limits_of_excel_are_said() {
    let scene = scene();
    let long = "good film ".repeat(4_000);
    scene.write("in.csv", format!("text\n{long}\n"));
    let outcome = scene.rehead(&format!("{BASIC} --input in.csv --output out.xlsx --quiet")).ok();
    outcome.says(&["1 cell is cut to the 32767 characters", "row 1, column `text`"]);
    let path = scene.path("many.parquet");
    let batch =
        RecordBatch::try_from_iter([("text", Arc::new(StringArray::from(vec!["x"; 100_000])) as ArrayRef)]).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    (0..11).for_each(|_| writer.write(&batch).unwrap());
    writer.close().unwrap();
    let words = format!("{BASIC} --input many.parquet --output many.xlsx");
    scene.rehead(&words).refused().says(&["1,048,575 rows", ".parquet"]);
}

#[test]
fn an_interrupted_table_goes_on_to_be_the_same() {
    let scene = scene();
    let mut lottery = Lottery(7);
    let texts: Vec<String> = (0..6_000).map(|_| lottery.words(1, 9)).collect();
    parquet(&scene, "in.parquet", vec![("text", Arc::new(StringArray::from_iter_values(&texts)))]);
    let long = "--input in.parquet --window 100 --batch-tokens 64";
    for kind in ["parquet", "xlsx"] {
        scene.rehead(&format!("{BASIC} {long} --output whole.{kind}")).ok();
        let words = format!("{BASIC} {long} --output out.{kind}");
        let grown = format!("out.partial.{kind}.jsonl");
        let output = format!("out.{kind}");
        interrupted_when(&scene, &words, libc::SIGKILL, &output, || scene.size(&grown) > 30_000);
        assert!(!scene.exists(&output));
        let outcome = scene.rehead(&format!("{words} --resume")).ok();
        outcome.says(&["continuing after row"]);
        assert!(scene.bytes(&format!("out.{kind}")) == scene.bytes(&format!("whole.{kind}")), "{kind}");
        assert!(!scene.exists(&grown) && !scene.exists(&format!("{grown}.origin.json")), "{}", scene.listing());
    }
}

#[test]
fn a_sheet_without_a_header_is_noticed_and_stays_one() {
    let scene = scene();
    let rows = [&["pos", "good film"], &["neg", "bad film"], &["pos", "nice film"]];
    workbook(&scene, "in.xlsx", |sheet| strings(sheet, 0, &rows.map(|row| &row[..])));
    let said = ["looks like data", "--no-header --text 2"];
    scene.rehead("inspect in.xlsx").ok().shows(&said);
    scene.rehead(&format!("{BASIC} --input in.xlsx --output no.csv")).refused().says(&said);
    for output in ["out.xlsx", "out.csv", "back.xlsx"] {
        let input = if output == "back.xlsx" { "out.csv" } else { "in.xlsx" };
        let more = if input == "out.csv" { "--column-prefix x_" } else { "" };
        let words = format!("{BASIC} --input {input} --output {output} --no-header --text 2 {more}");
        let outcome = scene.rehead(&words).ok();
        outcome.check(!outcome.stderr.contains("looks like data"), "no word of a header");
        let first = match output {
            "out.csv" => scene.text(output).lines().map(|line| line.split(',').next().unwrap().to_owned()).collect(),
            _ => sheet(&scene, output).iter().map(|row| row[0].to_string()).collect::<Vec<_>>(),
        };
        assert_eq!(first, ["pos", "neg", "pos"], "{output}");
    }
}

#[test]
fn a_header_in_the_middle_of_a_typed_table_is_no_row() {
    let scene = scene();
    let rows = [&["text", "label"], &["good film", "pos"], &["Label", "Text"], &["bad film", "neg"]];
    workbook(&scene, "in.xlsx", |sheet| strings(sheet, 0, &rows.map(|row| &row[..])));
    let column = |index: usize| texts(&rows[1..].iter().map(|row| row[index]).collect::<Vec<_>>());
    parquet(&scene, "in.parquet", vec![("text", column(0)), ("label", column(1))]);
    for file in ["in.xlsx", "in.parquet"] {
        scene.rehead(&format!("inspect {file}")).ok().shows(&["1 of 3 rows cannot be used: row 2", "comes again"]);
        let words = format!("{BASIC} --input {file} --output {file}.csv");
        scene.rehead(&words).refused().says(&["the header comes again here", "--on-bad-input skip"]);
        scene.rehead(&format!("{words} --on-bad-input skip")).ok().says(&["1 row left out"]);
        assert_eq!(scene.text(&format!("{file}.csv")).lines().count(), 3);
    }
}

/// As pandas writes it (`to_json(orient="records")`), and as people lay it out.
#[test]
fn an_array_of_json_is_read_as_lines_are() {
    let scene = scene();
    let rows: Vec<Value> = (0..600)
        .map(|row| json!({ "id": row, "text": format!("a {} film, [{row}]", if row % 2 == 0 { "good" } else { "bad" }) }))
        .collect();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    scene.write("lines.jsonl", lines);
    scene.write("one_line.json", json!(rows).to_string());
    scene.write("laid_out.json", format!("{:#}", json!(rows)));
    for name in ["lines.jsonl", "one_line.json", "laid_out.json"] {
        scene.rehead(&format!("{BASIC} --input {name} --output {name}.out.csv")).ok();
    }
    assert_eq!(scene.text("lines.jsonl.out.csv").lines().count(), 601);
    assert_eq!(scene.text("one_line.json.out.csv"), scene.text("lines.jsonl.out.csv"));
    assert_eq!(scene.text("laid_out.json.out.csv"), scene.text("lines.jsonl.out.csv"));
    // From a pipe too; what is written is lines.
    let piped = scene.rehead(&format!("{BASIC} --input - --output -")).input(scene.text("laid_out.json")).ok();
    let first: Value = serde_json::from_str(piped.stdout_text().lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["text"]), (&json!(0), &rows[0]["text"]));
    assert_eq!(piped.stdout_text().lines().count(), 600);
}

#[test]
fn blank_texts_of_a_single_column_are_rows() {
    let scene = scene();
    // As pandas writes it: a blank that XML does not keep, in the last of five rows.
    scene.write("in.xlsx", include_bytes!("fixtures/blank_texts.xlsx"));
    assert_eq!(labelled(&scene, "in.xlsx", "").lines().count(), 6);
}

/// Arrow's files with an index, compressed and not, and as a stream, as Hugging Face's datasets keep them.
#[test]
fn arrow_files_are_read_and_written_with_their_types() {
    let scene = scene();
    let kinds: DictionaryArray<Int32Type> = vec!["review", "note", "review"].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![7, 8, 9]))),
        ("text", texts(&["good film", "bad film", "a fun film"])),
        ("kind", Arc::new(kinds)),
        ("score", Arc::new(Float64Array::from(vec![Some(0.5), None, Some(1.25)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let create = |name: &str| std::fs::File::create(scene.path(name)).unwrap();
    let lz4 = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut indexed = FileWriter::try_new(create("indexed.arrow"), &batch.schema()).unwrap();
    let mut compressed = FileWriter::try_new_with_options(create("pandas.feather"), &batch.schema(), lz4).unwrap();
    let mut stream = StreamWriter::try_new(create("stream.arrow"), &batch.schema()).unwrap();
    for part in [batch.slice(0, 1), batch.slice(1, 2)] {
        indexed.write(&part).unwrap();
        compressed.write(&part).unwrap();
        stream.write(&part).unwrap();
    }
    indexed.finish().unwrap();
    compressed.finish().unwrap();
    stream.finish().unwrap();
    parquet(&scene, "in.parquet", vec![("text", texts(&["good film", "bad film", "a fun film"]))]);
    scene.rehead(&format!("{BASIC} --input in.parquet --output parquet.csv")).ok();
    let labels: Vec<String> =
        scene.text("parquet.csv").lines().map(|line| line.split_once(',').unwrap().1.to_owned()).collect();
    for name in ["indexed.arrow", "pandas.feather", "stream.arrow"] {
        scene.rehead(&format!("inspect {name}")).ok().shows(&["arrow", "3 rows", "text [text]"]);
        scene.rehead(&format!("{BASIC} --input {name} --output {name}.csv")).ok();
        let text = scene.text(&format!("{name}.csv"));
        let ends: Vec<String> = text.lines().map(|line| line.splitn(5, ',').last().unwrap().to_owned()).collect();
        assert_eq!(ends, labels, "{name}: {text}");
        // Written again, every column has its type, and the labels are columns more.
        scene.rehead(&format!("{BASIC} --input {name} --output out.arrow")).ok();
        let reader = FileReader::try_new(std::fs::File::open(scene.path("out.arrow")).unwrap(), None).unwrap();
        let schema = reader.schema();
        let read: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
        assert_eq!(schema.fields()[..4], batch.schema().fields()[..], "{name}");
        assert_eq!(schema.field(4).name(), "predicted_label");
        let rows: usize = read.iter().map(RecordBatch::num_rows).sum();
        let ids: Vec<i64> =
            read.iter().flat_map(|part| part.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!((rows, ids), (3, vec![7, 8, 9]), "{name}");
    }
    // A table of texts becomes one, and damage is named.
    scene.write("in.csv", "text\ngood film\n");
    scene.rehead(&format!("{BASIC} --input in.csv --output from_csv.feather")).ok();
    scene.rehead("inspect from_csv.feather").ok().shows(&["1 row", "predicted_label"]);
    let whole = scene.bytes("indexed.arrow");
    scene.write("cut.arrow", &whole[..whole.len() / 2]);
    scene.write("old.feather", b"FEA1 and more");
    scene.write("noise.arrow", [7u8; 300]);
    scene.write("empty.arrow", b"");
    for (name, says) in [
        ("cut.arrow", "the Arrow file cannot be read"),
        ("old.feather", "Feather file of version 1"),
        ("noise.arrow", "the Arrow file cannot be read"),
        ("empty.arrow", "the file is empty"),
    ] {
        scene.rehead(&format!("{BASIC} --input {name} --output x.csv")).refused().says(&[name, says]);
    }
    let piped = scene.rehead(&format!("{BASIC} --input - --output x.csv")).input(&whole).refused();
    piped.says(&["an Arrow file", "not read from a pipe"]);
}
