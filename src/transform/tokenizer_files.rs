//! A checkpoint's tokenizer files: read into a [`Tokenizer`], and written into a run directory.
//!
//! The vocabulary is in `tokenizer.json`, in older checkpoints in `vocab.txt` (WordPiece), in `vocab.json` and
//! `merges.txt` (byte-level BPE), or in a file of SentencePiece (`sentencepiece.rs`). What the other files add
//! is in `tokenizer_settings.rs` and `tokenizer_class.rs`. How texts are truncated and what an example looks like is
//! `text.rs`'s affair.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{ModelWrapper, Tokenizer, TruncationDirection};

use crate::config::accepts::MAX_LENGTH;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::json::COMPLETE;
use crate::transform::bounds::{check_steps, check_word_length};
use crate::transform::growth::grows_without_bounds;
use crate::transform::guard::guarded;
use crate::transform::overlong::ENTRY;
use crate::transform::sentencepiece;
use crate::transform::tokenizer_class::TokenizerClass;
use crate::transform::tokenizer_settings::{CONFIG, ROLES, SPECIAL_TOKENS, TokenizerSettings};

/// What SentencePiece's own file is called, by class.
const SENTENCE_PIECE: [&str; 4] = ["sentencepiece.bpe.model", "spiece.model", "spm.model", PIECES];
/// And for what has no class of its own.
const PIECES: &str = "tokenizer.model";

/// Whether `directory` has files that a tokenizer of some class is made from.
pub fn has_tokenizer(directory: &Path) -> bool {
    let has = |name: &str| directory.join(name).is_file();
    let has_pairs = has("vocab.json") && has("merges.txt");
    has_pairs || ["tokenizer.json", "vocab.txt"].into_iter().chain(SENTENCE_PIECE).any(has)
}

/// What a checkpoint's directory says about its tokenizer.
pub struct TokenizerFiles {
    pub tokenizer: Tokenizer,
    /// The file that the tokenizer was read from, for messages.
    pub file: PathBuf,
    pub directory: PathBuf,
    settings: TokenizerSettings,
    class: TokenizerClass,
    /// What a person should know before trusting the tokens.
    pub warnings: Vec<String>,
}

impl TokenizerFiles {
    /// Reads the tokenizer in `directory`, as its files have it: they may ask for truncation and padding.
    ///
    /// # Errors
    /// There is no tokenizer file, or it cannot be read.
    pub fn read(directory: &Path) -> Result<Self> {
        let settings = TokenizerSettings::read(directory)?;
        let named = TokenizerClass::of(&settings)?;
        let [json, pieces, bytes, merges] =
            ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| directory.join(name));
        let (mut tokenizer, file, class) = if json.is_file() {
            let content = std::fs::read(&json).map_err(|error| Error::io(error, &json))?;
            let tokenizer = parse(&content).map_err(|error| {
                Error::request(format!("the tokenizer cannot be read: {error}")).file(&json).hint(COMPLETE)
            })?;
            (tokenizer, json, named)
        } else if pieces.is_file() {
            // One of the two classes of word pieces, whatever else the files name.
            let class = if named == TokenizerClass::Mpnet { named } else { TokenizerClass::Bert };
            (word_pieces(&pieces)?, pieces, class)
        } else if bytes.is_file() && merges.is_file() {
            let class = if named == TokenizerClass::Deberta { named } else { TokenizerClass::Roberta };
            (byte_level_bpe(&bytes, &merges)?, bytes, class)
        } else if let Some((file, arrangement)) = named
            .sentencepiece(&settings)
            .map(|(name, arrangement)| (directory.join(name), arrangement))
            .filter(|(file, _)| file.is_file())
        {
            (sentencepiece::unigram(&file, arrangement)?, file, named)
        } else if named == TokenizerClass::AsStored && directory.join(PIECES).is_file() {
            let file = directory.join(PIECES);
            (sentencepiece::own(&file)?, file, named)
        } else {
            return Err(nothing_to_read(directory));
        };
        let is_unasked = class.lower_cases_unasked(tokenizer.get_normalizer(), &settings);
        let class = guarded(|| class.apply(&mut tokenizer, &settings, &file))
            .map_err(|why| Error::request(format!("the tokenizer cannot be used: {why}")).file(&file).hint(COMPLETE))
            .flatten()?;
        let mut warnings = Vec::new();
        if is_unasked && class == TokenizerClass::Bert {
            warnings.push(format!(
                "{}: texts are lower-cased, though this tokenizer keeps capitals: transformers' BertTokenizer does so \
                 where tokenizer_config.json does not say `\"do_lower_case\": false`",
                file.display()
            ));
        }
        if tokenizer.get_normalizer().is_some_and(|normalizer| guarded(|| grows_without_bounds(normalizer)) == Ok(true))
        {
            return Err(Error::request("its normalizer makes texts more than a hundred times as long")
                .file(file)
                .key("normalizer")
                .hint("use the tokenizer that belongs to this checkpoint"));
        }
        check_word_length(&tokenizer).map_err(|error| error.file(&file))?;
        Ok(Self { tokenizer, file, directory: directory.to_owned(), settings, class, warnings })
    }

    /// At which end a long text is cut: as `tokenizer_config.json` says, else as `tokenizer.json` does.
    pub fn truncation_side(&self) -> Result<TruncationDirection> {
        let stored = || self.tokenizer.get_truncation().map(|stored| stored.direction);
        Ok(self.settings.truncation_side()?.or_else(stored).unwrap_or(TruncationDirection::Right))
    }

    /// Changes when other settings would make other tokens of a text.
    pub fn identity(&self) -> String {
        format!("{:?} {}", self.class, self.settings.config)
    }

    /// The length that `tokenizer_config.json` limits texts to; huge numbers stand for no limit.
    fn model_max_length(&self) -> Option<i64> {
        self.settings.model_max_length()
    }

    /// How many tokens a text may have: what the run asks for, else what these files or the model allow, and no more
    /// than 512.
    pub fn length_limit(&self, positions: i64, wanted: Option<usize>) -> Result<usize> {
        let limit = self.model_max_length().map_or(positions, |length| positions.min(length)).max(1) as usize;
        match wanted {
            Some(length) if length as i64 > positions => {
                Err(Error::request(format!("{length} tokens are more than the model's {positions} positions"))
                    .key("max_length")
                    .hint(format!("at most --max-length {positions}")))
            }
            Some(length) => Ok(length),
            None if limit < MAX_LENGTH.min as usize => {
                Err(Error::request(format!("a limit of {limit} leaves no room for a text"))
                    .file(self.config_file())
                    .key("model_max_length")
                    .hint(format!("set another: --max-length, up to {positions}")))
            }
            None => Ok(limit.min(512)),
        }
    }

    /// Whether the network is given segments.
    pub fn gives_segments(&self) -> bool {
        self.settings.gives_segments()
    }

    /// The token that stands for what is unknown, where there is one: the vocabulary's own before what is named so.
    pub fn unknown_token(&self) -> Option<u32> {
        let own = match self.tokenizer.get_model() {
            ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
            ModelWrapper::WordLevel(model) => Some(model.unk_token.clone()),
            ModelWrapper::BPE(model) => model.unk_token.clone(),
            ModelWrapper::Unigram(_) => None,
        };
        let named = self.settings.token("unk_token").map(|token| token.content);
        let names = own.iter().chain(&named).map(String::as_str).chain(["[UNK]", "<unk>"]);
        names.filter_map(|name| self.tokenizer.token_to_id(name)).next()
    }

    /// `tokenizer_config.json`'s path, for messages.
    fn config_file(&self) -> PathBuf {
        self.settings.file()
    }

    /// What `tokenizer_config.json` says of long texts.
    pub fn long_texts(&self) -> Option<&Value> {
        self.settings.config.get(ENTRY)
    }

    /// Writes the files into a run directory, so that Python tokenises as this run does: at most `max_length` tokens,
    /// with or without segments. `long_texts` says what is read of longer texts, which Python's own classes truncate.
    pub fn save(&self, into: &Path, max_length: usize, has_segments: bool, long_texts: Option<Value>) -> Result<()> {
        let unwritable = |error| Error::failure(format!("the tokenizer cannot be written: {error}"));
        let mut tokenizer = self.tokenizer.clone();
        tokenizer.with_truncation(None).map_err(unwritable)?;
        let json = tokenizer.to_string(false).map_err(unwritable)?;
        write_atomically(into.join("tokenizer.json"), json.as_bytes())?;

        let mut settings = self.settings.config.clone();
        if let Value::Object(settings) = &mut settings {
            settings.insert("model_max_length".into(), max_length.into());
            match long_texts {
                Some(read) => drop(settings.insert(ENTRY.into(), read)),
                None => drop(settings.remove(ENTRY)),
            }
            // Written in any case: without it Python's classes decide, and they differ between versions.
            let inputs: &[&str] = match has_segments {
                true => &["input_ids", "token_type_ids", "attention_mask"],
                false => &["input_ids", "attention_mask"],
            };
            settings.insert("model_input_names".into(), inputs.into());
            if self.truncation_side()? == TruncationDirection::Left {
                settings.insert("truncation_side".into(), "left".into());
            }
            // A class that knows better than the file would make another tokenizer of it.
            if !settings.contains_key("tokenizer_class") || TokenizerClass::of(&self.settings)? != self.class {
                // Python's class for any tokenizer.json knows no token's role by itself.
                settings.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
                settings.extend(self.unnamed_roles());
            }
        }
        write_atomically(into.join(CONFIG), format!("{settings:#}\n").as_bytes())?;

        for name in ["vocab.txt", SPECIAL_TOKENS] {
            let from = self.directory.join(name);
            if from.is_file() {
                let bytes = std::fs::read(&from).map_err(|error| Error::io(error, &from))?;
                write_atomically(into.join(name), &bytes)?;
            }
        }
        Ok(())
    }

    /// The roles that no file names a token for, each with the special token that is usually called so.
    fn unnamed_roles(&self) -> Vec<(String, Value)> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let is_special = |name: &&&str| added.values().any(|token| token.special && token.content == **name);
        let unnamed = ROLES.iter().filter(|(role, _)| self.settings.token(role).is_none());
        unnamed.filter_map(|(role, names)| Some(((*role).into(), (*names.iter().find(is_special)?).into()))).collect()
    }
}

fn nothing_to_read(directory: &Path) -> Error {
    match SENTENCE_PIECE.into_iter().find(|name| directory.join(name).is_file()) {
        Some(name) => {
            Error::request("this tokenizer is not made from SentencePiece's own files; tokenizer.json is read")
                .file(directory.join(name))
                .hint(format!(
                    "make tokenizer.json from it once in Python: python3 -c \"from transformers import AutoTokenizer; \
                 AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')\"",
                    directory.display()
                ))
        }
        None => Error::request("there is no tokenizer.json, vocab.txt, or vocab.json with merges.txt here")
            .file(directory)
            .hint("a model directory needs its tokenizer beside config.json and model.safetensors"),
    }
}

/// Reads a `tokenizer.json`.
fn parse(bytes: &[u8]) -> std::result::Result<Tokenizer, String> {
    check_steps(bytes)?;
    guarded(|| Tokenizer::from_bytes(bytes).map_err(|error| error.to_string())).flatten()
}

fn unreadable_vocabulary(error: impl std::fmt::Display, file: &Path) -> Error {
    Error::request(format!("the vocabulary cannot be read: {error}")).file(file).hint(COMPLETE)
}

/// WordPiece from a plain vocabulary.
fn word_pieces(vocabulary: &Path) -> Result<Tokenizer> {
    let model = WordPiece::from_file(&vocabulary.to_string_lossy()).build();
    Ok(Tokenizer::new(model.map_err(|error| unreadable_vocabulary(error, vocabulary))?))
}

/// Byte-level BPE from a vocabulary and its merges.
fn byte_level_bpe(vocabulary: &Path, merges: &Path) -> Result<Tokenizer> {
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy()).build();
    Ok(Tokenizer::new(model.map_err(|error| unreadable_vocabulary(error, vocabulary))?))
}
