//! What is noticed while the rows of an input are read that may be several files: a log for each, whose remarks name
//! the file where there are others.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::reading_log::{Oddity, ReadingLog};
use super::row::Row;

/// How many remarks of all files are shown.
const SHOWN: usize = 20;

/// May be asked while another thread reads.
#[derive(Debug, Clone, Default)]
pub struct InputLog(Arc<Mutex<Logs>>);

#[derive(Debug, Default)]
struct Logs {
    is_several: bool,
    of_files: Vec<(PathBuf, ReadingLog)>,
}

impl InputLog {
    /// Nothing noticed yet; whether there are several files.
    pub(super) fn new(is_several: bool) -> Self {
        Self(Arc::new(Mutex::new(Logs { is_several, of_files: Vec::new() })))
    }

    /// Adds the log of the file that is read next.
    pub(super) fn add(&self, file: &Path, log: ReadingLog) {
        if let Ok(mut logs) = self.0.lock() {
            logs.of_files.push((file.to_owned(), log));
        }
    }

    /// Counts an oddity of a row.
    pub fn notice(&self, oddity: Oddity, row: &Row) {
        let log = self.0.lock().ok().and_then(|logs| Some(logs.of_files.get(row.file as usize)?.1.clone()));
        if let Some(log) = log {
            log.notice(oddity, row.number);
        }
    }

    /// As [`ReadingLog::take_said`].
    pub fn take_said(&self) -> Vec<String> {
        self.remarks(ReadingLog::take_said)
    }

    /// As [`ReadingLog::take_warnings`].
    pub fn take_warnings(&self) -> Vec<String> {
        self.remarks(ReadingLog::take_warnings)
    }

    /// As [`ReadingLog::notes`].
    pub fn notes(&self) -> Vec<String> {
        self.remarks(ReadingLog::notes)
    }

    fn remarks(&self, of: impl Fn(&ReadingLog) -> Vec<String>) -> Vec<String> {
        let Ok(logs) = self.0.lock() else { return Vec::new() };
        let named = |(file, log): &(PathBuf, ReadingLog)| -> Vec<String> {
            let remarks = of(log).into_iter();
            remarks
                .map(|remark| if logs.is_several { format!("{}: {remark}", file.display()) } else { remark })
                .collect()
        };
        let mut remarks: Vec<String> = logs.of_files.iter().flat_map(named).collect();
        if logs.is_several && remarks.len() > SHOWN {
            let more = remarks.len() - SHOWN;
            remarks.truncate(SHOWN);
            remarks.push(format!("and {more} more remarks of this kind about other files"));
        }
        remarks
    }
}
