//! What of its texts a network does not get to read: ends beyond the length limit, and texts of which the tokenizer
//! knows no token. Counted while tokenising, and said in the same words by every command.

use crate::config::LongText;
use crate::console::units::{count, counted, percent};

/// Counts over any number of texts; a pair counts as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// All texts that were tokenised.
    pub texts: u64,
    /// Texts that were longer than the limit and lost their end.
    pub cut: CutTexts,
    /// Texts of which no token but `[UNK]` is left, as of signs that the tokenizer does not know.
    pub unknown: u64,
}

/// Texts that were longer than the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutTexts {
    /// How many.
    pub texts: u64,
    /// The limit in tokens, special ones included.
    pub limit: usize,
    /// The most tokens that the model can read.
    pub most: usize,
    /// Tokens that were kept of them.
    pub kept: u64,
    /// Tokens that they have, or have by estimate.
    pub tokens: u64,
    /// Tokens of the longest of them.
    pub longest: usize,
    /// Whether some were not tokenised to their end, so that their lengths are estimates.
    pub is_estimated: bool,
    /// What is read of them; `None`: their beginning.
    pub read: Option<LongText>,
}

impl Unread {
    /// Adds the counts of other texts.
    pub fn add(&mut self, other: &Self) {
        self.texts += other.texts;
        self.unknown += other.unknown;
        self.cut.add(&other.cut);
    }

    /// A sentence for each thing that a person should know before trusting what is made of these texts.
    pub fn remarks(&self) -> Vec<String> {
        let of_all = |part: u64| match self.texts {
            1 => "the text".to_owned(),
            all if all == part => format!("all {}", counted(all, "text")),
            all => format!("{} of {}", count(part), counted(all, "text")),
        };
        let mut remarks = Vec::new();
        if self.cut.texts > 0 {
            let verb = if self.cut.texts == 1 { "is" } else { "are" };
            remarks.push(format!("{} {verb} longer than {}", of_all(self.cut.texts), self.cut.consequence()));
        }
        if self.unknown > 0 {
            let (verb, its) =
                if self.unknown == 1 { ("holds", "its label says") } else { ("hold", "their labels say") };
            let what = "nothing that the tokenizer knows (emoji, another script)";
            remarks.push(format!("{} {verb} {what}: {its} nothing", of_all(self.unknown)));
        }
        remarks
    }
}

/// Tokens that a text has before it is cut, special ones included.
pub struct Length {
    /// Counted, or estimated.
    pub tokens: usize,
    /// Otherwise estimated: a long text is not tokenised to its end only to say how long it is.
    pub is_counted: bool,
}

impl Length {
    /// Of what was tokenised whole.
    pub fn counted(tokens: usize) -> Self {
        Self { tokens, is_counted: true }
    }

    /// Of a text of `bytes`, of which the first `read` gave `tokens`: as if the rest were alike.
    pub fn by_part(tokens: usize, read: usize, bytes: usize) -> Self {
        match read >= bytes {
            true => Self::counted(tokens),
            false => Self { tokens: tokens.saturating_mul(bytes) / read.max(1), is_counted: false },
        }
    }

    /// With the length of what stands beside it.
    pub fn and(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, is_counted: self.is_counted && other.is_counted }
    }
}

impl CutTexts {
    /// The counts of one text, of which `kept` tokens are read.
    pub fn of_text(kept: usize, length: &Length, limit: usize, most: usize, read: LongText) -> Self {
        let &Length { tokens, is_counted } = length;
        if tokens <= kept && is_counted {
            return Self::default();
        }
        let (kept, all) = (kept as u64, tokens as u64);
        let (longest, is_estimated) = (tokens, !is_counted);
        let read = Some(read).filter(|&read| read != LongText::Truncate);
        Self { texts: 1, limit, most, kept, tokens: all, longest, is_estimated, read }
    }

    /// Adds the counts of other texts.
    fn add(&mut self, other: &Self) {
        self.texts += other.texts;
        self.limit = self.limit.max(other.limit);
        self.most = self.most.max(other.most);
        self.kept += other.kept;
        self.tokens += other.tokens;
        self.longest = self.longest.max(other.longest);
        self.is_estimated |= other.is_estimated;
        self.read = self.read.or(other.read);
    }

    /// `64 tokens and were cut: 41 % of their tokens are not read (…)`.
    fn consequence(&self) -> String {
        let Self { texts, limit, most, kept, tokens, longest, is_estimated, read } = *self;
        let (were, their) = if texts == 1 { ("was", "its") } else { ("were", "their") };
        let unread = percent(1.0 - kept as f64 / tokens.max(1) as f64);
        let about = if is_estimated { "about " } else { "" };
        let length = count(longest as u64);
        let longest_words = match texts {
            1 => format!("it has {about}{length} tokens"),
            _ => format!("the longest has {about}{length}"),
        };
        let whole = if read == Some(LongText::Windows) { "" } else { "; --long-text windows reads all" };
        let way = if limit >= most {
            format!("this model reads no more at once{whole}")
        } else if longest > most {
            format!("--max-length {most} reads more, and is the most that this model reads at once{whole}")
        } else {
            let nearly = if is_estimated { "nearly " } else { "" };
            format!(
                "--max-length {longest} reads {nearly}all{}",
                whole.replace("; ", ", so does ").replace(" reads all", "")
            )
        };
        let place = match read {
            Some(LongText::HeadTail) => " in the middle",
            // Of a pair whose texts both are long.
            Some(LongText::Windows) => " in their shorter text",
            _ => "",
        };
        format!(
            "{} tokens and {were} cut{place}: {about}{unread} of {their} tokens are not read ({longest_words}; {way})",
            count(limit as u64)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_said_in_sentences() {
        let cut =
            CutTexts { texts: 3, limit: 64, most: 512, kept: 192, tokens: 384, longest: 210, ..CutTexts::default() };
        let mut unread = Unread { texts: 400, cut, unknown: 1 };
        assert_eq!(
            unread.remarks(),
            [
                "3 of 400 texts are longer than 64 tokens and were cut: 50 % of their tokens are not read (the \
                 longest has 210; --max-length 210 reads all, so does --long-text windows)",
                "1 of 400 texts holds nothing that the tokenizer knows (emoji, another script): its label says nothing"
            ]
        );
        let (limit, is_estimated) = (512, true);
        let one = CutTexts { texts: 1, kept: 512, tokens: 2048, longest: 2048, limit, most: 512, is_estimated, ..cut };
        assert_eq!(
            Unread { texts: 1, cut: one, unknown: 0 }.remarks(),
            ["the text is longer than 512 tokens and was cut: about 75 % of its tokens are not read (it has \
              about 2,048 tokens; this model reads no more at once; --long-text windows reads all)"]
        );
        unread.add(&Unread { texts: 1, cut: one, unknown: 0 });
        assert_eq!((unread.texts, unread.cut.texts, unread.cut.longest), (401, 4, 2048));
        assert!(Unread { texts: 9, ..Unread::default() }.remarks().is_empty());
    }
}
