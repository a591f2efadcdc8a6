//! What separates and encloses the fields of a CSV or TSV file. Taking records apart is [`super::delimited`]'s.

/// How fields are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub delimiter: u8,
    /// What encloses fields; `None` where quotes are text.
    pub quote: Option<u8>,
    /// Whether a quote that encloses no whole field is text, as in tables with tabs, rather than a fault.
    pub quotes_may_be_text: bool,
}

impl Dialect {
    /// As RFC 4180 has it, but for the delimiter.
    pub fn strict(delimiter: u8) -> Self {
        Self { delimiter, quote: Some(b'"'), quotes_may_be_text: false }
    }

    /// How many fields a line has when quotes are text.
    pub fn count_unquoted(self, line: &[u8]) -> usize {
        1 + line.iter().filter(|&&byte| byte == self.delimiter).count()
    }
}
