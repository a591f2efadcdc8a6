//! What a table is like, found out by its beginning: the delimiter, whether its quotes are text, its first rows. What
//! follows from that is decided by the formats.

use super::bounded_lines::{BoundedLines, content_length};
use super::delimited::DelimitedRecords;
use super::dialect::Dialect;

/// The beginning of a table, behind the line in which Excel names the delimiter.
pub struct Beginning<'b> {
    /// The delimiter of Excel's `sep=` line.
    pub sep: Option<u8>,
    /// What follows it.
    pub table: &'b [u8],
}

impl<'b> Beginning<'b> {
    /// Of the first bytes of a stream.
    pub fn of(head: &'b [u8]) -> Self {
        let end = head.iter().position(|&byte| byte == b'\n').map_or(head.len(), |end| end + 1);
        let (line, rest) = head.split_at(end);
        match line.trim_ascii_end().to_ascii_lowercase().as_slice() {
            [b's', b'e', b'p', b'=', delimiter] => Self { sep: Some(*delimiter), table: rest },
            // The tab itself is white space at the end of the line.
            b"sep=" => Self { sep: Some(b'\t'), table: rest },
            _ => Self { sep: None, table: head },
        }
    }
}

/// The lines of a beginning. What follows the last line end may be cut short; a single line is all there is.
fn whole_lines(beginning: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b'\n', beginning).map_or(beginning.len(), |end| end + 1);
    beginning.get(..end).unwrap_or_default()
}

/// The first records of a table's beginning, without fields where these cannot be made out: for finding out what it is.
pub fn sample(beginning: &[u8], dialect: Dialect, most: usize) -> Vec<Vec<String>> {
    let mut records = DelimitedRecords::new(BoundedLines::of_bytes(whole_lines(beginning)), dialect);
    let mut sampled: Vec<Vec<String>> = Vec::new();
    while sampled.len() < most {
        match records.advance() {
            Ok(true) => {
                if sampled.is_empty() {
                    records.expect(records.field_count());
                }
                sampled.push(records.contents().map(|field| String::from_utf8_lossy(field).into_owned()).collect());
            }
            Err(_) if records.goes_on() => sampled.push(Vec::new()),
            _ => break,
        }
    }
    sampled
}

/// Whether a table's beginning shows that its quotes are text: quotes enclose no whole fields somewhere, and every line
/// has as many fields as the first when quotes are text.
pub fn quotes_are_text(beginning: &[u8], delimiter: u8) -> bool {
    let bytes = whole_lines(beginning);
    if !bytes.contains(&b'"') {
        return false;
    }
    let dialect = Dialect { delimiter, quote: Some(b'"'), quotes_may_be_text: true };
    let mut lines = bytes.split(|&byte| byte == b'\n').filter(|line| content_length(line) > 0 && *line != b"\r");
    let Some(expected) = lines.next().map(|line| dialect.count_unquoted(line)) else { return false };
    if expected < 2 || !lines.all(|line| dialect.count_unquoted(line) == expected) {
        return false;
    }
    let mut records = DelimitedRecords::new(BoundedLines::of_bytes(bytes), dialect);
    records.expect(expected);
    while let Ok(true) = records.advance() {
        if records.took_quotes_as_text {
            return true;
        }
    }
    false
}

/// Whether a table's beginning shows that quotes enclose its fields: most lines with a quote have a field that is
/// enclosed whole, and all records are sound and equally wide when they are read so.
pub fn quotes_enclose_fields(beginning: &[u8], delimiter: u8) -> bool {
    let bytes = whole_lines(beginning);
    let is_enclosed = |field: &[u8]| field.len() > 1 && field.starts_with(b"\"") && field.ends_with(b"\"");
    let (mut quoted, mut enclosed) = (0, 0);
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| line.contains(&b'"')) {
        quoted += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        enclosed += usize::from(line.split(|&byte| byte == delimiter).map(<[u8]>::trim_ascii).any(is_enclosed));
    }
    if enclosed == 0 || 2 * enclosed < quoted {
        return false;
    }
    let mut records = DelimitedRecords::new(BoundedLines::of_bytes(bytes), Dialect::strict(delimiter));
    let mut expected = None;
    loop {
        match records.advance() {
            Ok(true) if *expected.get_or_insert(records.field_count()) == records.field_count() => {}
            Ok(false) => return true,
            _ => return false,
        }
    }
}

/// The fields of a first line, as far as they can be made out.
pub fn first_record(line: &[u8], delimiter: u8) -> Vec<String> {
    let strict = Dialect::strict(delimiter);
    let first = |dialect| sample(line, dialect, 1).into_iter().next().unwrap_or_default();
    let fields = first(strict);
    // The quotes may be text.
    if fields.is_empty() { first(Dialect { quote: None, ..strict }) } else { fields }
}

/// How many fields the first record of a table has with a delimiter.
pub fn width(table: &[u8], delimiter: u8) -> usize {
    sample(table, Dialect::strict(delimiter), 1).first().map_or(0, Vec::len)
}

/// `tab` rather than an invisible character.
pub fn shown(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tab".to_owned(),
        other => format!("`{}`", other as char),
    }
}

/// The first rows of a table whose every row has the same number of fields, two at least; `None` for other lines.
/// Beside tabs quotes may well be text.
pub fn regular_rows(beginning: &[u8], delimiter: u8) -> Option<Vec<Vec<String>>> {
    let strict = Dialect::strict(delimiter);
    let unquoted = (delimiter == b'\t').then_some(Dialect { quote: None, ..strict });
    std::iter::once(strict).chain(unquoted).find_map(|dialect| {
        let rows = sample(beginning, dialect, 50);
        let width = rows.first().map_or(0, Vec::len);
        (width > 1 && rows.iter().all(|row| row.len() == width)).then_some(rows)
    })
}

/// Lines that make a table.
pub struct TableOfLines {
    /// Between the fields of every line.
    pub delimiter: u8,
    /// The first rows.
    pub rows: Vec<Vec<String>>,
    /// Whether they are hardly sentences with a comma each: some fields are quoted, or numbers stand below a name.
    pub is_sure: bool,
}

impl TableOfLines {
    /// Of the first lines of a stream.
    pub fn of(beginning: &[u8]) -> Option<Self> {
        [b'\t', b';', b'|', b','].into_iter().find_map(|delimiter| {
            let rows = regular_rows(beginning, delimiter).filter(|rows| rows.len() > 1)?;
            let is_sure = delimiter != b',' || quotes_enclose_fields(beginning, delimiter) || has_named_numbers(&rows);
            Some(Self { delimiter, rows, is_sure })
        })
    }
}

/// Whether a column of several numbers has a name.
fn has_named_numbers(rows: &[Vec<String>]) -> bool {
    let Some((header, below)) = rows.split_first() else { return false };
    let is_number = |field: Option<&String>| field.is_some_and(|field| field.trim().parse::<f64>().is_ok());
    let has_numbers = |column| below.iter().all(|row| is_number(row.get(column)));
    below.len() > 1 && (0..header.len()).any(|column| !is_number(header.get(column)) && has_numbers(column))
}

/// The delimiter of a CSV file, by its header and the rows after it, with a reason where it is not the comma.
pub fn sniffed_delimiter(table: &[u8]) -> (u8, Option<String>) {
    // How many fields the header has, and whether all rows have as many.
    let seen = |delimiter: u8| {
        let rows = sample(table, Dialect::strict(delimiter), 20);
        let columns = rows.first().map_or(0, Vec::len);
        (columns, rows.iter().all(|row| row.len() == columns))
    };
    let (commas, all_have_commas) = seen(b',');
    let others = [b'|', b'\t', b';'];
    // The last one wins a draw, and the semicolon is the most usual.
    let best = others.into_iter().max_by_key(|&delimiter| seen(delimiter).0).unwrap_or(b',');
    let fits = |delimiter: u8| matches!(seen(delimiter), (2.., true));
    if commas > 1 {
        return match others.into_iter().rev().find(|&delimiter| !all_have_commas && fits(delimiter)) {
            Some(other) => {
                (other, Some("every row has as many of these as the header, and not as many commas".to_owned()))
            }
            None => (b',', None),
        };
    }
    match seen(best).0 {
        0 | 1 => (b',', None),
        fields => (best, Some(format!("it separates the header's {fields} names, and no comma does"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiter_is_the_comma_unless_the_header_has_none() {
        assert_eq!(sniffed_delimiter(b"a;b,c").0, b',');
        assert_eq!(sniffed_delimiter(b"a;b;c|d").0, b';');
        assert_eq!(sniffed_delimiter(b"\"a,b\"\tc").0, b'\t');
        assert_eq!(sniffed_delimiter(b"text").0, b',');
    }

    #[test]
    fn quotes_are_text_where_they_enclose_no_whole_fields() {
        assert!(quotes_are_text(b"ham\t\"yes\nspam\twin\" now\n", b'\t'));
        assert!(!quotes_are_text(b"ham\t\"yes\"\nspam\t\"two\nlines\"\n", b'\t'));
        assert!(quotes_enclose_fields(b"\"yes\"\tham\n\"no\"\tham\n\"two\tx\nlines\"\tspam\n", b'\t'));
        assert!(!quotes_enclose_fields(b"ham\t\"yes\nspam\twin\"\nham\tno\n", b'\t'));
        assert!(!quotes_enclose_fields(b"ham\t\"yes\"\nspam\t\"win\" now\nham\tno\n", b'\t'));
    }

    #[test]
    fn rows_tell_the_delimiter_where_the_header_has_two() {
        assert_eq!(sniffed_delimiter(b"Text, frei;label\ngood, very;a\nbad;b\n").0, b';');
        assert_eq!(sniffed_delimiter(b"text,label\na;b,x\n").0, b',');
    }
}
