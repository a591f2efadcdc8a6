//! What a setting accepts: numbers within limits, one of several words, text, columns. Reads a value from the text of a
//! flag or of `--set`, and judges a value of a TOML file. Which settings there are is not known here.

use std::fmt;
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::RangeBounds;
use std::str::FromStr;

use toml::{Table, Value};

use super::class_weights::ClassWeights;
use super::forms::{Forms, one_of};
use super::lists::{Columns, Paths};

/// The limits of a whole number, both included.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    /// The smallest that is accepted.
    pub min: u64,
    /// The largest that is accepted; from 1,000,000,000 on, messages do not mention it.
    pub max: u64,
}

/// The limits of a finite number.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// The lower end, included or excluded.
    pub min: Bound<f64>,
    /// The upper end, included or excluded.
    pub max: Bound<f64>,
}

/// Passes over the training data.
pub const EPOCHS: Whole = Whole { min: 1, max: 10_000 };
/// At least the first and the last special token and something between them, or what a pair of texts needs.
pub const MAX_LENGTH: Whole = Whole { min: 4, max: 1_000_000 };
/// Tokens that neighbouring windows of a text share; fewer than half of a window, which is known later.
pub const STRIDE: Whole = Whole { min: 0, max: 500_000 };
/// Tokens of a batch, examples of a batch, steps, epochs to wait: counts that cannot be 0.
pub const COUNT: Whole = Whole { min: 1, max: 1_000_000_000 };
/// Folds of the training data.
pub const FOLDS: Whole = Whole { min: 2, max: 20 };
/// CPU threads, of which no more than there are cores are used.
pub const THREADS: Whole = Whole { min: 1, max: 4096 };
/// As many as a report lists.
pub const MISTAKES: Whole = Whole { min: 0, max: 20 };
/// TOML's integers are signed.
pub const SEED: Whole = Whole { min: 0, max: i64::MAX as u64 };
/// A learning rate: usual ones are between 1e-5 and 1e-2, and AdamW moves every weight by about as much in a step.
pub const LEARNING_RATE: Number = Number { min: Excluded(0.0), max: Included(1.0) };
/// Decoupled weight decay: usual is 0 to 0.3.
pub const WEIGHT_DECAY: Number = Number { min: Included(0.0), max: Included(10.0) };
/// The parameter of a Beta distribution, of which more than this is one half whatever is drawn; 0 turns mixing off.
pub const MIXING: Number = Number { min: Included(0.0), max: Included(100.0) };
/// Any finite number above 0, such as a norm.
pub const POSITIVE: Number = Number { min: Excluded(0.0), max: Unbounded };
/// Any finite number from 0 on, such as a factor that 0 turns off.
pub const NOT_NEGATIVE: Number = Number { min: Included(0.0), max: Unbounded };
/// γ of the focal loss.
pub const FOCUS: Number = Number { min: Included(0.0), max: Included(20.0) };
/// A fraction of a whole that may be nothing or all of it.
pub const RATIO: Number = Number { min: Included(0.0), max: Included(1.0) };
/// A fraction that leaves something on either side.
pub const FRACTION: Number = Number { min: Excluded(0.0), max: Excluded(1.0) };
/// A fraction that leaves something over.
pub const BELOW_ONE: Number = Number { min: Included(0.0), max: Excluded(1.0) };
/// A factor that does not enlarge.
pub const DECAY: Number = Number { min: Excluded(0.0), max: Included(1.0) };
/// Up to a petabyte.
pub const MEGABYTES: Whole = Whole { min: 0, max: 1_000_000_000 };
/// Height and width of images, in pixels.
pub const IMAGE_SIZE: Whole = Whole { min: 8, max: 4096 };
/// Stages that are kept; with none there would be no backbone.
pub const STAGES: Whole = Whole { min: 1, max: 1000 };
/// Augmented copies of each image.
pub const VIEWS: Whole = Whole { min: 1, max: 1000 };
/// Layers that are re-initialised, from the last one on; 0 keeps them all.
pub const LAYERS: Whole = Whole { min: 0, max: 1000 };

impl Whole {
    /// A parser for a flag that is not a setting of a run.
    pub fn parser<T: TryFrom<u64>>(self) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
        move |text| {
            let number = text.parse().ok().filter(|number| self.contains(*number));
            number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("expected {self}"))
        }
    }

    fn contains(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

impl Number {
    /// A parser for a flag that is not a setting of a run.
    pub fn parser(self) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
        move |text| text.parse().ok().filter(|number| self.contains(*number)).ok_or_else(|| format!("expected {self}"))
    }

    fn contains(self, number: f64) -> bool {
        number.is_finite() && (self.min, self.max).contains(&number)
    }
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            1_000_000_000.. => write!(f, "a whole number from {}", self.min),
            max => write!(f, "a whole number from {} to {max}", self.min),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let min = match self.min {
            Included(min) => format!(" from {min}"),
            Excluded(min) => format!(" above {min}"),
            Unbounded => String::new(),
        };
        let max = match self.max {
            Included(max) => format!(" up to {max}"),
            Excluded(max) => format!(" below {max}"),
            Unbounded => String::new(),
        };
        let both = if min.is_empty() || max.is_empty() { "" } else { " and" };
        write!(f, "a number{min}{both}{max}")
    }
}

/// What a setting accepts.
#[derive(Debug, Clone, Copy)]
pub enum Accepts {
    /// Any text that is not empty; says what it is.
    Text(&'static str),
    /// The path of a file or folder; says of what.
    Path(&'static str),
    /// One path or several; says of what.
    Paths(&'static str),
    /// One column or several.
    Columns,
    /// A whole number within these limits.
    Whole(Whole),
    /// A finite number within these limits; it may be written as a whole one.
    Number(Number),
    /// Weights by label: a text, or a table of TOML.
    Weights,
    /// Whether something is so: a flag without a value, `true` or `false` in TOML.
    YesNo,
    /// Text of a fixed form: the forms, and the reader that knows them.
    Word(&'static [&'static str], fn(&str) -> Result<(), String>),
}

impl Accepts {
    /// The words that a type of [`super::values`] is read from.
    pub const fn words<T: Forms + FromStr<Err = String>>() -> Self {
        Self::Word(T::FORMS, |text| text.parse::<T>().map(drop))
    }

    /// Whether it is the name of a file or folder, which a shell completes.
    pub fn is_path(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Paths(_))
    }

    /// The value that `text` stands for, as given to a flag or after the `=` of `--set`. What is not of the wanted
    /// kind is taken as text, for [`Self::check`] to refuse.
    pub fn read(&self, text: &str) -> Value {
        let number = match self {
            Self::YesNo => text.parse().ok().map(Value::Boolean),
            Self::Text(_) | Self::Path(_) | Self::Paths(_) | Self::Columns | Self::Weights | Self::Word(..) => None,
            Self::Whole(_) | Self::Number(_) => text.parse().ok().map(Value::Integer).or_else(|| match self {
                // Also what TOML writes otherwise, such as 1_000.
                Self::Whole(_) => toml_value(text),
                _ => text.parse().ok().map(Value::Float).or_else(|| toml_value(text)),
            }),
        };
        number.unwrap_or_else(|| Value::String(text.to_owned()))
    }

    /// As [`Self::read`], where a text may also stand in TOML's quotes and columns in TOML's brackets.
    pub fn read_toml(&self, text: &str) -> Value {
        match (self, toml_value(text)) {
            (_, Some(Value::String(text))) => Value::String(text),
            (Self::Columns | Self::Paths(_), Some(Value::Array(texts))) => Value::Array(texts),
            (Self::Weights, Some(Value::Table(weights))) => Value::Table(weights),
            _ => self.read(text),
        }
    }

    /// Judges a value; the error says what is expected.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match (self, value) {
            (Self::Text(_) | Self::Path(_), Value::String(text)) => !text.trim().is_empty(),
            (Self::Paths(_), value) => value.clone().try_into::<Paths>().is_ok(),
            (Self::Columns, value) => value.clone().try_into::<Columns>().is_ok(),
            (Self::Weights, value) => value.clone().try_into::<ClassWeights>().is_ok(),
            (Self::Whole(limits), Value::Integer(number)) => {
                u64::try_from(*number).is_ok_and(|number| limits.contains(number))
            }
            (Self::Number(limits), Value::Float(number)) => limits.contains(*number),
            (Self::Number(limits), Value::Integer(number)) => limits.contains(*number as f64),
            (Self::Word(_, read), Value::String(text)) => return read(text),
            // A form of digits may stand in TOML as the number that it is.
            (Self::Word(_, read), Value::Integer(number)) => return read(&number.to_string()),
            (Self::Word(_, read), Value::Float(number)) => return read(&number.to_string()),
            (Self::YesNo, Value::Boolean(_)) => true,
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("expected {self}")) }
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(what) | Self::Path(what) => write!(f, "{what}, a text that is not empty"),
            Self::Paths(what) => write!(f, "{what}, or a list of several"),
            Self::Columns => f.write_str(
                "the name of a column, or those of several different ones as \"title,body\" or [\"title\", \"body\"]",
            ),
            Self::Weights => {
                f.write_str("`none`, `balanced`, a file, or weights by label as \"a=2,b=0.5\" or { a = 2.0, b = 0.5 }")
            }
            Self::Whole(limits) => limits.fmt(f),
            Self::Number(limits) => limits.fmt(f),
            Self::YesNo => f.write_str("true or false"),
            Self::Word(forms, _) => write!(f, "a text such as {}", one_of(forms)),
        }
    }
}

/// One value of TOML; `None` when the text is none, or more than one.
fn toml_value(text: &str) -> Option<Value> {
    let mut table = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1)?;
    table.remove("value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_values() {
        assert_eq!(Accepts::Number(POSITIVE).read("2"), Value::Integer(2));
        assert_eq!(Accepts::Number(POSITIVE).read(".5"), Value::Float(0.5));
        assert_eq!(Accepts::Whole(COUNT).read("1_000"), Value::Integer(1000));
        assert_eq!(Accepts::Whole(COUNT).read("2.5"), Value::Float(2.5));
        assert_eq!(Accepts::Whole(COUNT).read("many"), Value::String("many".into()));
        assert_eq!(Accepts::Text("a path").read("\"1e5\""), Value::String("\"1e5\"".into()));
        assert_eq!(Accepts::Text("a path").read_toml("\"1e5\""), Value::String("1e5".into()));
        assert_eq!(Accepts::Text("a path").read_toml("1e5"), Value::String("1e5".into()));
        assert!(matches!(Accepts::Columns.read_toml("[\"a\", \"b, c\"]"), Value::Array(names) if names.len() == 2));
        assert!(matches!(Accepts::Whole(COUNT).read_toml("1\nother = 2"), Value::String(_)));
    }
}
