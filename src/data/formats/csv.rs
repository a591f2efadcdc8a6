//! CSV and TSV: RFC 4180 with a header; in CSV another delimiter than the comma is possible, and recognised by the
//! header. How bytes become records is [`crate::data::delimited`]'s; here are the header, the check that every row fits
//! it, and writing.

use super::csv_encoder::DelimitedEncoder;
use crate::config::Quote;
use crate::data::DetectedSetting;
use crate::data::bounded_lines::BoundedLines;
use crate::data::delimited::DelimitedRecords;
use crate::data::delimited_output::Writing;
use crate::data::dialect::Dialect;
use crate::data::format::{FileLayout, Format, OpenedRows, RowEncoder, RowSource, TextStyle, empty_file};
use crate::data::header::{SAMPLED_ROWS, doubt, numbered};
use crate::data::names::{PAIR_NAMES, TEXT_NAMES};
use crate::data::options::{ReadOptions, TextColumns};
use crate::data::reading_log::{Oddity, ReadingLog};
use crate::data::row::{Record, Row};
use crate::data::sniffing::{
    Beginning, first_record, quotes_are_text, quotes_enclose_fields, regular_rows, sample, shown, sniffed_delimiter,
    width,
};
use crate::data::stream::ByteStream;
use crate::error::{Error, Result};

pub static CSV: Delimited = Delimited { name: "csv", extensions: &["csv"], delimiter: None };
pub static TSV: Delimited = Delimited { name: "tsv", extensions: &["tsv", "tab"], delimiter: Some(b'\t') };

pub struct Delimited {
    name: &'static str,
    extensions: &'static [&'static str],
    /// The delimiter; found out for each file where the format leaves it open.
    delimiter: Option<u8>,
}

impl Format for Delimited {
    fn name(&self) -> &'static str {
        self.name
    }

    fn extensions(&self) -> &'static [&'static str] {
        self.extensions
    }

    fn sniff(&self, first_line: &[u8], options: &ReadOptions) -> Option<String> {
        let (delimiter, reason) = sniffed_table(first_line, options)?;
        let is_tsv = delimiter == b'\t';
        (is_tsv == (self.delimiter == Some(b'\t'))).then_some(reason)
    }

    fn open_stream(&self, stream: ByteStream, options: &ReadOptions) -> Result<OpenedRows> {
        let beginning = Beginning::of(&stream.head);
        let mut choices = Vec::new();
        let dialect = self.dialect(&beginning, options, &mut choices)?;
        let crlf = stream.first_line.ends_with(b"\r");
        let other_delimiter = options.delimiter.and_then(|given| other_delimiter(given, beginning.table));
        let mut style = TextStyle {
            // Excel takes what has no mark for an encoding of its own; what it wrote in that one becomes UTF-8.
            byte_order_mark: stream.byte_order_mark || (stream.encoding.is_some() && crlf),
            crlf,
            sep_line: beginning.sep.is_some(),
            quote: dialect.quote,
            quoted_names: Vec::new(),
            no_header: options.no_header,
            header_doubt: None,
            is_safe: false,
        };
        let rows = sample(beginning.table, dialect, SAMPLED_ROWS);
        let log = stream.log.clone();
        let lines = BoundedLines::of_stream(stream, options.max_row_bytes);
        let mut records = DelimitedRecords::new(lines, dialect);
        if style.sep_line {
            records.skip_line()?;
        }
        let mut columns = header(&mut records)?;
        style.quoted_names = records.quoted().to_vec();
        let below = rows.get(1..).unwrap_or_default();
        let extra = !options.no_header && rows_end_in_a_delimiter(columns.len(), below);
        records.expect(columns.len() + usize::from(extra));
        if extra {
            log.say("every row ends in a delimiter that the header lacks; the empty field after it is left out");
        }
        style.header_doubt = match options.no_header {
            true => other_delimiter,
            false => other_delimiter.or_else(|| doubt(&columns, below, options)),
        };
        if options.no_header {
            columns = numbered(columns.len());
        }
        let format = if self.delimiter.is_some() { &TSV } else { &CSV };
        let layout = FileLayout {
            delimiter: dialect.delimiter,
            style,
            ..FileLayout::new(records.name(), format, columns.clone())
        };
        let (delimiter, first) = (dialect.delimiter, options.no_header);
        let rows = DelimitedRows { records, columns, extra, delimiter, first, bad: false, log };
        Ok(OpenedRows { layout, rows: Box::new(rows), choices })
    }

    fn shown_delimiter(&self, layout: &FileLayout) -> Option<String> {
        Some(shown(layout.delimiter))
    }

    fn encoder(&self, input: &FileLayout, added: &[String]) -> Option<Box<dyn RowEncoder>> {
        let style = self.style(input);
        let writing = self.writing(input, &style);
        let (columns, added) = (input.columns.clone(), added.to_vec());
        let keeps_quotes = input.format.name() == self.name;
        Some(Box::new(DelimitedEncoder { writing, style, keeps_quotes, columns, added }))
    }

    fn options_to_read_again(&self, input: &FileLayout) -> ReadOptions {
        let style = self.style(input);
        let Writing { delimiter, quote, .. } = self.writing(input, &style);
        ReadOptions {
            delimiter: Some(delimiter),
            quote: quote.map_or(Quote::None, Quote::Byte),
            no_header: style.no_header,
            ..ReadOptions::default()
        }
    }
}

impl Delimited {
    /// How the rows of `input` are written.
    fn style(&self, input: &FileLayout) -> TextStyle {
        let is_table = [CSV.name, TSV.name].contains(&input.format.name());
        let is_like_input = input.format.name() == self.name;
        let no_header = input.style.no_header;
        let is_safe = input.style.is_safe;
        let mut style =
            if is_table { input.style.clone() } else { TextStyle { no_header, is_safe, ..TextStyle::default() } };
        // These are for Excel, which opens .csv files by itself.
        style.sep_line &= is_like_input;
        style.byte_order_mark &= is_like_input || self.name == CSV.name;
        style
    }

    fn writing(&self, input: &FileLayout, style: &TextStyle) -> Writing {
        // A file with semicolons stays one.
        let own = if input.format.name() == self.name { input.delimiter } else { b',' };
        let delimiter = self.delimiter.unwrap_or(own);
        // Where quotes are text, fields hold no delimiter; another one may need quotes.
        let quote = style.quote.or_else(|| (delimiter != input.delimiter).then_some(b'"'));
        Writing { delimiter, quote, crlf: style.crlf }
    }

    /// How to tell the fields of a table apart, and what was chosen for that.
    fn dialect(
        &self,
        beginning: &Beginning<'_>,
        options: &ReadOptions,
        choices: &mut Vec<DetectedSetting>,
    ) -> Result<Dialect> {
        let delimiter = self.delimiter_of(beginning, options, choices)?;
        let (quote, quotes_may_be_text) = match options.quote {
            Quote::None => (None, false),
            Quote::Byte(quote) => (Some(quote), false),
            Quote::Auto if quotes_enclose_fields(beginning.table, delimiter) => (Some(b'"'), false),
            Quote::Auto if delimiter == b'\t' && quotes_are_text(beginning.table, delimiter) => {
                let reason = "quotes enclose no whole fields here, and every line has all columns";
                choices.push(DetectedSetting::new("quote", "none", reason));
                (None, false)
            }
            Quote::Auto => (Some(b'"'), delimiter == b'\t'),
        };
        if quote == Some(delimiter) {
            return Err(Error::request("the quote and the delimiter are the same character")
                .key("quote")
                .hint("name another with --quote or --delimiter"));
        }
        Ok(Dialect { delimiter, quote, quotes_may_be_text })
    }

    fn delimiter_of(
        &self,
        beginning: &Beginning<'_>,
        options: &ReadOptions,
        choices: &mut Vec<DetectedSetting>,
    ) -> Result<u8> {
        if let Some(given) = options.delimiter {
            if !given.is_ascii() || matches!(given, b'"' | b'\n' | b'\r' | 0) {
                return Err(Error::request(
                    "the delimiter must be one ASCII character other than a quote or a line end",
                ));
            }
            return Ok(given);
        }
        let (delimiter, reason) = match (beginning.sep, self.delimiter) {
            (Some(sep), _) => (sep, Some("as Excel's `sep=` line says".to_owned())),
            (None, Some(own)) if width(beginning.table, own) > 1 => (own, None),
            (None, Some(own)) => match sniffed_delimiter(beginning.table) {
                (other, _) if regular_rows(beginning.table, other).is_some() => {
                    (other, Some(format!("it separates the header's names, and no {} does", shown(own))))
                }
                _ => (own, None),
            },
            (None, None) => sniffed_delimiter(beginning.table),
        };
        choices.extend(reason.map(|reason| DetectedSetting::new("delimiter", shown(delimiter), reason)));
        Ok(delimiter)
    }
}

/// That a table's lines have nothing of the delimiter that was given, but all as much of another.
fn other_delimiter(given: u8, table: &[u8]) -> Option<String> {
    let (other, _) = sniffed_delimiter(table);
    let found = regular_rows(table, other).filter(|_| width(table, given) == 1)?.first()?.len() - 1;
    let flag = if other == b'\t' { "tab".to_owned() } else { format!("'{}'", other as char) };
    let (given, other) = (shown(given), shown(other));
    Some(format!("the first line has no {given} but {found} × {other}: is that the delimiter? --delimiter {flag}"))
}

/// Whether all rows have one field more than the header, which is empty.
fn rows_end_in_a_delimiter(columns: usize, rows: &[Vec<String>]) -> bool {
    // Without fields that could be made out, or blank.
    let mut filled = rows.iter().filter(|row| row.iter().any(|field| !field.is_empty())).peekable();
    filled.peek().is_some() && filled.all(|row| row.len() == columns + 1 && row.last().is_some_and(String::is_empty))
}

/// The delimiter at which a first line is a header with a text column, or a row of the delimiter that was given, and
/// why it is a table.
fn sniffed_table(first_line: &[u8], options: &ReadOptions) -> Option<(u8, String)> {
    let candidates = match options.delimiter {
        Some(delimiter) => vec![delimiter],
        // Texts have commas.
        None if options.no_header => vec![b'\t', b';', b'|', b','],
        None => vec![b',', b'\t', b';', b'|'],
    };
    let is_asked_for = options.delimiter.is_some() || options.text.is_some() || options.label.is_some();
    candidates.into_iter().find_map(|delimiter| {
        let names = first_record(first_line, delimiter);
        let names = if options.no_header { numbered(names.len()) } else { names };
        let has = |name: &str| names.iter().any(|known| known.trim() == name);
        let first_of = |text: &TextColumns| {
            let wanted = text.names_in(&names);
            wanted.iter().all(|name| has(name.trim())).then(|| wanted.first().cloned())?
        };
        let usual = || {
            let pair = PAIR_NAMES.iter().find(|(first, second)| has(first) && has(second)).map(|(first, _)| *first);
            pair.or_else(|| TEXT_NAMES.iter().copied().find(|name| has(name))).map(str::to_owned)
        };
        let column = match (&options.text, options.trained_on.text.as_ref().and_then(first_of)) {
            (Some(given), _) => first_of(given),
            (None, Some(trained_on)) => Some(trained_on),
            (None, None) => usual(),
        };
        let label = options.label.as_deref().filter(|label| names.len() > 1 && has(label.trim()));
        let column = column.or_else(|| label.filter(|_| options.text.is_none()).map(str::to_owned));
        // Columns without names are known by the delimiter alone.
        let is_table = is_asked_for && names.len() > 1 && (options.no_header || options.delimiter.is_some());
        let reason = match column.filter(|_| !options.no_header) {
            Some(column) => format!("the first line names the column `{column}`"),
            None if is_table => format!("the first line has {} columns", names.len()),
            None => return None,
        };
        Some((delimiter, reason))
    })
}

/// Reads the first record, which is checked to be one.
fn header(records: &mut DelimitedRecords) -> Result<Vec<String>> {
    if !records.advance()? {
        return Err(empty_file(records.name()));
    }
    let columns: Vec<String> = records.fields().map_err(|(_, error)| error.context("the header"))?.collect();
    if columns.iter().any(|name| name.contains('\r')) {
        return Err(Error::request("the lines end in a carriage return alone (old Macintosh)")
            .file(records.name())
            .line(records.line)
            .hint("convert the file: tr '\\r' '\\n' < OLD > NEW"));
    }
    Ok(columns)
}

struct DelimitedRows {
    records: DelimitedRecords,
    columns: Vec<String>,
    /// Rows have one field more than the header, which is empty.
    extra: bool,
    delimiter: u8,
    /// The first row was read already, to count the columns.
    first: bool,
    /// The last call gave an error after which the next row can be read.
    bad: bool,
    log: ReadingLog,
}

impl RowSource for DelimitedRows {
    fn next_row(&mut self, number: u64) -> Result<Option<Row>> {
        self.bad = false;
        if !std::mem::take(&mut self.first) {
            let blank_before = self.records.blank_lines;
            let advanced = self.records.advance();
            self.bad = self.records.goes_on();
            if !advanced.map_err(|error| error.row(number))? {
                return Ok(None);
            }
            let blank = self.records.blank_lines - blank_before;
            if blank > 0 {
                self.log.notice_many(Oddity::BlankLine, blank, number);
            }
        }
        let row = self.current(number);
        self.bad = row.is_err();
        row.map(Some)
    }

    fn goes_on(&self) -> bool {
        self.bad
    }
}

impl DelimitedRows {
    /// The current record as row `number`.
    fn current(&self, number: u64) -> Result<Row> {
        let Self { records, columns, .. } = self;
        let at_row = |error: Error| error.file(records.name()).row(number).line(records.line);
        let (count, expected) = (records.field_count(), columns.len());
        let ends_empty = || records.contents().last().is_some_and(<[u8]>::is_empty);
        let has_extra = self.extra && count == expected + 1 && ends_empty();
        if count != expected && !has_extra {
            return Err(at_row(self.wrong_count(count)));
        }
        let mut fields = Vec::with_capacity(expected);
        fields.extend(records.fields().map_err(|(field, error)| {
            let error = error.row(number);
            match field.and_then(|field| columns.get(field)) {
                Some(column) => error.column(column),
                None => error,
            }
        })?);
        fields.truncate(expected);
        if records.took_quotes_as_text {
            self.log.notice(Oddity::QuotesAreText, number);
        }
        if records.had_blank_at_quote {
            self.log.notice(Oddity::BlankAtQuote, number);
        }
        Ok(Row::new(number, records.line, Record::Fields { fields, quoted: records.quoted().to_vec() }))
    }

    fn wrong_count(&self, count: usize) -> Error {
        let delimiter = shown(self.delimiter);
        let mut hint = format!(
            "a field that contains {delimiter} or a line break must be quoted (\"…\"), and a quote inside it doubled \
             (\"\")"
        );
        if self.records.has_blank_before_quote() {
            hint = format!("a blank stands between {delimiter} and a quote, which is then text: remove the blank");
        }
        let fields = if count == 1 { "field" } else { "fields" };
        Error::request(format!("{count} {fields} where the header has {}", self.columns.len())).hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::Value;

    use super::*;
    use crate::data::reader::RowReader;

    /// An independent suite; see its README for where it comes from.
    fn suite(name: &str) -> PathBuf {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/suites")).join(name);
        assert!(path.is_dir(), "{} is missing from the repository", path.display());
        path
    }

    /// Each CSV file of a folder with the JSON that it means, where that is given.
    fn cases(csvs: &Path, jsons: &Path) -> Vec<(String, PathBuf, Option<Value>)> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(csvs).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", csvs.display());
        files.sort();
        let case = |path: PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let json = std::fs::read_to_string(jsons.join(format!("{name}.json"))).ok();
            (name, path, json.map(|json| serde_json::from_str(&json).unwrap()))
        };
        files.into_iter().map(case).collect()
    }

    /// A file as JSON: the header's and the rows' fields.
    fn table(path: &Path) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let reader = RowReader::open(path, &ReadOptions::default())?;
        let columns = reader.columns().to_vec();
        let fields = |row: Row| match row.record {
            Record::Fields { fields, .. } => fields,
            other => panic!("{other:?}"),
        };
        let rows = reader.map(|row| row.map(fields)).collect::<Result<_>>()?;
        Ok((columns, rows))
    }

    fn objects((columns, rows): (Vec<String>, Vec<Vec<String>>)) -> Value {
        rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect::<Value>()).collect()
    }

    #[test]
    fn agrees_with_csv_spectrum() {
        let suite = suite("csv-spectrum");
        for (name, path, json) in cases(&suite.join("csvs"), &suite.join("json")) {
            // The suite's own answer for this file is of another row than the file's.
            if name != "location_coordinates" {
                assert_eq!(Some(objects(table(&path).unwrap())), json, "{name}");
            }
        }
    }

    #[test]
    fn agrees_with_csv_test_data() {
        let suite = suite("csv-test-data");
        for (name, path, json) in cases(&suite.join("csv"), &suite.join("json")) {
            let read = table(&path);
            match (name.as_str(), json) {
                // Lines without anything are no header.
                ("all-empty", _) => assert!(read.unwrap_err().to_string().contains("empty")),
                ("empty-one-column", _) => {
                    assert_eq!(read.unwrap(), (vec!["foo".to_owned()], vec![vec![String::new()]]));
                }
                // A stray quote within an unquoted field is text: people write 5" and don't know of RFC 4180.
                ("bad-unescaped-quote", _) => assert_eq!(read.unwrap().1[0][1], "This \"quotes\" must be escaped"),
                // Any header is right here: which columns are needed is checked later.
                ("bad-header-wrong-header", _) => assert_eq!(read.unwrap().1, Vec::<Vec<String>>::new()),
                (_, None) => assert!(read.is_err(), "{name} must be refused"),
                ("header-simple" | "header-no-rows", Some(json)) => assert_eq!(objects(read.unwrap()), json, "{name}"),
                (_, Some(json)) => {
                    let (columns, rows) = read.unwrap();
                    let all: Value = std::iter::once(columns).chain(rows).collect();
                    assert_eq!(all, json, "{name}");
                }
            }
        }
    }
}
