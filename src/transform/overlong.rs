//! What is read of a text with more tokens than fit: its beginning, its beginning and its end, or all of it in windows.
//! How a model's directory says it, and which of a text's tokens that are.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::TruncationDirection;

use crate::batch::Pooled;
use crate::config::{LongText, WindowPooling};
use crate::error::{Error, Result};
use crate::transform::wordpiece::{Template, longest_first};

/// The entry of `tokenizer_config.json` in which a run keeps it; none where texts are truncated.
pub const ENTRY: &str = "rehead_long_text";

/// What is asked for; what is left open, the model's directory says, or the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LongTextRequest {
    /// What is read.
    pub long_text: Option<LongText>,
    /// Tokens that neighbouring windows share.
    pub stride: Option<usize>,
    /// How the results of windows become one.
    pub window_pooling: Option<WindowPooling>,
    /// Which results are pooled: decided by how the head is fitted.
    pub pooled: Option<Pooled>,
    /// Whether what the directory says is of no interest: a new run.
    pub afresh: bool,
}

/// What is read of long texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongTexts {
    /// What fits, from the tokenizer's side.
    Truncate,
    /// The first and the last tokens: of 510 the first 128 and the last 382 (Sun et al. 2019, "How to Fine-Tune BERT
    /// for Text Classification?"), of other lengths as large a share.
    HeadTail,
    /// Windows of as many tokens as fit, as transformers' `return_overflowing_tokens` makes them.
    Windows {
        /// Tokens of the text that neighbouring windows share.
        stride: usize,
        /// How their results become one.
        pooling: WindowPooling,
        /// Which results.
        pooled: Pooled,
    },
}

/// As it is saved.
#[derive(Serialize, Deserialize)]
struct Saved {
    read: LongText,
    #[serde(skip_serializing_if = "Option::is_none")]
    stride: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooling: Option<WindowPooling>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pools_features: bool,
}

impl LongTextRequest {
    /// What is read of texts with more than `max_length` tokens. `saved`: the entry of the model's directory.
    ///
    /// # Errors
    /// The entry is not understood, options of windows without windows, or a stride of half a window or more.
    pub fn resolve(&self, saved: Option<&Value>, max_length: usize) -> Result<LongTexts> {
        let saved = match saved.filter(|_| !self.afresh).map(Saved::read).transpose() {
            // What is asked for needs nothing that cannot be read.
            Err(_) if self.long_text.is_some() => None,
            read => read?,
        };
        let of_saved = |read| saved.as_ref().filter(|saved| saved.read == read);
        match self.long_text.or(saved.as_ref().map(|saved| saved.read)).unwrap_or(LongText::Truncate) {
            LongText::Windows => {
                let saved = of_saved(LongText::Windows);
                let stride =
                    self.stride.or(saved.and_then(|saved| saved.stride).filter(|&of| is_short(of, max_length)));
                let stride = stride.unwrap_or_else(|| usual_stride(max_length));
                if !is_short(stride, max_length) {
                    return Err(Error::request(format!(
                        "windows of {max_length} tokens cannot share {stride}: fewer than half of them"
                    ))
                    .key("stride")
                    .hint(format!("leave out --stride for {} tokens", usual_stride(max_length))));
                }
                let pooling = self.window_pooling.or(saved.and_then(|saved| saved.pooling));
                let pools_features = saved.is_some_and(|saved| saved.pools_features);
                let pooled = self.pooled.unwrap_or(if pools_features { Pooled::Features } else { Pooled::Logits });
                Ok(LongTexts::Windows { stride, pooling: pooling.unwrap_or(WindowPooling::Mean), pooled })
            }
            other => {
                let idle = [("stride", self.stride.is_some()), ("window_pooling", self.window_pooling.is_some())];
                if let Some((key, _)) = idle.into_iter().find(|(_, is_given)| *is_given) {
                    return Err(Error::request(format!("there are no windows with --long-text {other}"))
                        .key(key)
                        .hint(format!("leave out --{}, or give --long-text windows", key.replace('_', "-"))));
                }
                Ok(if other == LongText::HeadTail { LongTexts::HeadTail } else { LongTexts::Truncate })
            }
        }
    }
}

/// A quarter, as far as that leaves most of a window for what is new.
fn usual_stride(max_length: usize) -> usize {
    if is_short(max_length / 4, max_length) { max_length / 4 } else { 0 }
}

/// Whether even the windows of the longer text of a pair, which have at least half of the room, have something new.
fn is_short(stride: usize, max_length: usize) -> bool {
    // Special tokens are at most about four.
    stride == 0 || stride < max_length.saturating_sub(4) / 2
}

impl Saved {
    fn read(entry: &Value) -> Result<Self> {
        Self::deserialize(entry).map_err(|error| {
            Error::request(format!("what is read of long texts is not understood: {error}"))
                .key(ENTRY)
                .hint("say it by --long-text")
        })
    }
}

impl LongTexts {
    /// What is saved of it; nothing where texts are truncated, as by every program.
    pub fn saved(&self) -> Option<Value> {
        let (read, stride, pooling, pools_features) = match *self {
            Self::Truncate => return None,
            Self::HeadTail => (LongText::HeadTail, None, None, false),
            Self::Windows { stride, pooling, pooled } => {
                (LongText::Windows, Some(stride), Some(pooling), pooled == Pooled::Features)
            }
        };
        serde_json::to_value(Saved { read, stride, pooling, pools_features }).ok()
    }

    /// How an option names it.
    pub fn name(&self) -> LongText {
        match self {
            Self::Truncate => LongText::Truncate,
            Self::HeadTail => LongText::HeadTail,
            Self::Windows { .. } => LongText::Windows,
        }
    }
}

/// The error for a tokenizer that lays texts out as only it can tell, so that they cannot be divided before.
pub fn no_layout(read: &LongTexts) -> Error {
    Error::request(format!(
        "this tokenizer's special tokens leave no place for parts of texts (--long-text {})",
        read.name()
    ))
    .key("long_text")
    .hint("leave out --long-text, or give a larger --max-length")
}

impl LongTexts {
    /// Hands over the parts of a text, or of two (`count`), that are read together; returns how many of their tokens
    /// are in none.
    pub fn lay_out(
        &self,
        texts: &[Vec<u32>; 2],
        count: usize,
        template: &Template,
        side: TruncationDirection,
        push: &mut dyn FnMut([&[u32]; 2]),
    ) -> usize {
        let lengths = texts.each_ref().map(Vec::len);
        let (all, room) = (lengths.iter().sum::<usize>(), template.room);
        let Self::Windows { stride, .. } = *self else {
            let kept = longest_first(lengths, room);
            let ends = [0, 1].map(|text: usize| both_ends(&texts[text], kept[text]));
            push([&ends[0], &ends[1]]);
            return all - kept.iter().sum::<usize>();
        };
        if all <= room {
            push([&texts[0], &texts[1]]);
            return 0;
        }
        if count == 1 {
            let ranges = windows(lengths[0], room, stride, side).into_iter();
            ranges.for_each(|range| push([&texts[0][range], &[]]));
            return 0;
        }
        let (longer, kept) = divided_of_pair(lengths, room);
        let shorter = 1 - longer;
        let whole = match side {
            TruncationDirection::Right => &texts[shorter][..kept],
            TruncationDirection::Left => &texts[shorter][lengths[shorter] - kept..],
        };
        for range in windows(lengths[longer], room - kept, stride, side) {
            let part = &texts[longer][range];
            push(if longer == 0 { [part, whole] } else { [whole, part] });
        }
        lengths[shorter] - kept
    }
}

/// The first and the last of `ids`, `kept` of them.
fn both_ends(ids: &[u32], kept: usize) -> Vec<u32> {
    if kept >= ids.len() {
        return ids.to_vec();
    }
    let head = head(kept);
    [&ids[..head], &ids[ids.len() - (kept - head)..]].concat()
}

/// How many of `kept` tokens come from a text's beginning; the others are its last.
pub fn head(kept: usize) -> usize {
    (kept * 128 + 255) / 510
}

/// The windows of `room` tokens of a text of `length`, neighbours sharing `stride`: from its beginning on, or from its
/// end, as the `tokenizers` crate divides it.
pub fn windows(length: usize, room: usize, stride: usize, side: TruncationDirection) -> Vec<Range<usize>> {
    let room = room.max(1);
    let step = room.saturating_sub(stride).max(1);
    let count = 1 + length.saturating_sub(room).div_ceil(step);
    (0..count)
        .map(|window| match side {
            TruncationDirection::Right => window * step..(window * step + room).min(length),
            TruncationDirection::Left => {
                let end = length.saturating_sub(window * step);
                end.saturating_sub(room)..end
            }
        })
        .collect()
}

/// Of two texts of these lengths that share `room`, which one is divided, and how much is kept of the other: all of it,
/// unless it needs more than half of the room.
pub fn divided_of_pair([first, second]: [usize; 2], room: usize) -> (usize, usize) {
    let longer = usize::from(second >= first);
    (longer, first.min(second).min(room / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_tail_has_three_quarters() {
        assert_eq!((head(510), head(126), head(254), head(1), head(0)), (128, 32, 64, 0, 0));
    }

    #[test]
    fn windows_cover_a_text_and_share_the_stride() {
        let right = |length, room, stride| windows(length, room, stride, TruncationDirection::Right);
        assert!(right(0, 4, 1) == std::iter::once(0..0).collect::<Vec<_>>());
        assert!(right(4, 4, 1) == std::iter::once(0..4).collect::<Vec<_>>());
        assert_eq!(right(5, 4, 1), [0..4, 3..5]);
        assert_eq!(right(10, 4, 1), [0..4, 3..7, 6..10]);
        assert_eq!(windows(10, 4, 2, TruncationDirection::Left), [6..10, 4..8, 2..6, 0..4]);
        assert_eq!(windows(5, 4, 1, TruncationDirection::Left), [1..5, 0..2]);
    }

    #[test]
    fn what_is_saved_is_read_back_and_options_come_first() {
        let request = LongTextRequest::default();
        let windows = |stride, pooling, pooled| LongTexts::Windows { stride, pooling, pooled };
        for reads in [
            LongTexts::HeadTail,
            windows(32, WindowPooling::Mean, Pooled::Logits),
            windows(8, WindowPooling::Max, Pooled::Features),
        ] {
            assert_eq!(request.resolve(reads.saved().as_ref(), 128).expect("sound"), reads);
        }
        assert!(LongTexts::Truncate.saved().is_none());
        assert_eq!(request.resolve(None, 128).expect("sound"), LongTexts::Truncate);
        let saved = windows(8, WindowPooling::Max, Pooled::Features).saved();
        let asked = LongTextRequest { stride: Some(4), ..request };
        assert_eq!(
            asked.resolve(saved.as_ref(), 128).expect("sound"),
            windows(4, WindowPooling::Max, Pooled::Features)
        );
        // Fewer tokens than in training: the windows share fewer, too.
        assert_eq!(
            request.resolve(saved.as_ref(), 16).expect("sound"),
            windows(4, WindowPooling::Max, Pooled::Features)
        );
        let asked = LongTextRequest { long_text: Some(LongText::Truncate), ..request };
        assert_eq!(asked.resolve(saved.as_ref(), 128).expect("sound"), LongTexts::Truncate);
        assert_eq!(
            LongTextRequest { afresh: true, ..request }.resolve(saved.as_ref(), 128).expect("sound"),
            LongTexts::Truncate
        );
        let refused = |request: LongTextRequest, saved: Option<&Value>| {
            request.resolve(saved, 16).expect_err("refused").to_string()
        };
        assert!(
            refused(LongTextRequest { stride: Some(4), ..request }, None)
                .contains("no windows with --long-text truncate")
        );
        let asked = LongTextRequest { long_text: Some(LongText::Windows), stride: Some(6), ..request };
        assert!(refused(asked, None).contains("windows of 16 tokens cannot share 6"));
        assert!(refused(request, Some(&json!({ "read": "sideways" }))).contains("not understood"));
    }

    #[test]
    fn the_longer_of_two_texts_is_divided() {
        assert_eq!(divided_of_pair([3, 100], 20), (1, 3));
        assert_eq!(divided_of_pair([100, 3], 20), (0, 3));
        assert_eq!(divided_of_pair([100, 100], 21), (1, 10));
    }
}
