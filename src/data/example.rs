//! What a network sees of a row, and the row's label.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::label_text::trimmed;
use super::numbers::Number;

/// What a network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Modality {
    /// One text, or a pair of them.
    #[default]
    Text,
    /// One picture, decoded from its file.
    Image,
}

/// What the texts of a pair are shown with between them.
const BETWEEN_TEXTS: &str = " | ";

/// What the network gets to see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A single text, as the row has it.
    Text(String),
    /// Two texts that are judged together: premise and hypothesis, question and answer.
    Pair(String, String),
    /// The file of an image.
    Image(PathBuf),
}

impl Input {
    /// Whether the text (both texts of a pair) is nothing but white space and characters that nobody sees.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => is_blank(text),
            Self::Pair(first, second) => is_blank(first) && is_blank(second),
            Self::Image(_) => false,
        }
    }

    /// The bytes of its texts.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Pair(first, second) => first.len() + second.len(),
            Self::Image(_) => 0,
        }
    }

    /// Whether one text of a pair is empty, and the other is not.
    pub fn is_half_empty(&self) -> bool {
        matches!(self, Self::Pair(first, second) if is_blank(first) != is_blank(second))
    }

    /// Where the first text of a pair ends in what the pair is shown as, in bytes; nothing of others.
    pub fn first_of_pair(&self) -> Option<usize> {
        match self {
            Self::Pair(first, _) => Some(first.len()),
            Self::Text(_) | Self::Image(_) => None,
        }
    }

    /// The pair that is shown as `text`, where its first text ends there.
    pub fn pair_at(text: &str, end: usize) -> Option<Self> {
        Some(Self::Pair(text.get(..end)?.to_owned(), text.get(end..)?.strip_prefix(BETWEEN_TEXTS)?.to_owned()))
    }

    /// Length in characters, both of a pair together; 0 for an image.
    pub fn chars(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Pair(first, second) => first.chars().count() + second.chars().count(),
            Self::Image(_) => 0,
        }
    }
}

/// Whether nobody sees anything of a text: what would be left of a label.
fn is_blank(text: &str) -> bool {
    trimmed(text).is_empty()
}

/// The text, both texts of a pair with a bar between them, or the path of an image.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Pair(first, second) => write!(f, "{first}{BETWEEN_TEXTS}{second}"),
            Self::Image(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The right answer for a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Truth {
    /// One label: its index in the set's [`super::Labels`].
    Class(u32),
    /// Any number of labels: their indices, increasing.
    Several(Vec<u32>),
    /// A number.
    Number(Number),
}

impl Truth {
    /// The labels of the row, increasing; none where it has a number.
    pub fn labels(&self) -> &[u32] {
        match self {
            Self::Class(label) => std::slice::from_ref(label),
            Self::Several(labels) => labels,
            Self::Number(_) => &[],
        }
    }

    /// The number of a row that has one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.value()),
            Self::Class(_) | Self::Several(_) => None,
        }
    }
}

/// A labelled input and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What the network is shown, without the label.
    pub input: Input,
    /// What it is to answer.
    pub truth: Truth,
    /// Which of the files that were read together.
    pub file: u32,
    /// Row of the file, counted from 1.
    pub row: u64,
}

impl Example {
    /// Where it stands in the data.
    pub fn place(&self) -> Place {
        Place { file: self.file, row: self.row }
    }
}

/// Where an example stands in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// Which of the files that were read together.
    pub file: u32,
    /// Row of the file, counted from 1.
    pub row: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_found_again_in_what_it_is_shown_as() {
        let pair = Input::Pair("a | b".to_owned(), "| c".to_owned());
        let end = pair.first_of_pair().unwrap();
        assert_eq!(Input::pair_at(&pair.to_string(), end), Some(pair));
        assert_eq!(Input::pair_at("é", 1), None);
    }
}
