//! SentencePiece's own files (`spm.model`, `sentencepiece.bpe.model`, `spiece.model`, `tokenizer.model`) as tokenizers:
//! Unigram, or BPE.
//!
//! They are protocol buffers, of which the few fields are read that Python's transformers uses: pieces with score and
//! type, kind of model, unknown piece, normalisation (`sentencepiece_model.proto`). Where each of Python's classes puts
//! its special tokens, and which merges a BPE has, is what `convert_slow_tokenizer.py` of transformers 5.17 says.

use std::path::Path;

use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::replace::Replace;
use tokenizers::normalizers::{Precompiled, Sequence};
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, Tokenizer};

use crate::error::{Error, Result};
use crate::json::COMPLETE;
use crate::transform::bounds::check_table;
use crate::transform::guard::guarded;

/// In which order a class has pieces and special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// As the file has them; which piece is the unknown one, the class says.
    Stored { unknown: usize },
    /// As the file has them, its own unknown piece too.
    Own,
    /// As the file has them; the unknown piece is that of this name, else the file's.
    Named { unknown: &'static str },
    /// XLM-RoBERTa's: four tokens for the file's first three, `<mask>` at the end.
    XlmRoberta,
    /// CamemBERT's: five tokens for the file's first, `<mask>` at the end.
    Camembert,
    /// T5's: as the file has them, and behind them so many sentinels (`<extra_id_0>` is the last).
    T5 { sentinels: usize },
}

/// The name of one of T5's sentinels.
pub fn sentinel(number: usize) -> String {
    format!("<extra_id_{number}>")
}

/// The pieces of a file.
#[derive(Debug, Default)]
struct Model {
    pieces: Vec<Piece>,
    kind: u64,
    unknown: usize,
    unknown_piece: String,
    /// Whether characters that no piece has become pieces of their bytes.
    byte_fallback: bool,
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
const BYTE_PAIRS: u64 = 2;

/// The vocabulary of `file` as a class of transformers has it, its normalisation, and the tokens that are matched
/// before it.
///
/// # Errors
/// It is no file of SentencePiece, or has another kind of model than Unigram.
pub fn unigram(file: &Path, arrangement: Arrangement) -> Result<Tokenizer> {
    let model = Model::of_file(file)?;
    if model.kind != UNIGRAM {
        return Err(other_kind("a Unigram one, which this tokenizer needs").file(file));
    }
    let added = model.added_tokens();
    let charsmap = model.charsmap.clone();
    let (vocabulary, unknown) = model.arranged(arrangement);
    let build = || {
        let mut tokenizer = Tokenizer::new(Unigram::from(vocabulary, Some(unknown), false)?);
        if !charsmap.is_empty() {
            tokenizer.with_normalizer(Some(replacements(&charsmap)?));
        }
        tokenizer.add_tokens(&added);
        Ok(tokenizer)
    };
    built(file, build)
}

/// The tokenizer of `file` as transformers makes it where no class of its own says otherwise: Unigram or BPE, by pieces
/// that may reach across spaces.
///
/// # Errors
/// It is no file of SentencePiece, or divides into words or characters.
pub fn own(file: &Path) -> Result<Tokenizer> {
    let model = Model::of_file(file)?;
    if ![UNIGRAM, BYTE_PAIRS].contains(&model.kind) {
        return Err(other_kind("a Unigram or BPE one").file(file));
    }
    let build = || {
        let mut tokenizer = Tokenizer::new(model.pieces_as_model()?);
        let mut steps: Vec<NormalizerWrapper> = Vec::new();
        if !model.charsmap.is_empty() {
            steps.push(replacements(&model.charsmap)?.into());
        }
        steps.push(Replace::new(" ".to_owned(), "▁")?.into());
        tokenizer.with_normalizer(Some(Sequence::new(steps)));
        let mut added = model.added_tokens();
        added.push(AddedToken::from(model.unknown_piece.clone(), true));
        tokenizer.add_tokens(&added);
        Ok(tokenizer)
    };
    built(file, build)
}

fn replacements(charsmap: &[u8]) -> tokenizers::Result<Precompiled> {
    check_table(charsmap)?;
    Ok(Precompiled::from(charsmap)?)
}

fn built(file: &Path, build: impl FnOnce() -> tokenizers::Result<Tokenizer>) -> Result<Tokenizer> {
    guarded(|| build().map_err(|error| error.to_string()))
        .flatten()
        .map_err(|why| Error::request(format!("the vocabulary cannot be read: {why}")).file(file).hint(COMPLETE))
}

fn other_kind(needed: &str) -> Error {
    Error::request(format!("the SentencePiece model is not {needed}"))
        .hint("use the tokenizer files that belong to this checkpoint")
}

/// The merges of a BPE of which only the pieces are known, in the order in which they are tried: every way to make a
/// piece of two others, earlier pieces first, and for a piece the way with the shortest first part.
fn merges(pieces: &Vocab) -> Merges {
    let mut merges: Vec<(u32, usize, &str, &str)> = Vec::new();
    for (piece, &id) in pieces {
        for (index, (at, _)) in piece.char_indices().enumerate().skip(1) {
            let (first, second) = piece.split_at(at);
            if pieces.contains_key(first) && pieces.contains_key(second) {
                merges.push((id, index, first, second));
            }
        }
    }
    merges.sort_unstable();
    merges.into_iter().map(|(_, _, first, second)| (first.to_owned(), second.to_owned())).collect()
}

impl Model {
    fn of_file(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|error| Error::io(error, file))?;
        Self::read(&bytes).map_err(|error| error.file(file))
    }

    fn read(bytes: &[u8]) -> Result<Self> {
        let mut model = Self { kind: UNIGRAM, unknown_piece: "<unk>".to_owned(), ..Self::default() };
        let mut fields = Fields { rest: bytes };
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(piece)) => model.pieces.push(Piece::read(piece)?),
                (2, Value::Bytes(trainer)) => model.read_trainer(trainer)?,
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
        Ok(model)
    }

    fn read_trainer(&mut self, bytes: &[u8]) -> Result<()> {
        let mut fields = Fields { rest: bytes };
        while let Some(field) = fields.next()? {
            match field {
                (3, Value::Number(number)) => self.kind = number,
                (35, Value::Number(flag)) => self.byte_fallback = flag != 0,
                (40, Value::Number(id)) => self.unknown = usize::try_from(id).unwrap_or(usize::MAX),
                (45, Value::Bytes(piece)) => self.unknown_piece = text(piece)?.to_owned(),
                _ => {}
            }
        }
        Ok(())
    }

    /// The tokens that are matched in a text before its pieces.
    fn added_tokens(&self) -> Vec<AddedToken> {
        let added = self.pieces.iter().filter(|piece| matches!(piece.kind, CONTROL | USER_DEFINED));
        added.map(|piece| AddedToken::from(piece.text.clone(), piece.kind == CONTROL).normalized(false)).collect()
    }

    /// The pieces as the file has them.
    fn pieces_as_model(&self) -> tokenizers::Result<ModelWrapper> {
        if self.kind == UNIGRAM {
            let pieces = self.pieces.iter().map(|piece| (piece.text.clone(), f64::from(piece.score)));
            return Ok(Unigram::from(pieces.collect(), Some(self.unknown), self.byte_fallback)?.into());
        }
        let pieces: Vocab = self.pieces.iter().map(|piece| piece.text.clone()).zip(0..).collect();
        let merges = merges(&pieces);
        let builder = BPE::builder().vocab_and_merges(pieces, merges);
        let builder = builder.unk_token(self.unknown_piece.clone()).fuse_unk(true).byte_fallback(self.byte_fallback);
        Ok(builder.build()?.into())
    }

    /// The vocabulary in the order of its ids, and the id of the unknown token.
    fn arranged(self, arrangement: Arrangement) -> (Vec<(String, f64)>, usize) {
        let special =
            |names: &[&str]| -> Vec<(String, f64)> { names.iter().map(|name| ((*name).into(), 0.0)).collect() };
        let stored = self.pieces.into_iter().map(|piece| (piece.text, f64::from(piece.score)));
        match arrangement {
            Arrangement::Stored { unknown } => (stored.collect(), unknown),
            Arrangement::Own => (stored.collect(), self.unknown),
            Arrangement::T5 { sentinels } => {
                let sentinels = (0..sentinels).rev().map(|number| (sentinel(number), 0.0));
                (stored.chain(sentinels).collect(), 2)
            }
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
                (1, Value::Bytes(text)) => piece.text = self::text(text)?.to_owned(),
                (2, Value::Float(score)) if score.is_finite() => piece.score = score,
                (3, Value::Number(kind)) => piece.kind = kind,
                (1..=3, _) => return Err(damaged()),
                _ => {}
            }
        }
        Ok(piece)
    }
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| damaged())
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
