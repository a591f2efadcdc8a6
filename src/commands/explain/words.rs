//! From scores of tokens to scores of words, in the texts that they stand in.

use std::ops::Range;

use crate::data::Input;
use crate::report::why::Piece;
use crate::transform::{Place, Span};

/// A word, where it stands, and what its tokens add.
struct Word {
    text: usize,
    word: Option<u32>,
    bytes: Range<usize>,
    score: f64,
}

/// Each text of `input` in pieces: words with their scores, and what stands between them.
pub fn pieces(input: &Input, spans: &[Span], scores: &[f64]) -> Vec<Vec<Piece>> {
    let texts: Vec<&str> = match input {
        Input::Text(text) => vec![text],
        Input::Pair(first, second) => vec![first, second],
        Input::Image(_) => Vec::new(),
    };
    let mut words: Vec<Word> = Vec::new();
    for (span, &score) in spans.iter().zip(scores) {
        let Some(Place { text, bytes, word }) = &span.place else { continue };
        match words.last_mut() {
            // Tokens of one word, and tokens that share a letter, are one piece.
            Some(last)
                if last.text == *text && (last.bytes.end > bytes.start || (word.is_some() && last.word == *word)) =>
            {
                last.bytes.end = last.bytes.end.max(bytes.end);
                last.score += score;
            }
            _ => words.push(Word { text: *text, word: *word, bytes: bytes.clone(), score }),
        }
    }
    let of_text = |(index, text): (usize, &&str)| in_pieces(text, words.iter().filter(|word| word.text == index));
    texts.iter().enumerate().map(of_text).collect()
}

fn in_pieces<'w>(text: &str, words: impl Iterator<Item = &'w Word>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut end = 0;
    let mut push = |range: Range<usize>, score| {
        if let Some(part) = text.get(range).filter(|part| !part.is_empty()) {
            pieces.push(Piece { text: part.to_owned(), score });
        }
    };
    for word in words {
        let Range { start, end: stop } = word.bytes;
        // Some tokenizers count the space before a word to it.
        let blank = text.get(start..stop).map_or(0, |part| part.len() - part.trim_start().len());
        let start = (start + blank).max(end);
        push(end..start, None);
        push(start..stop.max(start), Some(word.score));
        end = stop.max(start);
    }
    push(end..text.len(), None);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(place: Option<(usize, Range<usize>, Option<u32>)>) -> Span {
        let place = place.map(|(text, bytes, word)| Place { text, bytes, word });
        Span { id: 0, segment: 0, place }
    }

    #[test]
    fn the_tokens_of_a_word_are_one_piece_and_no_letter_is_lost() {
        let input = Input::Pair("a great film!".to_owned(), "é no".to_owned());
        let spans = [
            span(None),
            span(Some((0, 0..1, Some(0)))),
            span(Some((0, 1..4, Some(1)))),
            span(Some((0, 4..7, Some(1)))),
            span(None),
            span(Some((1, 0..2, Some(0)))),
            span(Some((1, 3..5, Some(1)))),
        ];
        let found = pieces(&input, &spans, &[9.0, 1.0, 2.0, 3.0, 9.0, 4.0, -1.0]);
        let shown = |pieces: &[Piece]| -> Vec<(String, Option<f64>)> {
            pieces.iter().map(|piece| (piece.text.clone(), piece.score)).collect()
        };
        let expected = [("a", Some(1.0)), (" ", None), ("great", Some(5.0)), (" film!", None)];
        assert_eq!(shown(&found[0]), expected.map(|(text, score)| (text.to_owned(), score)));
        let expected = [("é", Some(4.0)), (" ", None), ("no", Some(-1.0))];
        assert_eq!(shown(&found[1]), expected.map(|(text, score)| (text.to_owned(), score)));
    }
}
