//! The first row of a table: whether it is a header or looks like data, what columns are called without one, and how a
//! header is known again further down. Knows rows as lists of fields, of whatever format.

use super::names::{IMAGE_NAMES, LABEL_NAMES, OTHER_NAMES, PAIR_NAMES, TEXT_NAMES};
use super::options::{ReadOptions, TextColumns};
use super::row::Row;

/// How many rows of a table's beginning are looked at.
pub const SAMPLED_ROWS: usize = 200;

/// What columns are called that have no names: their numbers, from 1.
pub fn numbered(columns: usize) -> Vec<String> {
    (1..=columns).map(|number| number.to_string()).collect()
}

/// A header, to be known again further down, where files were joined with their headers.
pub struct Header {
    columns: Vec<String>,
    /// In the form in which they are compared.
    plain: Vec<String>,
}

impl Header {
    /// Of the columns of a file; of none where its first row is data.
    pub fn of(columns: &[String], no_header: bool) -> Self {
        let columns = if no_header { Vec::new() } else { columns.to_vec() };
        Self { plain: columns.iter().map(|name| plain(name)).collect(), columns }
    }

    /// Whether a row is the header again.
    pub fn is_again(&self, row: &Row) -> bool {
        let mut fields = self.columns.iter().enumerate().map(|(index, name)| row.plain_text(name, index).map(plain));
        // Nearly every row ends here.
        let Some(Some(first)) = fields.next() else { return false };
        if self.columns.len() < 2 || row.width() != self.columns.len() || !self.plain.contains(&first) {
            return false;
        }
        let row: Option<Vec<String>> = std::iter::once(Some(first)).chain(fields).collect();
        row.is_some_and(|row| names_come_again(&self.plain, row))
    }
}

/// A field as it is compared with a column's name.
fn plain(field: &str) -> String {
    field.trim_start_matches('\u{feff}').trim().to_lowercase()
}

/// Whether the fields of a row, in their plain form, are the names of the columns, each once. A single column could
/// hold the same word as a text; of numbers the order counts.
fn names_come_again(header: &[String], mut row: Vec<String>) -> bool {
    if header.len() < 2 || header == row {
        return header.len() > 1;
    }
    let mut header = header.to_vec();
    header.sort_unstable();
    row.sort_unstable();
    header == row && header.iter().all(|name| !name.is_empty() && name.parse::<f64>().is_err())
}

fn is_header_again(header: &[String], row: &[String]) -> bool {
    let all_plain = |fields: &[String]| fields.iter().map(|field| plain(field)).collect::<Vec<_>>();
    names_come_again(&all_plain(header), all_plain(row))
}

/// Why a first row looks like data rather than a header, as a sentence; `None` where it does not, or where the columns
/// that were asked for are in it. `rows` are some of those that follow.
pub fn doubt(header: &[String], rows: &[Vec<String>], options: &ReadOptions) -> Option<String> {
    let has = |name: &str| header.iter().any(|known| known.trim() == name.trim());
    let is_named = |text: &TextColumns| text.names_in(header).iter().all(|name| has(name));
    if options.text.as_ref().is_some_and(is_named) || options.label.as_deref().is_some_and(has) {
        return None;
    }
    if options.trained_on.text.as_ref().is_some_and(is_named) || header.iter().any(|name| is_usual(name)) {
        return None;
    }
    let why = header.iter().enumerate().find_map(|(column, name)| looks_like_data(name, column, header, rows))?;
    let shown: String =
        header.iter().find(|name| !name.is_empty()).map_or("", String::as_str).chars().take(40).collect();
    let other = rows.iter().filter(|row| row.len() != header.len()).count();
    let columns = match header.len() {
        // The delimiter stands in the texts of a single column.
        1 if other > 0 => " --delimiter tab".to_owned(),
        _ if 2 * other > rows.len() => " --delimiter tab".to_owned(),
        _ => columns_of_data(header, rows, options.unlabelled),
    };
    Some(format!(
        "the first row (`{shown}`…) is taken as the header, but looks like data: {why}; if it is data: \
         --no-header{columns}"
    ))
}

/// Whether data sets usually have a column of this name.
fn is_usual(name: &str) -> bool {
    let name = name.trim().trim_start_matches('\u{feff}');
    let pairs = PAIR_NAMES.iter().flat_map(|(first, second)| [*first, *second]);
    let mut usual = TEXT_NAMES.iter().chain(&LABEL_NAMES).chain(&IMAGE_NAMES).chain(&OTHER_NAMES).copied().chain(pairs);
    usual.any(|known| known.eq_ignore_ascii_case(name))
}

fn looks_like_data(name: &str, column: usize, header: &[String], rows: &[Vec<String>]) -> Option<String> {
    let name = name.trim();
    let below = || rows.iter().filter(|row| row.len() == header.len() && !is_header_again(header, row));
    let shown: String = name.chars().take(40).collect();
    if name.is_empty() {
        return None;
    }
    if below().any(|row| row.get(column).is_some_and(|field| field.trim() == name)) {
        return Some(format!("`{shown}` appears again below"));
    }
    let numeric = |field: &str| field.trim().parse::<f64>().is_ok();
    if numeric(name)
        && below().all(|row| row.get(column).is_some_and(|field| numeric(field) || field.trim().is_empty()))
    {
        return Some(format!("`{shown}` is a number"));
    }
    let words = name.split_whitespace().count();
    let is_question = name.contains('?') || name.ends_with([':', ')']);
    if !is_question && (words >= 8 || (words >= 3 && name.ends_with(['.', '!'])) || name.chars().count() > 80) {
        return Some(format!("`{shown}` is a sentence"));
    }
    (header.len() == 1 && words > 1 && !is_question).then(|| "it is no usual name of a column".to_owned())
}

/// The flags for the columns of text and label in rows without a header: the longest values, and the one column, if
/// there is just one, of a few short values that come again.
fn columns_of_data(header: &[String], rows: &[Vec<String>], unlabelled: bool) -> String {
    if header.len() < 2 {
        return String::new();
    }
    let values = |column: usize| rows.iter().filter_map(move |row| row.get(column)).chain(header.get(column));
    let length = |column: usize| values(column).map(String::len).sum::<usize>();
    let Some(text) = (0..header.len()).max_by_key(|&column| length(column)) else { return String::new() };
    let is_likely = |column: usize| {
        let all = values(column).count();
        let mut different: Vec<&str> = values(column).map(|value| value.trim()).collect();
        different.sort_unstable();
        different.dedup();
        let most = if all < 12 { all.saturating_sub(1) } else { all / 4 };
        let is_short = |value: &&str| !value.is_empty() && value.chars().count() <= 40;
        (2..=most).contains(&different.len()) && different.iter().all(is_short)
    };
    let is_number = |column: usize| values(column).all(|value| value.trim().parse::<f64>().is_ok());
    let likely: Vec<usize> = (0..header.len()).filter(|&column| column != text && is_likely(column)).collect();
    let words: Vec<usize> = likely.iter().copied().filter(|&column| !is_number(column)).collect();
    let label = match (words.as_slice(), likely.as_slice()) {
        _ if unlabelled => None,
        ([label], _) | ([], [label]) => Some(label),
        _ => None,
    };
    let label = label.map(|label| format!(" --label {}", label + 1)).unwrap_or_default();
    format!(" --text {}{label}", text + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubted(table: &[&[&str]]) -> Option<String> {
        let rows: Vec<Vec<String>> =
            table.iter().map(|row| row.iter().map(|&field| field.to_owned()).collect()).collect();
        doubt(rows.first()?, rows.get(1..)?, &ReadOptions::default())
    }

    #[test]
    fn first_rows_that_look_like_data() {
        assert!(
            doubted(&[&["ham", "see you"], &["spam", "win"], &["ham", "ok"]]).unwrap().contains("--text 2 --label 1")
        );
        assert!(doubted(&[&["1", "good"], &["2", "bad"]]).unwrap().contains("`1` is a number"));
        assert!(doubted(&[&["Great product"], &["Terrible service"]]).is_some());
        assert!(doubted(&[&["x", "The film was long and dull."], &["y", "z"]]).unwrap().contains("sentence"));
    }

    #[test]
    fn headers_are_believed() {
        assert_eq!(doubted(&[&["text", "label"], &["label", "label"]]), None);
        assert_eq!(doubted(&[&["v1", "v2"], &["ham", "see you"], &["v1", "v2"]]), None);
        assert_eq!(doubted(&[&["Beschreibung"], &["Schöner Film"]]), None);
        assert_eq!(doubted(&[&["What did you like, and why?", "Stars"], &["a", "1"]]), None);
        assert_eq!(doubted(&[&["Land", "2019"], &["DE", "viel"]]), None);
    }
}
