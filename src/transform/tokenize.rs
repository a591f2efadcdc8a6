//! Text to token ids, by the tokenizer that came with the checkpoint.
//!
//! Reads `tokenizer.json`, or builds BERT's WordPiece from `vocab.txt`; truncates to the run's length; never pads. What a
//! batch is made of is decided elsewhere.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, EncodeInput, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::batch::{ExampleSet, TokenizedSet};
use crate::config::keys::MAX_LENGTH;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::json::{self, COMPLETE};

const BELONGING: &str = "take the tokenizer that belongs to this checkpoint";

/// A checkpoint's tokenizer, truncating to `max_length` tokens with the special ones.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    max_length: usize,
    segments: i64,
    vocabulary: i64,
    /// What it was read from, for messages.
    file: PathBuf,
    /// The checkpoint's directory, from which the tokenizer's files are copied into a run.
    directory: PathBuf,
    /// `tokenizer_config.json`, or an empty object.
    settings: Value,
}

/// Token counts of a tokenised set, for the summary printed before the work starts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LengthStatistics {
    pub texts: usize,
    pub tokens: usize,
    pub mean: f64,
    pub median: usize,
    pub p95: usize,
    pub max: usize,
    /// Texts that were longer than the limit and lost their end.
    pub truncated: usize,
}

/// Tokenised texts, and how many of them were cut at the limit.
pub struct Tokenized {
    pub set: TokenizedSet,
    pub truncated: usize,
}

impl TextTokenizer {
    /// Loads the tokenizer in `directory` for an embedding of `vocabulary` rows, at most `positions` tokens a text, and
    /// `segments` kinds of segment. `max_length` may ask for fewer tokens.
    ///
    /// # Errors
    /// No tokenizer file, one that cannot be read, token ids beyond the embedding, a `max_length` above `positions`.
    pub fn load(
        directory: &Path,
        vocabulary: i64,
        positions: i64,
        segments: i64,
        max_length: Option<usize>,
    ) -> Result<Self> {
        let settings =
            json::read(&directory.join("tokenizer_config.json"))?.unwrap_or_else(|| Value::Object(Default::default()));
        let json = directory.join("tokenizer.json");
        let vocab = directory.join("vocab.txt");
        let (mut tokenizer, file) = if json.is_file() {
            let bytes = std::fs::read(&json).map_err(|error| Error::io(error, &json))?;
            let tokenizer = parsed(&bytes).map_err(|error| {
                Error::request(format!("the tokenizer cannot be read: {error}")).file(&json).hint(COMPLETE)
            })?;
            (tokenizer, json)
        } else if vocab.is_file() {
            (wordpiece(&vocab, &settings)?, vocab)
        } else {
            return Err(Error::request("there is neither tokenizer.json nor vocab.txt here")
                .file(directory)
                .hint("a model directory needs its tokenizer beside config.json and model.safetensors"));
        };

        let highest = tokenizer.get_vocab(true).values().copied().max().unwrap_or(0);
        if i64::from(highest) >= vocabulary {
            return Err(Error::request(format!(
                "the tokenizer knows {} tokens (highest id {highest}), the model's embedding has {vocabulary} rows",
                tokenizer.get_vocab_size(true)
            ))
            .file(&file)
            .hint(BELONGING));
        }

        // Sentence encoders' files carry their own truncation and padding; the run decides instead.
        tokenizer.with_padding(None);
        let limit = settings.get("model_max_length").and_then(Value::as_f64).filter(|&length| length < 1e6);
        let limit = limit.map_or(positions, |length| positions.min(length as i64)).max(1) as usize;
        let max_length = match max_length {
            Some(length) if length as i64 > positions => {
                return Err(Error::request(format!("{length} tokens are more than the model's {positions} positions"))
                    .key("max_length")
                    .hint(format!("at most --max-length {positions}")));
            }
            Some(length) => length,
            None if limit < MAX_LENGTH.min as usize => {
                return Err(Error::request(format!("a limit of {limit} leaves no room for a text"))
                    .file(directory.join("tokenizer_config.json"))
                    .key("model_max_length")
                    .hint(format!("set another: --max-length, up to {positions}")));
            }
            None => limit.min(512),
        };
        tokenizer
            .with_truncation(Some(TruncationParams {
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
                direction: TruncationDirection::Right,
            }))
            .map_err(|error| {
                Error::request(format!("cannot truncate to {max_length} tokens: {error}")).key("max_length")
            })?;
        let directory = directory.to_owned();
        Ok(Self { tokenizer, max_length, segments, vocabulary, file, directory, settings })
    }

    /// Longer texts lose their end beyond this many tokens, special ones included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Tokenises all inputs, in parallel, in their order.
    pub fn tokenize<'a>(&self, inputs: impl IntoIterator<Item = &'a Input>) -> Result<Tokenized> {
        let mut encodable: Vec<EncodeInput> = Vec::new();
        for input in inputs {
            encodable.push(match input {
                Input::Text(text) => text.as_str().into(),
                Input::Pair(first, second) => (first.as_str(), second.as_str()).into(),
                Input::Image(path) => {
                    return Err(Error::request("this model reads text, not images").file(path));
                }
            });
        }
        let encodings = self.tokenizer.encode_batch_fast(encodable, true).map_err(|error| {
            let why = error.to_string();
            // "WordPiece error: Missing [UNK] token": one error is enough.
            let why = why.rsplit("error: ").next().unwrap_or_default();
            Error::request(format!("a text cannot be made into tokens: {why}")).file(&self.file).hint(BELONGING)
        })?;
        let mut tokenized = Tokenized { set: TokenizedSet::default(), truncated: 0 };
        for encoding in &encodings {
            self.check_ids(encoding.get_ids())?;
            if encoding.get_ids().is_empty() {
                return Err(Error::request("a text has no tokens, and this tokenizer adds no special ones")
                    .file(&self.file)
                    .hint(BELONGING));
            }
            if encoding.get_type_ids().iter().any(|&segment| i64::from(segment) >= self.segments) {
                return Err(Error::request("this model tells no segments apart, so it cannot read pairs of texts")
                    .file(&self.directory)
                    .hint("give one text column"));
            }
            tokenized.truncated += usize::from(!encoding.get_overflowing().is_empty());
            tokenized.set.push(encoding.get_ids(), encoding.get_type_ids());
        }
        Ok(tokenized)
    }

    /// A template of special tokens may hold anything, whatever the vocabulary and the limit are.
    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let refused = |message: String| Err(Error::request(message).file(&self.file).hint(BELONGING));
        if ids.len() > self.max_length {
            let (found, most) = (ids.len(), self.max_length);
            return refused(format!("the special tokens make a text of {found} tokens where {most} are the limit"));
        }
        match ids.iter().find(|&&id| i64::from(id) >= self.vocabulary) {
            Some(id) => {
                refused(format!("gives the token id {id}, and the model's embedding has {} rows", self.vocabulary))
            }
            None => Ok(()),
        }
    }

    /// Writes the tokenizer's files into a run directory, so that Python tokenises as this run does.
    pub fn save(&self, into: &Path) -> Result<()> {
        let mut tokenizer = self.tokenizer.clone();
        tokenizer
            .with_truncation(None)
            .map_err(|error| Error::failure(format!("the tokenizer cannot be written: {error}")))?;
        let json = tokenizer
            .to_string(false)
            .map_err(|error| Error::failure(format!("the tokenizer cannot be written: {error}")))?;
        crate::report::write_atomically(into.join("tokenizer.json"), json.as_bytes())?;

        let mut settings = self.settings.clone();
        if let Value::Object(settings) = &mut settings {
            settings.insert("model_max_length".into(), self.max_length.into());
            settings.entry("tokenizer_class").or_insert("PreTrainedTokenizerFast".into());
        }
        let settings = format!("{settings:#}\n");
        crate::report::write_atomically(into.join("tokenizer_config.json"), settings.as_bytes())?;

        for name in ["vocab.txt", "special_tokens_map.json"] {
            let from = self.directory.join(name);
            if from.is_file() {
                let bytes = std::fs::read(&from).map_err(|error| Error::io(error, &from))?;
                crate::report::write_atomically(into.join(name), &bytes)?;
            }
        }
        Ok(())
    }
}

impl Tokenized {
    /// Counts over the set.
    pub fn statistics(&self) -> LengthStatistics {
        let mut lengths: Vec<usize> = (0..self.set.len()).map(|index| self.set.cost(index)).collect();
        lengths.sort_unstable();
        let at =
            |share: f64| lengths.get(((lengths.len() as f64 * share) as usize).min(lengths.len().saturating_sub(1)));
        LengthStatistics {
            texts: lengths.len(),
            tokens: self.set.tokens(),
            mean: self.set.tokens() as f64 / lengths.len().max(1) as f64,
            median: at(0.5).copied().unwrap_or(0),
            p95: at(0.95).copied().unwrap_or(0),
            max: lengths.last().copied().unwrap_or(0),
            truncated: self.truncated,
        }
    }
}

impl std::fmt::Display for LengthStatistics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tokens, mean, median, p95, max, .. } = self;
        write!(f, "{tokens} tokens (a text: mean {mean:.1}, median {median}, 95 % up to {p95}, longest {max})")?;
        if self.truncated > 0 {
            write!(f, "; {} of {} texts cut at the length limit", self.truncated, self.texts)?;
        }
        Ok(())
    }
}

/// Reads a `tokenizer.json`. The library panics on some that make no sense; nobody needs to see how.
fn parsed(bytes: &[u8]) -> std::result::Result<Tokenizer, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let parsed = std::panic::catch_unwind(|| Tokenizer::from_bytes(bytes));
    std::panic::set_hook(hook);
    match parsed {
        Ok(parsed) => parsed.map_err(|error| error.to_string()),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it is damaged".to_owned())),
    }
}

/// BERT's WordPiece from a plain vocabulary, as `BertTokenizer` builds it.
fn wordpiece(vocab: &Path, settings: &Value) -> Result<Tokenizer> {
    let unreadable = |error: tokenizers::Error| {
        Error::request(format!("the vocabulary cannot be read: {error}")).file(vocab).hint(COMPLETE)
    };
    let flag = |key: &str| settings.get(key).and_then(Value::as_bool);
    let word = |key: &str, default: &str| match settings.get(key) {
        Some(Value::String(token)) => token.clone(),
        Some(Value::Object(token)) => token.get("content").and_then(Value::as_str).unwrap_or(default).to_owned(),
        _ => default.to_owned(),
    };
    let model = WordPiece::from_file(&vocab.to_string_lossy())
        .unk_token(word("unk_token", "[UNK]"))
        .build()
        .map_err(unreadable)?;
    let mut tokenizer = Tokenizer::new(model);
    let mut special = |token: String| -> Result<(String, u32)> {
        let id = tokenizer.token_to_id(&token).ok_or_else(|| {
            Error::request(format!("the vocabulary has no `{token}`")).file(vocab).hint("is this a BERT vocabulary?")
        })?;
        tokenizer.add_special_tokens(&[AddedToken::from(token.clone(), true)]);
        Ok((token, id))
    };
    let separator = special(word("sep_token", "[SEP]"))?;
    let class = special(word("cls_token", "[CLS]"))?;
    for (key, default) in [("unk_token", "[UNK]"), ("pad_token", "[PAD]"), ("mask_token", "[MASK]")] {
        let _absent_is_fine = special(word(key, default));
    }
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            flag("tokenize_chinese_chars").unwrap_or(true),
            flag("strip_accents"),
            flag("do_lower_case").unwrap_or(true),
        )))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(BertProcessing::new(separator, class)));
    Ok(tokenizer)
}
