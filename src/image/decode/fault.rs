//! The image formats by their first bytes, and what can be wrong with a file of one.

use crate::error::{Error, Result};

/// What helps with a file that is not whole.
const REPLACE: &str = "replace the file by a good copy, or leave such images out with --on-bad-input skip";

const SHRINK: &str = "make it smaller, or leave such images out with --on-bad-input skip";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Gif,
    Tiff,
}

impl ImageFormat {
    /// By the first bytes.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::request("the file is empty").hint(REPLACE));
        }
        Ok(match bytes {
            [0xFF, 0xD8, 0xFF, ..] => Self::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Self::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Self::Gif,
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Self::Tiff,
            [b'B', b'M', ..] => Self::Bmp,
            _ => {
                return Err(Error::request("not a readable image").hint(
                    "JPEG, PNG, WebP, BMP, GIF and TIFF are supported: convert it, or leave such images out with \
                         --on-bad-input skip",
                ));
            }
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
        }
    }
}

/// Why an image is not decoded.
pub enum Fault {
    Broken(String),
    /// Ends early.
    CutShort,
    /// Has features that no decoder here knows.
    Unknown(String),
    TooLarge {
        height: u64,
        width: u64,
        limit: u64,
    },
    /// Needs more memory than it may.
    TooMuch {
        height: u64,
        width: u64,
        bytes: u64,
        limit: u64,
    },
}

impl Fault {
    /// What decoders keep beside the pixels is limited too.
    pub fn rows_too_long() -> Self {
        Self::Unknown("its rows, or what else it holds beside the pixels, need too much memory".to_owned())
    }

    pub fn error(self, format: ImageFormat) -> Error {
        let name = format.name();
        match self {
            Self::Broken(reason) => {
                Error::request(format!("the {name} image is damaged: {}", one_line(&reason))).hint(REPLACE)
            }
            Self::CutShort => Error::request(format!("the {name} image is cut short")).hint(REPLACE),
            Self::Unknown(what) => Error::request(format!("this kind of {name} image is not supported: {what}"))
                .hint("save it as an RGB PNG, or leave such images out with --on-bad-input skip"),
            Self::TooLarge { height, width, limit } => Error::request(format!(
                "the {name} image has {height} × {width} pixels; {limit} are the most that are decoded"
            ))
            .hint(SHRINK),
            Self::TooMuch { height, width, bytes, limit } => Error::request(format!(
                "decoding the {name} image of {height} × {width} pixels takes {} MB; {} MB are the most",
                bytes.div_ceil(1 << 20),
                limit >> 20
            ))
            .hint(SHRINK),
        }
    }
}

/// Decoders' reasons may have several lines.
fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Self::CutShort,
            _ => Self::Broken(error.to_string()),
        }
    }
}
