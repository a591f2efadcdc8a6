//! SentencePiece's own files (`spm.model`, `sentencepiece.bpe.model`, `spiece.model`) as Unigram tokenizers.
//!
//! They are protocol buffers, of which the few fields are read that Python's transformers uses: pieces with score and
//! type, kind of model, unknown piece, normalisation (`sentencepiece_model.proto`). Where each of Python's classes puts
//! its special tokens is what `convert_slow_tokenizer.py` of transformers 5.17 says.

use std::path::Path;

use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::Precompiled;
use tokenizers::{AddedToken, Tokenizer};

use crate::error::{Error, Result};
use crate::json::COMPLETE;
use crate::transform::guard::guarded;

/// In which order a class has pieces and special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// As the file has them; which piece is the unknown one, the class says.
    Stored { unknown: usize },
    /// As the file has them; the unknown piece is that of this name, else the file's.
    Named { unknown: &'static str },
    /// XLM-RoBERTa's: four tokens for the file's first three, `<mask>` at the end.
    XlmRoberta,
    /// CamemBERT's: five tokens for the file's first, `<mask>` at the end.
    Camembert,
}

/// The pieces of a file.
#[derive(Debug, Default)]
struct Model {
    pieces: Vec<Piece>,
    unknown: usize,
    charsmap: Vec<u8>,
}

#[derive(Debug)]
struct Piece {
    text: String,
    score: f32,
    kind: u64,
}

/// Tokens that no text becomes, and tokens that a text always becomes.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;
const UNIGRAM: u64 = 1;

/// The vocabulary of `file`, its normalisation, and the tokens that are matched before it.
///
/// # Errors
/// It is no file of SentencePiece, or has another kind of model than Unigram.
pub fn unigram(file: &Path, arrangement: Arrangement) -> Result<Tokenizer> {
    let bytes = std::fs::read(file).map_err(|error| Error::io(error, file))?;
    let model = Model::read(&bytes).map_err(|error| error.file(file))?;
    let unreadable =
        |why: String| Error::request(format!("the vocabulary cannot be read: {why}")).file(file).hint(COMPLETE);
    let added: Vec<AddedToken> = model
        .pieces
        .iter()
        .filter(|piece| matches!(piece.kind, CONTROL | USER_DEFINED))
        .map(|piece| AddedToken::from(piece.text.clone(), piece.kind == CONTROL).normalized(false))
        .collect();
    let charsmap = model.charsmap.clone();
    let (vocabulary, unknown) = model.arranged(arrangement);
    let build = || -> std::result::Result<Tokenizer, String> {
        let pieces = Unigram::from(vocabulary, Some(unknown), false).map_err(|error| error.to_string())?;
        let mut tokenizer = Tokenizer::new(pieces);
        if !charsmap.is_empty() {
            let precompiled = Precompiled::from(&charsmap).map_err(|error| error.to_string())?;
            tokenizer.with_normalizer(Some(precompiled));
        }
        tokenizer.add_tokens(&added);
        Ok(tokenizer)
    };
    guarded(build).flatten().map_err(unreadable)
}

impl Model {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut model = Self::default();
        let mut kind = UNIGRAM;
        let mut fields = Fields { rest: bytes };
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(piece)) => model.pieces.push(Piece::read(piece)?),
                (2, Value::Bytes(trainer)) => {
                    let mut fields = Fields { rest: trainer };
                    while let Some(field) = fields.next()? {
                        match field {
                            (3, Value::Number(number)) => kind = number,
                            (40, Value::Number(id)) => model.unknown = usize::try_from(id).unwrap_or(usize::MAX),
                            _ => {}
                        }
                    }
                }
                (3, Value::Bytes(normalizer)) => {
                    let mut fields = Fields { rest: normalizer };
                    while let Some(field) = fields.next()? {
                        if let (2, Value::Bytes(charsmap)) = field {
                            model.charsmap = charsmap.to_vec();
                        }
                    }
                }
                _ => {}
            }
        }
        if model.pieces.is_empty() {
            return Err(damaged());
        }
        if kind != UNIGRAM {
            return Err(Error::request("the SentencePiece model is not a Unigram one, which this tokenizer needs")
                .hint("use the tokenizer files that belong to this checkpoint"));
        }
        Ok(model)
    }

    /// The vocabulary in the order of its ids, and the id of the unknown token.
    fn arranged(self, arrangement: Arrangement) -> (Vec<(String, f64)>, usize) {
        let special =
            |names: &[&str]| -> Vec<(String, f64)> { names.iter().map(|name| ((*name).into(), 0.0)).collect() };
        let stored = self.pieces.into_iter().map(|piece| (piece.text, f64::from(piece.score)));
        match arrangement {
            Arrangement::Stored { unknown } => (stored.collect(), unknown),
            Arrangement::Named { unknown } => {
                let vocabulary: Vec<(String, f64)> = stored.collect();
                let named = vocabulary.iter().position(|(text, score)| text == unknown && *score == 0.0);
                (vocabulary, named.unwrap_or(self.unknown))
            }
            Arrangement::XlmRoberta => {
                let mut vocabulary = special(&["<s>", "<pad>", "</s>", "<unk>"]);
                vocabulary.extend(stored.skip(3));
                vocabulary.extend(special(&["<mask>"]));
                (vocabulary, 3)
            }
            Arrangement::Camembert => {
                let mut vocabulary = special(&["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"]);
                vocabulary[4].1 = -100.0;
                vocabulary.extend(stored.skip(1));
                vocabulary.extend(special(&["<mask>"]));
                (vocabulary, 3)
            }
        }
    }
}

impl Piece {
    fn read(bytes: &[u8]) -> Result<Self> {
        let mut piece = Self { text: String::new(), score: 0.0, kind: 1 };
        let mut fields = Fields { rest: bytes };
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(text)) => piece.text = std::str::from_utf8(text).map_err(|_| damaged())?.to_owned(),
                (2, Value::Float(score)) if score.is_finite() => piece.score = score,
                (3, Value::Number(kind)) => piece.kind = kind,
                (1..=3, _) => return Err(damaged()),
                _ => {}
            }
        }
        Ok(piece)
    }
}

fn damaged() -> Error {
    Error::request("not a valid SentencePiece file").hint(COMPLETE)
}

/// The fields of a protocol buffer, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

#[derive(Debug)]
enum Value<'a> {
    Number(u64),
    Float(f32),
    Bytes(&'a [u8]),
    Double,
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Double)?,
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Float(f32::from_le_bytes(self.take(4)?.try_into().map_err(|_| damaged())?)),
            _ => return Err(damaged()),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let (taken, rest) =
            usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length)).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first.
    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(damaged())
    }
}
