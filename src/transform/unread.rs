//! What of its texts a network does not get to read: ends beyond the length limit, and texts of which the tokenizer
//! knows no token. Counted while tokenising, and said in the same words by every command.

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
    /// Tokens that they have.
    pub tokens: u64,
    /// Tokens of the longest of them.
    pub longest: usize,
    /// Whether some have more tokens than were counted: very long texts are not tokenised to their end.
    pub at_least: bool,
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
    /// As far as they were counted.
    pub tokens: usize,
    /// Otherwise it has at least as many.
    pub is_counted: bool,
}

impl CutTexts {
    /// The counts of one text, of which `kept` tokens are read.
    pub fn of_text(kept: usize, length: &Length, limit: usize, most: usize) -> Self {
        let &Length { tokens, is_counted } = length;
        if tokens <= kept && is_counted {
            return Self::default();
        }
        let (kept, all) = (kept as u64, tokens as u64);
        Self { texts: 1, limit, most, kept, tokens: all, longest: tokens, at_least: !is_counted }
    }

    /// Adds the counts of other texts.
    fn add(&mut self, other: &Self) {
        self.texts += other.texts;
        self.limit = self.limit.max(other.limit);
        self.most = self.most.max(other.most);
        self.kept += other.kept;
        self.tokens += other.tokens;
        self.longest = self.longest.max(other.longest);
        self.at_least |= other.at_least;
    }

    /// `64 tokens and were cut: 41 % of their tokens are not read (…)`.
    fn consequence(&self) -> String {
        let Self { texts, limit, most, kept, tokens, longest, at_least } = *self;
        let (were, their) = if texts == 1 { ("was", "its") } else { ("were", "their") };
        let unread = percent(1.0 - kept as f64 / tokens.max(1) as f64);
        let at_least_word = if at_least { "at least " } else { "" };
        let longest_words = match (at_least, texts) {
            (true, 1) => format!("it has {} or more", count(longest as u64)),
            (true, _) => format!("the longest has {} or more", count(longest as u64)),
            (false, 1) => format!("it has {} tokens", count(longest as u64)),
            (false, _) => format!("the longest has {}", count(longest as u64)),
        };
        let way = if limit >= most {
            "this model reads no more".to_owned()
        } else if at_least || longest > most {
            format!("--max-length {most} reads more, and is the most that this model reads")
        } else {
            format!("--max-length {longest} reads all")
        };
        format!(
            "{} tokens and {were} cut: {at_least_word}{unread} of {their} tokens are not read ({longest_words}; {way})",
            count(limit as u64)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_said_in_sentences() {
        let cut = CutTexts { texts: 3, limit: 64, most: 512, kept: 192, tokens: 384, longest: 210, at_least: false };
        let mut unread = Unread { texts: 400, cut, unknown: 1 };
        assert_eq!(
            unread.remarks(),
            [
                "3 of 400 texts are longer than 64 tokens and were cut: 50 % of their tokens are not read (the \
                 longest has 210; --max-length 210 reads all)",
                "1 of 400 texts holds nothing that the tokenizer knows (emoji, another script): its label says nothing"
            ]
        );
        let one = CutTexts { texts: 1, limit: 512, most: 512, kept: 512, tokens: 2048, longest: 2048, at_least: true };
        assert_eq!(
            Unread { texts: 1, cut: one, unknown: 0 }.remarks(),
            ["the text is longer than 512 tokens and was cut: at least 75 % of its tokens are not read (it has \
              2,048 or more; this model reads no more)"]
        );
        unread.add(&Unread { texts: 1, cut: one, unknown: 0 });
        assert_eq!((unread.texts, unread.cut.texts, unread.cut.longest), (401, 4, 2048));
        assert!(Unread { texts: 9, ..Unread::default() }.remarks().is_empty());
    }
}
