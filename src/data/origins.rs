//! What the rows of examples are in their files: number, file, and all other columns, read from the files again. For
//! outputs that are to be joined with the data they came from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Place;
use super::column_choice::{LabelColumn, resolve};
use super::options::ReadOptions;
use super::reader::RowReader;
use super::row::Record;
use crate::error::{Error, Result};

/// The column of a folder's images.
const PATH_COLUMN: &str = "path";

/// The files of examples, and how they were read.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What [`Place::file`] counts.
    pub files: Vec<PathBuf>,
    /// The same for all of them.
    pub options: ReadOptions,
}

/// Rows of files, in the order of the examples that were made of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// The row of each in its file, counted from 1.
    pub rows: Vec<u64>,
    /// The file of each; empty where all are of one.
    pub files: Vec<String>,
    /// The names of the files' columns, without a column of labels that is called `label`.
    pub columns: Vec<String>,
    /// For each row a value in each column.
    pub values: Vec<Vec<String>>,
}

impl Sources {
    /// The rows at `places` with all that stands in them. `texts` are what the examples were when they were loaded: a
    /// file may have changed since.
    ///
    /// # Errors
    /// A file cannot be read again, or does not have these texts in these rows.
    pub fn origins(&self, places: &[Place], texts: &[String]) -> Result<Origins> {
        let mut origins = self.numbers(places);
        let mut wanted: HashMap<u32, Vec<usize>> = HashMap::new();
        for (index, place) in places.iter().enumerate() {
            wanted.entry(place.file).or_default().push(index);
        }
        let mut values: Vec<HashMap<String, String>> = vec![HashMap::new(); places.len()];
        for (file, path) in (0..).zip(&self.files) {
            let Some(mut indices) = wanted.remove(&file) else { continue };
            if path.is_dir() {
                add_columns(&mut origins.columns, &[PATH_COLUMN.to_owned()]);
                for index in indices {
                    values[index].insert(PATH_COLUMN.to_owned(), texts.get(index).cloned().unwrap_or_default());
                }
                continue;
            }
            indices.sort_by_key(|&index| places[index].row);
            self.read(path, &indices, places, texts, &mut origins.columns, &mut values)?;
        }
        let in_order = |mut row: HashMap<String, String>| -> Vec<String> {
            origins.columns.iter().map(|column| row.remove(column).unwrap_or_default()).collect()
        };
        origins.values = values.into_iter().map(in_order).collect();
        Ok(origins)
    }

    /// The rows at `places` by their numbers alone.
    pub fn numbers(&self, places: &[Place]) -> Origins {
        let several = places.iter().any(|place| Some(place.file) != places.first().map(|first| first.file));
        let name = |place: &Place| self.files.get(place.file as usize).map(|file| file.display().to_string());
        Origins {
            rows: places.iter().map(|place| place.row).collect(),
            files: if several { places.iter().map(|place| name(place).unwrap_or_default()).collect() } else { vec![] },
            columns: Vec::new(),
            values: vec![Vec::new(); places.len()],
        }
    }

    /// Reads the rows of the examples `indices`, which are in the order of the file.
    fn read(
        &self,
        path: &Path,
        indices: &[usize],
        places: &[Place],
        texts: &[String],
        columns: &mut Vec<String>,
        values: &mut [HashMap<String, String>],
    ) -> Result<()> {
        let options = &self.options;
        let reader = RowReader::open(path, options)?;
        let resolved = resolve(reader.layout(), options, LabelColumn::Needed)?;
        let names = distinct(reader.columns());
        let given = reader.columns().to_vec();
        // The predictions have a column of this name of their own, which says the same.
        let own = if options.label_separator.is_some() { "labels" } else { "label" };
        let kept: Vec<usize> =
            (0..names.len()).filter(|&column| given[column] != own || resolved.label() != Some(own)).collect();
        add_columns(columns, &kept.iter().map(|&column| names[column].clone()).collect::<Vec<_>>());
        let changed = || Error::request("the file has changed since it was read").file(path);
        let mut left = indices.iter().peekable();
        for row in reader {
            let Some(&&index) = left.peek() else { return Ok(()) };
            let row = row?;
            if row.number < places[index].row {
                continue;
            }
            while let Some(index) = left.next_if(|&&index| places[index].row == row.number) {
                if Some(&resolved.input_of(&row)?.to_string()) != texts.get(*index) {
                    return Err(changed());
                }
                let cell =
                    |&column: &usize| Some((names[column].clone(), row.text(&given[column], column)?.into_owned()));
                values[*index] = kept.iter().filter_map(cell).collect();
                // Later rows of JSON may have keys that the first has not.
                if let Record::Object { members, .. } = &row.record {
                    for key in members.keys().filter(|key| !given.contains(key)) {
                        add_columns(columns, std::slice::from_ref(key));
                        values[*index].insert(key.clone(), row.text(key, 0).unwrap_or_default().into_owned());
                    }
                }
            }
        }
        if left.peek().is_some() { Err(changed()) } else { Ok(()) }
    }
}

impl Origins {
    /// Adds a column with the fold of each row, from 1; `folds` count from 0.
    pub fn add_folds(&mut self, folds: &[usize]) {
        let fold = "fold".to_owned();
        self.rename_columns(std::slice::from_ref(&fold));
        self.columns.push(fold);
        for (values, fold) in self.values.iter_mut().zip(folds) {
            values.push((fold + 1).to_string());
        }
    }

    /// Gives columns with one of the names `taken` another name. Returns both names of each.
    pub fn rename_columns(&mut self, taken: &[String]) -> Vec<(String, String)> {
        let mut renamed = Vec::new();
        for index in 0..self.columns.len() {
            let before = self.columns[index].clone();
            let mut name = before.clone();
            while taken.contains(&name) || (name != before && self.columns.contains(&name)) {
                name.insert_str(0, "input_");
            }
            if name != before {
                self.columns[index].clone_from(&name);
                renamed.push((before, name));
            }
        }
        renamed
    }
}

/// The names, none empty and none twice.
fn distinct(names: &[String]) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let mut name = if name.is_empty() { format!("column_{}", index + 1) } else { name.clone() };
        while distinct.contains(&name) {
            name.push_str("_2");
        }
        distinct.push(name);
    }
    distinct
}

fn add_columns(columns: &mut Vec<String>, more: &[String]) {
    for name in more {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_are_changed() {
        let columns = distinct(&["row", "", "x", "x", "input_row"].map(str::to_owned));
        let mut origins = Origins { columns, ..Origins::default() };
        let renamed = origins.rename_columns(&["row".to_owned(), "label".to_owned()]);
        assert_eq!(renamed, [("row".to_owned(), "input_input_row".to_owned())]);
        assert_eq!(origins.columns, ["input_input_row", "column_2", "x", "x_2", "input_row"]);
    }

    #[test]
    fn rows_are_found_again_in_any_order_and_changes_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.csv"), folder.path().join("b.jsonl"));
        std::fs::write(&first, "id,text,label\n1,x,pos\n2,y,neg\n3,z,pos\n").unwrap();
        let objects =
            "{\"text\":\"w\",\"label\":\"neg\",\"source\":[1]}\n{\"text\":\"v\",\"label\":\"neg\",\"more\":2}\n";
        std::fs::write(&second, objects).unwrap();
        let sources = Sources { files: vec![first.clone(), second.clone()], options: ReadOptions::default() };
        let place = |file, row| Place { file, row };
        let texts = ["z", "w", "x"].map(str::to_owned);
        let found = sources.origins(&[place(0, 3), place(1, 1), place(0, 1)], &texts).unwrap();
        assert_eq!(found.rows, [3, 1, 1]);
        assert_eq!(found.files, [&first, &second, &first].map(|path| path.display().to_string()));
        assert_eq!(found.columns, ["id", "text", "source", "more"]);
        assert_eq!(found.values, [["3", "z", "", ""], ["", "w", "[1]", ""], ["1", "x", "", ""]]);
        let later = sources.origins(&[place(1, 2)], &["v".to_owned()]).unwrap();
        assert_eq!(later.columns, ["text", "source", "more"]);
        assert_eq!(later.values, [["v", "", "2"]]);
        std::fs::write(&first, "id,text,label\n1,x,pos\n").unwrap();
        let error = sources.origins(&[place(0, 3)], &texts[..1]).unwrap_err();
        assert!(error.to_string().ends_with("the file has changed since it was read"));
        assert!(sources.origins(&[place(0, 1)], &["other".to_owned()]).is_err());
    }
}
