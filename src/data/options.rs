//! How a data file is to be read, as far as the command line, a configuration or an earlier run says. What is left open
//! is found out when the file is opened ([`super::reader`]) or its columns are resolved ([`super::columns`]).

use std::fmt;

use super::{LabelRules, Modality};
use crate::config::Quote;

/// How to read a file; everything that is not set is found out.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The columns that hold the text.
    pub text: Option<TextColumns>,
    /// The column that holds the label; of several labels also a comma-separated list of columns, one for each label.
    pub label: Option<String>,
    /// A row may have any number of labels: what is between those of a cell.
    pub label_separator: Option<String>,
    /// A row has a number in place of a label.
    pub numbers: bool,
    /// Used where `text` or `label` is not given; a file without them is only read where there is no doubt.
    pub trained_on: TrainedColumns,
    /// One ASCII character between fields.
    pub delimiter: Option<u8>,
    /// What encloses fields.
    pub quote: Quote,
    /// The first row is data too, and columns go by number, from 1.
    pub no_header: bool,
    /// The encoding of text files.
    pub encoding: Option<&'static encoding_rs::Encoding>,
    /// The sheet of a spreadsheet, by name or number from 1; the first one with data when not set.
    pub sheet: Option<String>,
    /// Rows that cannot be read are left out and counted, instead of ending the reading.
    pub skip_bad_rows: bool,
    /// The longest row that is accepted, in bytes; 64 MiB when not set.
    pub max_row_bytes: Option<usize>,
    /// How labels are cleaned.
    pub label_rules: LabelRules,
    /// What the model reads.
    pub modality: Modality,
    /// Rows are to be labelled: nobody asks for a label's column.
    pub unlabelled: bool,
    /// Whether the rows of a folder of class folders have the class as their label.
    pub classes: bool,
    /// The flag that names the data, of a command that takes no other split; as training's where not set.
    pub data_flag: Option<&'static str>,
}

/// The columns of the file that a model was trained on.
#[derive(Debug, Clone, Default)]
pub struct TrainedColumns {
    /// `None` when that is not known, as of a model that rehead did not train.
    pub text: Option<TextColumns>,
    /// `None` when that is not known.
    pub label: Option<String>,
    /// What was between the labels of a row that may have several.
    pub label_separator: Option<String>,
}

/// What is between the labels of a row that may have several, where nothing says otherwise.
pub const USUAL_SEPARATOR: &str = "|";

/// The columns of the text, as somebody named them: one is a single text, two are a pair, three and more are joined to
/// one text.
///
/// A name may hold a comma. So what was given is kept as it is, and read as several names only where the file has no
/// column of exactly this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumns(Vec<String>);

impl TextColumns {
    /// Columns by the names, or comma-separated lists of names, that were given.
    pub fn new(given: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(given.into_iter().map(Into::into).collect())
    }

    /// As they were given.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names that are meant in a file with these columns: a column of exactly the given name, otherwise what stands
    /// between the commas, or several such parts where only together they name a column.
    pub fn names_in(&self, columns: &[String]) -> Vec<String> {
        let is_column = |name: &str| columns.iter().any(|column| column == name || column.trim() == name.trim());
        let names_of = |given: &str| -> Vec<String> {
            if is_column(given) || !given.contains(',') {
                return vec![given.to_owned()];
            }
            let (mut names, mut rest) = (Vec::new(), Some(given));
            while let Some(left) = rest {
                let ends = left.match_indices(',').map(|(at, _)| at).chain([left.len()]);
                let first = left.find(',').unwrap_or(left.len());
                let end = ends.into_iter().find(|&end| left.get(..end).is_some_and(is_column)).unwrap_or(first);
                names.push(left.get(..end).unwrap_or_default().trim().to_owned());
                rest = left.get(end + 1..);
            }
            names
        };
        self.given().flat_map(names_of).collect()
    }

    /// How many texts a network is shown of columns in this number.
    pub fn is_pair(&self) -> bool {
        self.0.len() == 2
    }
}

impl fmt::Display for TextColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_with_a_comma_goes_before_a_list() {
        let columns = ["What, and why?", "a", "b"].map(str::to_owned);
        let names = |given: &[&str]| TextColumns::new(given.to_vec()).names_in(&columns);
        assert_eq!(names(&["What, and why?"]), ["What, and why?"]);
        assert_eq!(names(&["a, b"]), ["a", "b"]);
        assert_eq!(names(&["What, and why?", "b"]), ["What, and why?", "b"]);
        assert_eq!(names(&["a", "x,b"]), ["a", "x", "b"]);
        assert_eq!(names(&["a,What, and why?,b"]), ["a", "What, and why?", "b"]);
        assert_eq!(names(&["What,b,"]), ["What", "b", ""]);
    }
}
