//! The one error type of the program: what failed, where (file, row, column or key), and a hint on what to do about it.
//!
//! Errors are returned up to `main`, which prints them once and sets the exit status. Nothing here prints or exits.

mod caught;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use caught::caught;

/// A result whose error is [`Error`] unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of error it is, which decides the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: flags, configuration, data or a model that cannot be used. Exit status 2.
    Request,
    /// The request is right, and something failed: disk full, connection lost, an error of a library. Exit status 1.
    Failure,
    /// The person interrupted the run; the state is saved. Exit status 130.
    Interrupted,
    /// The reader of the output closed it (`| head`): a normal end. Exit status 0, nothing printed.
    ClosedPipe,
}

/// An error and where it arose. Made with [`Error::request`] or [`Error::failure`] and completed by the builder
/// methods:
///
/// ```
/// use rehead::error::Error;
///
/// let empty = Error::request("the label is empty").file("train.csv").row(3).line(4).column("label");
/// assert_eq!(empty.to_string(), "train.csv: row 3 (line 4): column `label`: the label is empty");
/// assert_eq!(empty.exit_status(), 2);
/// assert_eq!(empty.hint("fill it in").hint_text(), Some("fill it in"));
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Box<Context>,
}

#[derive(Debug, Default)]
struct Context {
    file: Option<PathBuf>,
    row: Option<u64>,
    line: Option<u64>,
    column: Option<String>,
    key: Option<String>,
    hint: Option<String>,
    /// Shown where there is no other hint.
    fallback_hint: Option<Cow<'static, str>>,
}

impl Error {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), context: Box::default() }
    }

    /// The request cannot be carried out as it stands.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Request, message)
    }

    /// The request is right, and something failed.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failure, message)
    }

    /// Stopped by the person; what was computed is saved.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Interrupted, message)
    }

    /// An input/output error on `path`. What the person can fix (missing file, no permission) counts as a wrong
    /// request.
    pub fn io(error: io::Error, path: impl AsRef<Path>) -> Self {
        use io::ErrorKind::*;
        let kind = match error.kind() {
            BrokenPipe => ErrorKind::ClosedPipe,
            NotFound | PermissionDenied | IsADirectory | NotADirectory | AlreadyExists | ReadOnlyFilesystem
            | InvalidFilename => ErrorKind::Request,
            _ => ErrorKind::Failure,
        };
        let message = match error.kind() {
            NotFound => "no such file or directory".to_owned(),
            PermissionDenied => "permission denied".to_owned(),
            IsADirectory => "is a directory, not a file".to_owned(),
            _ => error.to_string(),
        };
        let hint = match error.kind() {
            NotFound | NotADirectory => "check the path; a relative path starts at the current directory",
            PermissionDenied => "check its owner and permissions: ls -l",
            IsADirectory => "name a file in it",
            InvalidFilename => "give a shorter name",
            StorageFull | QuotaExceeded => "make room on this disk, or write to another one",
            _ => return Self::new(kind, message).file(path.as_ref()),
        };
        Self::new(kind, message).file(path.as_ref()).fallback_hint(hint)
    }

    /// The file or directory concerned. The first call wins: the code nearest to the error knows best.
    pub fn file(mut self, file: impl AsRef<Path>) -> Self {
        self.context.file.get_or_insert_with(|| file.as_ref().to_owned());
        self
    }

    /// The row concerned, counted from 1 as the file's first data row (the header is not counted).
    pub fn row(mut self, row: u64) -> Self {
        self.context.row.get_or_insert(row);
        self
    }

    /// The line of the file on which that row begins, counted from 1 (the header is a line), as editors show it.
    pub fn line(mut self, line: u64) -> Self {
        self.context.line.get_or_insert(line);
        self
    }

    /// The column concerned, by name.
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.context.column.get_or_insert_with(|| column.into());
        self
    }

    /// The configuration key or tensor name concerned.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.context.key.get_or_insert_with(|| key.into());
        self
    }

    /// What the person can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.context.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// A hint that is shown unless a caller, who knows more of what was being done, gives a better one. The last call
    /// wins.
    pub fn fallback_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.context.fallback_hint = Some(hint.into());
        self
    }

    /// Puts what was being done before the message: `saving the checkpoint: disk full`.
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Adds to the message: `3 fields where the header has 2; there are 4 such rows`.
    pub fn more(mut self, text: impl fmt::Display) -> Self {
        self.message = format!("{}; {text}", self.message);
        self
    }

    /// Adds another way out to the hint.
    pub fn or_hint(mut self, hint: impl fmt::Display) -> Self {
        self.context.hint = Some(match self.hint_text() {
            Some(first) => format!("{first}; {hint}"),
            None => hint.to_string(),
        });
        self
    }

    /// The message with its place in the file, without the file.
    pub fn without_file(&self) -> String {
        let text = self.to_string();
        let file = self.context.file.as_ref().map(|file| format!("{}: ", file.display()));
        file.and_then(|file| text.strip_prefix(&file)).unwrap_or(&text).to_owned()
    }

    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The hint, if there is one.
    pub fn hint_text(&self) -> Option<&str> {
        self.context.hint.as_deref().or(self.context.fallback_hint.as_deref())
    }

    /// The exit status of a program that ends with this error.
    pub fn exit_status(&self) -> u8 {
        match self.kind {
            ErrorKind::Request => 2,
            ErrorKind::Failure => 1,
            ErrorKind::Interrupted => 130,
            ErrorKind::ClosedPipe => 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Context { file, row, line, column, key, .. } = &*self.context;
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

/// A sentence of ours, with what libtorch said in brackets: its first line, as a C++ stack follows, and without what it
/// says to its own developers.
impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        let text = match error {
            tch::TchError::Torch(text) => text,
            other => other.to_string(),
        };
        let (sentence, hint) = meaning(&text);
        Error::failure(format!("{sentence} (libtorch: {})", first_words(&text))).fallback_hint(hint)
    }
}

/// What an error of libtorch means to a person, and what can be done about it.
fn meaning(text: &str) -> (&'static str, &'static str) {
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if says(&["out of memory", "can't allocate memory", "not enough memory"]) {
        ("there is not enough memory", "less memory is needed with a smaller --batch-tokens or --max-length")
    } else if says(&["linalg", "cholesky", "singular", "not positive-definite"]) {
        (
            "a matrix of the features has no inverse, because too few of them differ",
            "give more rows with different content",
        )
    } else if says(&["CUDA", "cuDNN", "cublas", "NVIDIA"]) {
        ("the GPU reported an error", "see whether it works without the GPU: --device cpu")
    } else if says(&["No such file", "open file failed", "failed finding central directory"]) {
        ("a file of saved tensors cannot be read", "check that it is there and complete")
    } else {
        (
            "a computation failed",
            "see whether it works with --precision fp32 --device cpu; please report the command and this message",
        )
    }
}

fn first_words(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    // `false INTERNAL ASSERT FAILED at "x.cpp":1, please report a bug to PyTorch. What happened`
    let said = match first.split_once("please report a bug to PyTorch.") {
        Some((_, said)) if !said.trim().is_empty() => said,
        Some(_) => "an internal error",
        None => first,
    };
    said.trim().to_owned()
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

/// A name as a word of a command, quoted where a shell would take it apart.
pub fn shell_word(text: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "/._-+:=@%,".contains(char);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_says_comes_after_a_sentence() {
        for (said, shown) in [
            (
                "\nfalse INTERNAL ASSERT FAILED at \"../aten/x.cpp\":61, please report a bug to PyTorch. Bad state\n\
                 frame #0",
                "a computation failed (libtorch: Bad state)",
            ),
            (
                "isOk INTERNAL ASSERT FAILED at \"x.cpp\":61, please report a bug to PyTorch. ",
                "a computation failed (libtorch: an internal error)",
            ),
            (
                "linalg.cholesky: not positive-definite",
                "a matrix of the features has no inverse, because too few of them",
            ),
            ("CUDA out of memory. Tried", "there is not enough memory (libtorch: CUDA out of memory. Tried)"),
            ("CUDA error: launch failure", "the GPU reported an error (libtorch: CUDA error: launch failure)"),
            ("", "a computation failed (libtorch: no reason given)"),
        ] {
            let error = Error::from(tch::TchError::Torch(said.to_owned()));
            assert!(error.to_string().starts_with(shown), "{error}");
            assert!(error.hint_text().is_some() && error.exit_status() == 1);
        }
    }
}
