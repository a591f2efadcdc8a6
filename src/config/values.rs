//! The types of settings that are words: each is read from and written as one text, on the command line and in TOML.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::forms::{Forms, unknown_word};

/// An enum of fixed words: `FromStr`, `Display` and [`Forms`] from one list.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl Forms for $name {
            const FORMS: &'static [&'static str] = &[$($word),+];
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(unknown_word(text, Self::FORMS)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

/// Serde by way of `Display` and `FromStr`.
macro_rules! as_text {
    ($($name:ty),+) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

words! {
    /// What a label is.
    Task {
        /// Exactly one of several classes.
        SingleLabel = "single-label",
        /// Any number of several classes.
        MultiLabel = "multi-label",
        /// A number.
        Regression = "regression",
    }
}

words! {
    /// What is read of a text with more tokens than fit.
    LongText {
        /// As many as fit, from the end that the tokenizer begins with; the others are not read.
        Truncate = "truncate",
        /// Its first and its last tokens (Sun et al. 2019).
        HeadTail = "head-tail",
        /// All of it, in windows that overlap.
        Windows = "windows",
    }
}

words! {
    /// How what the network makes of a text's windows becomes one answer.
    WindowPooling {
        /// Their mean.
        Mean = "mean",
        /// The largest value of each number.
        Max = "max",
    }
}

words! {
    /// How the token vectors of a text are pooled.
    Pooling {
        /// The family's own way when the backbone is trained, the mean when it is frozen.
        Auto = "auto",
        /// The first token (and the model's pooler, where it has one).
        Cls = "cls",
        /// The mean over all tokens; of images over those of patches.
        Mean = "mean",
        /// Both, one after the other, in a network with such a head (DINOv2).
        ClsAndMean = "cls+mean",
    }
}

words! {
    /// Which implementation runs a text backbone.
    Engine {
        /// The packed engine where it supports the model family, otherwise rust-bert.
        Auto = "auto",
        /// The layers of this project, which read packed batches.
        Packed = "packed",
        /// rust-bert's layers, the reference.
        RustBert = "rust-bert",
    }
}

words! {
    /// The number format of matrix products.
    Precision {
        /// bf16 where the device is fast in it, otherwise fp32.
        Auto = "auto",
        /// 32-bit floating point.
        Fp32 = "fp32",
        /// 16 bits with the exponent of fp32: the same range, with 2 to 3 significant decimal digits.
        Bf16 = "bf16",
        /// 8-bit integers in the linear layers, activations in bf16; for inference on CPUs with AVX-512 VNNI.
        Int8 = "int8",
    }
}

words! {
    /// The course of the learning rate after the warm-up.
    Schedule {
        /// Straight down to 0.
        Linear = "linear",
        /// Half a cosine down to 0.
        Cosine = "cosine",
        /// The peak rate until the end.
        Constant = "constant",
    }
}

words! {
    /// What the head starts from.
    HeadInit {
        /// As measured to be better for the strategy.
        Auto = "auto",
        /// A linear probe trained on the frozen features (Kumar et al. 2022).
        Probe = "probe",
        /// Small random weights.
        Random = "random",
    }
}

words! {
    /// What the hidden layer of a text network's head starts from: BERT's pooler, RoBERTa's dense layer.
    PoolerInit {
        /// The checkpoint's weights where they do something, else the identity where a tanh follows.
        Auto = "auto",
        /// Hands the features on as they are.
        Identity = "identity",
        /// The checkpoint's weights; small random ones where it has none, as transformers does.
        Checkpoint = "checkpoint",
    }
}

words! {
    /// What training minimises.
    LossFunction {
        /// Minus the logarithm of the true label's probability.
        CrossEntropy = "cross_entropy",
        /// The same with less weight on rows that are predicted well (Lin et al. 2017).
        Focal = "focal",
        /// Of regression: the mean squared error.
        Mse = "mse",
        /// Of regression: squared errors up to one standard deviation, absolute beyond (Huber 1964).
        Huber = "huber",
    }
}

words! {
    /// What happens when an input cannot be read, such as a damaged image.
    OnBadInput {
        /// The command stops.
        Fail = "fail",
        /// It is named, counted and left out.
        Skip = "skip",
    }
}

words! {
    /// What the backbone starts from.
    Init {
        /// The weights of the checkpoint.
        Pretrained = "pretrained",
        /// Random weights; the model is then the name of an architecture.
        Random = "random",
    }
}

words! {
    /// How training images are augmented.
    Augment {
        /// Chosen by the size of the images; none when the backbone is frozen.
        Auto = "auto",
        /// Every epoch sees the images as they are in evaluation.
        None = "none",
        /// Small shifts and horizontal flips: for small images.
        Light = "light",
        /// Random resized crops and horizontal flips.
        Standard = "standard",
        /// The same with RandAugment.
        Strong = "strong",
    }
}

words! {
    /// A setting that is on or off.
    Switch {
        /// What the setting names is done.
        On = "on",
        /// What the setting names is not done.
        Off = "off",
    }
}

/// Which parameters are trained. The head always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The whole backbone.
    Full,
    /// Nothing of the backbone.
    Frozen,
    /// The last N stages (N ≥ 1).
    Last(usize),
    /// The whole backbone, unfrozen stage by stage from the last one on.
    Gradual,
    /// LoRA adapters on the frozen weights.
    Lora {
        /// The inner dimension of each adapter, at least 1.
        rank: usize,
    },
    /// The biases.
    Bitfit,
}

impl Strategy {
    /// The rank of `lora` without a number (as Hu et al. 2022 have it for RoBERTa).
    pub const DEFAULT_LORA_RANK: usize = 8;
}

impl Forms for Strategy {
    const FORMS: &'static [&'static str] = &["full", "frozen", "last:N", "gradual", "lora", "lora:RANK", "bitfit"];
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let positive = |number: &str, what: &str| match number.parse::<usize>() {
            Ok(number @ 1..=100_000) => Ok(number),
            _ => Err(format!("expected {what}, a whole number from 1, after `{name}:`, not {number:?}")),
        };
        match (name, number) {
            ("full", None) => Ok(Self::Full),
            ("frozen", None) => Ok(Self::Frozen),
            ("gradual", None) => Ok(Self::Gradual),
            ("bitfit", None) => Ok(Self::Bitfit),
            ("last", Some("0")) => Err("`last:0` trains nothing of the backbone: write `frozen`".to_owned()),
            ("last", Some(number)) => positive(number, "how many of the last stages are trained").map(Self::Last),
            ("last", None) => Err("`last` needs the number of stages to train, such as `last:2`".to_owned()),
            ("lora", None) => Ok(Self::Lora { rank: Self::DEFAULT_LORA_RANK }),
            ("lora", Some(number)) => positive(number, "the rank").map(|rank| Self::Lora { rank }),
            ("full" | "frozen" | "gradual" | "bitfit", Some(_)) => {
                Err(format!("`{name}` takes no number: write `{name}`"))
            }
            _ => Err(unknown_word(text, Self::FORMS)),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.pad("full"),
            Self::Frozen => f.pad("frozen"),
            Self::Last(stages) => f.pad(&format!("last:{stages}")),
            Self::Gradual => f.pad("gradual"),
            Self::Lora { rank } => f.pad(&format!("lora:{rank}")),
            Self::Bitfit => f.pad("bitfit"),
        }
    }
}

/// Where the network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The first usable GPU, otherwise the CPU.
    Auto,
    /// The CPU, also where there is a GPU.
    Cpu,
    /// A GPU by its index; `cuda` alone is the first.
    Cuda(usize),
}

impl Forms for Device {
    const FORMS: &'static [&'static str] = &["auto", "cpu", "cuda", "cuda:N"];
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(index @ 0..=127)) => Ok(Self::Cuda(index)),
                Some(_) => Err("expected the index of a GPU, a whole number from 0 to 127, after `cuda:`".to_owned()),
                None => Err(unknown_word(text, Self::FORMS)),
            },
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Cpu => f.pad("cpu"),
            Self::Cuda(index) => f.pad(&format!("cuda:{index}")),
        }
    }
}

/// The byte between two fields of a delimited file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiter(u8);

impl Delimiter {
    /// Between lines: every line is a text, whatever is in it.
    pub const NONE: u8 = b'\n';

    /// An ASCII character, never a quote, a carriage return or NUL.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl Forms for Delimiter {
    const FORMS: &'static [&'static str] = &[";", "tab", "none"];
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"\\t" | b"tab" => Ok(Self(b'\t')),
            b"none" => Ok(Self(Self::NONE)),
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => Ok(Self(*byte)),
            _ => Err("expected one ASCII character other than a quote or a line end, `tab` or `none`".to_owned()),
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\t' => f.pad("tab"),
            Self::NONE => f.pad("none"),
            byte => f.pad(char::from(byte).encode_utf8(&mut [0; 4])),
        }
    }
}

/// What encloses a field that holds the delimiter or a line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quote {
    /// The double quote, unless the file shows that its quotes are text.
    #[default]
    Auto,
    /// Nothing: quotes are text, and every line is a row.
    None,
    /// This ASCII character.
    Byte(u8),
}

impl Forms for Quote {
    const FORMS: &'static [&'static str] = &["auto", "none", "\""];
}

impl FromStr for Quote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            b"auto" => Ok(Self::Auto),
            b"none" => Ok(Self::None),
            [byte] if byte.is_ascii_punctuation() => Ok(Self::Byte(*byte)),
            _ => Err("expected `auto`, `none`, or one ASCII character that is no letter, digit or blank".to_owned()),
        }
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::None => f.pad("none"),
            Self::Byte(byte) => f.pad(char::from(*byte).encode_utf8(&mut [0; 4])),
        }
    }
}

/// The encoding of a text file, by any of the names that browsers know, and some of Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// What decodes it.
    pub fn decoder(self) -> &'static encoding_rs::Encoding {
        self.0
    }
}

impl Forms for Encoding {
    const FORMS: &'static [&'static str] = &["utf-8", "cp1252", "latin1", "utf-16", "shift_jis", "gbk", "euc-kr"];
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().to_ascii_lowercase().replace('_', "-");
        let alias = match name.as_str() {
            "utf-8-sig" | "utf8-sig" => "utf-8",
            "latin-1" => "latin1",
            "cp932" => "shift_jis",
            "cp936" => "gbk",
            "cp949" => "euc-kr",
            "cp950" => "big5",
            "mac-roman" => "macintosh",
            other => other,
        };
        let labels = [text, alias, &alias.replace('-', "_"), &alias.replacen("cp", "windows-", 1)];
        let found = labels.iter().find_map(|label| encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()));
        found.map(Self).ok_or_else(|| unknown_word(text, Self::FORMS))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.name().to_ascii_lowercase())
    }
}

as_text!(Augment, Init, OnBadInput, Quote, Encoding);
as_text!(
    HeadInit,
    PoolerInit,
    LossFunction,
    Switch,
    Task,
    LongText,
    WindowPooling,
    Pooling,
    Engine,
    Precision,
    Schedule,
    Strategy,
    Device,
    Delimiter
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_read_and_written() {
        for (text, strategy) in [
            ("full", Strategy::Full),
            ("frozen", Strategy::Frozen),
            ("last:2", Strategy::Last(2)),
            ("gradual", Strategy::Gradual),
            ("lora:8", Strategy::Lora { rank: 8 }),
            ("bitfit", Strategy::Bitfit),
        ] {
            assert_eq!(text.parse(), Ok(strategy));
            assert_eq!(strategy.to_string(), text);
        }
        assert_eq!("lora".parse(), Ok(Strategy::Lora { rank: 8 }));
        for wrong in [
            "",
            "Full",
            "last",
            "last:",
            "last:-1",
            "last:0",
            "lora:0",
            "lora:x",
            "full:1",
            "last:99999999999999999999",
        ] {
            assert!(wrong.parse::<Strategy>().is_err(), "{wrong}");
        }
        assert!("frozn".parse::<Strategy>().unwrap_err().contains("did you mean `frozen`?"));
    }

    #[test]
    fn devices_are_read_and_written() {
        for (text, device) in
            [("auto", Device::Auto), ("cpu", Device::Cpu), ("cuda:0", Device::Cuda(0)), ("cuda:1", Device::Cuda(1))]
        {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for wrong in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:128", "CPU"] {
            assert!(wrong.parse::<Device>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn encodings_go_by_the_names_of_browsers_and_of_python() {
        for (text, name) in [
            ("UTF-8", "utf-8"),
            ("cp1252", "windows-1252"),
            ("latin_1", "windows-1252"),
            ("ks_c_5601-1987", "euc-kr"),
            ("ISO_8859-2:1987", "iso-8859-2"),
            ("shift-jis", "shift_jis"),
            ("mac_roman", "macintosh"),
            ("cp949", "euc-kr"),
        ] {
            assert_eq!(text.parse::<Encoding>().map(|encoding| encoding.to_string()), Ok(name.to_owned()), "{text}");
        }
        assert!("utf-9".parse::<Encoding>().is_err());
    }

    #[test]
    fn delimiters_are_read_and_written() {
        assert_eq!("tab".parse::<Delimiter>().unwrap().byte(), b'\t');
        assert_eq!("\\t".parse::<Delimiter>(), "\t".parse());
        assert_eq!(";".parse::<Delimiter>().unwrap().to_string(), ";");
        assert!(["", ";;", "\"", "\n", "é"].iter().all(|wrong| wrong.parse::<Delimiter>().is_err()));
    }
}
