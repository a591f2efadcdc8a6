//! The one error type of the program: what failed, where (file, row, column or key), and a hint on what to do.
//!
//! Errors are values that rise to `main`, which prints them once and sets the exit status. Nothing here prints or exits.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose turn it is to act, which decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request was wrong: flags, configuration, data or model that cannot be used. Exit status 2.
    Request,
    /// Something failed that was asked for rightly: disk full, connection lost, a library's error. Exit status 1.
    Failure,
    /// The person interrupted the run; the state is saved. Exit status 130.
    Interrupted,
    /// Whoever read our output closed it (`| head`): a normal end. Exit status 0, nothing printed.
    ClosedPipe,
}

/// An error with its place. Built with [`Error::request`] or [`Error::failure`] and completed by the builder methods:
///
/// ```
/// use rehead::error::Error;
/// let error = Error::request("the label is empty").file("train.csv").row(3).line(4).column("label").hint("fill it in or delete the row");
/// assert_eq!(error.to_string(), "train.csv: row 3 (line 4): column `label`: the label is empty");
/// assert_eq!(error.exit_status(), 2);
/// ```
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    place: Box<Place>,
}

#[derive(Debug, Default)]
struct Place {
    file: Option<PathBuf>,
    row: Option<u64>,
    line: Option<u64>,
    column: Option<String>,
    key: Option<String>,
    hint: Option<String>,
    /// Given when nobody had a better one.
    fallback_hint: Option<Cow<'static, str>>,
}

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), place: Box::default() }
    }

    /// The request cannot be carried out as it stands.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(Kind::Request, message)
    }

    /// A rightful request failed.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Kind::Failure, message)
    }

    /// Stopped by the person, with what was computed saved.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Kind::Interrupted, message)
    }

    /// An input/output error on `path`. What the person can mend (absent file, no permission) counts as a wrong request.
    pub fn io(error: std::io::Error, path: impl AsRef<Path>) -> Self {
        use std::io::ErrorKind::*;
        let kind = match error.kind() {
            BrokenPipe => Kind::ClosedPipe,
            NotFound | PermissionDenied | IsADirectory | NotADirectory | AlreadyExists | ReadOnlyFilesystem
            | InvalidFilename => Kind::Request,
            _ => Kind::Failure,
        };
        let message = match error.kind() {
            NotFound => "no such file or directory".to_owned(),
            PermissionDenied => "permission denied".to_owned(),
            IsADirectory => "is a directory, not a file".to_owned(),
            _ => error.to_string(),
        };
        let hint = match error.kind() {
            NotFound | NotADirectory => "check the path; a relative one begins at the current directory",
            PermissionDenied => "check whose it is and what you may do with it: ls -l",
            IsADirectory => "name a file in it",
            InvalidFilename => "give a shorter name",
            StorageFull | QuotaExceeded => "make room on this disk, or write to another one",
            _ => return Self::new(kind, message).file(path.as_ref()),
        };
        Self::new(kind, message).file(path.as_ref()).fallback_hint(hint)
    }

    /// The file or directory concerned. The first call wins: whoever is nearest to the fault knows best.
    pub fn file(mut self, file: impl AsRef<Path>) -> Self {
        self.place.file.get_or_insert_with(|| file.as_ref().to_owned());
        self
    }

    /// The row concerned, counted from 1 as the file's first data row (the header is not counted).
    pub fn row(mut self, row: u64) -> Self {
        self.place.row.get_or_insert(row);
        self
    }

    /// The line of the file on which that row begins, counted from 1 (the header is a line), for people's editors.
    pub fn line(mut self, line: u64) -> Self {
        self.place.line.get_or_insert(line);
        self
    }

    /// The column concerned, by name.
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.place.column.get_or_insert_with(|| column.into());
        self
    }

    /// The configuration key or tensor name concerned.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.place.key.get_or_insert_with(|| key.into());
        self
    }

    /// What the person can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.place.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// A hint for when nobody further up, who knows more of what was being done, has a better one. Of several the last counts.
    pub fn fallback_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.place.fallback_hint = Some(hint.into());
        self
    }

    /// Puts what was being done before the message: `saving the checkpoint: disk full`.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.place.hint.as_deref().or(self.place.fallback_hint.as_deref())
    }

    pub fn exit_status(&self) -> u8 {
        match self.kind {
            Kind::Request => 2,
            Kind::Failure => 1,
            Kind::Interrupted => 130,
            Kind::ClosedPipe => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, row, line, column, key, .. } = &*self.place;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        match (row, line) {
            (Some(row), Some(line)) => write!(f, "row {row} (line {line}): ")?,
            (Some(row), None) => write!(f, "row {row}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (None, None) => {}
        }
        if let Some(column) = column {
            write!(f, "column `{column}`: ")?;
        }
        if let Some(key) = key {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// libtorch's messages carry a C++ stack after the first line; people need the first line.
impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown error").to_owned();
        let error = Error::failure(format!("libtorch: {first}"));
        if text.contains("out of memory")
            || text.contains("can't allocate memory")
            || text.contains("not enough memory")
        {
            return error.hint("less memory is needed with a smaller --batch-tokens or --max-length");
        }
        error
    }
}

/// The name in `known` nearest to `given`, when one is near enough to be what was meant.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&given.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `` `a`, `b` and `c` ``, for messages that list what is known.
pub fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
