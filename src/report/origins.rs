//! Where the rows of a split come from: file, row, and the value by which the file itself tells its rows apart.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::data::Origins;

/// Where a row of a split comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Row of the file, counted from 1 without the header.
    pub row: u64,
    /// The file; `None` for an image of a folder, which is known by its path.
    pub file: Option<PathBuf>,
    /// The name and the value of the column by which the file tells its rows apart.
    pub id: Option<(String, String)>,
}

/// The origin of each row, with its id where the file has a column of ids. `file`: of the row of an index.
pub fn row_origins(found: &Origins, file: impl Fn(usize) -> Option<PathBuf>) -> Vec<Origin> {
    let ids = id_column(found);
    let id = |row: usize| Some((found.columns[ids?].clone(), found.values.get(row)?.get(ids?)?.clone()));
    found.rows.iter().enumerate().map(|(index, &row)| Origin { row, file: file(index), id: id(index) }).collect()
}

/// The first column that is named as ids are, and has another value in every row.
fn id_column(found: &Origins) -> Option<usize> {
    (0..found.columns.len()).filter(|&column| is_named_id(&found.columns[column])).find(|&column| {
        let mut seen = HashSet::new();
        found.values.iter().all(|row| row.get(column).is_some_and(|value| !value.is_empty() && seen.insert(value)))
    })
}

/// `id`, `ticket_id`, `ticketId`, `Ticket-ID`, `uuid`, `key`, `number` …
fn is_named_id(name: &str) -> bool {
    const WORDS: [&str; 10] = ["id", "ids", "uuid", "guid", "key", "nr", "no", "number", "ref", "reference"];
    let name = name.trim();
    let last = name.rsplit(|char: char| !char.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or(name);
    WORDS.contains(&last.to_lowercase().as_str()) || last.ends_with("Id") || last.ends_with("ID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_name_and_must_tell_rows_apart() {
        for name in ["id", "ID", "ticket_id", "ticketId", "Ticket ID", "uuid", "Nr.", "order number"] {
            assert!(is_named_id(name), "{name}");
        }
        for name in ["text", "valid", "paid", "covid", "key words", ""] {
            assert!(!is_named_id(name), "{name}");
        }
        let row = |id: &str, ticket: &str| vec![id.to_owned(), ticket.to_owned()];
        let mut found = Origins {
            rows: vec![4, 9],
            columns: ["group_id", "ticket_id"].map(str::to_owned).to_vec(),
            values: vec![row("a", "T1"), row("a", "T2")],
            ..Origins::default()
        };
        let origins = row_origins(&found, |_| None);
        assert_eq!((origins[1].row, origins[1].id.clone()), (9, Some(("ticket_id".to_owned(), "T2".to_owned()))));
        found.values[1][1] = "T1".to_owned();
        assert_eq!(row_origins(&found, |_| None)[0].id, None);
    }
}
