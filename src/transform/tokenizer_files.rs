//! A checkpoint's tokenizer files: read into a [`Tokenizer`], and written into a run directory.
//!
//! `tokenizer.json` says everything. Older checkpoints have a vocabulary only, from which the tokenizer is built that
//! belongs to such files: WordPiece (`vocab.txt`) or byte-level BPE (`vocab.json` and `merges.txt`). How texts are
//! truncated and what an example looks like is `text.rs`'s affair.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer};

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::json::{self, COMPLETE};

const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";

/// The roles of special tokens in Python's configuration, and what tokens in these roles are usually called.
const ROLES: [(&str, &[&str]); 7] = [
    ("pad_token", &["[PAD]", "<pad>"]),
    ("unk_token", &["[UNK]", "<unk>"]),
    ("cls_token", &["[CLS]", "<s>"]),
    ("sep_token", &["[SEP]", "</s>"]),
    ("bos_token", &["<s>"]),
    ("eos_token", &["</s>"]),
    ("mask_token", &["[MASK]", "<mask>"]),
];

/// What a checkpoint's directory says about its tokenizer.
pub struct TokenizerFiles {
    pub tokenizer: Tokenizer,
    /// The file that the tokenizer was read from, for messages.
    pub file: PathBuf,
    pub directory: PathBuf,
    settings: Settings,
}

/// `tokenizer_config.json` and `special_tokens_map.json`; an empty object for each that is not there.
struct Settings {
    config: Value,
    special_tokens: Value,
}

impl Settings {
    fn read(directory: &Path) -> Result<Self> {
        let read = |name: &str| -> Result<Value> {
            Ok(json::read(&directory.join(name))?.unwrap_or_else(|| Value::Object(Default::default())))
        };
        Ok(Self { config: read(CONFIG)?, special_tokens: read(SPECIAL_TOKENS)? })
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.config.get(key).and_then(Value::as_bool)
    }

    /// The token in a role (`sep_token`), where the files name it.
    fn token(&self, role: &str) -> Option<&str> {
        [&self.config, &self.special_tokens].into_iter().find_map(|settings| match settings.get(role)? {
            Value::String(token) => Some(token.as_str()),
            token => token.get("content")?.as_str(),
        })
    }
}

impl TokenizerFiles {
    /// Reads the tokenizer in `directory`, as its files have it: they may ask for truncation and padding.
    ///
    /// # Errors
    /// There is no tokenizer file, or it cannot be read.
    pub fn read(directory: &Path) -> Result<Self> {
        let settings = Settings::read(directory)?;
        let [json, pieces, bytes, merges] =
            ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| directory.join(name));
        let (tokenizer, file) = if json.is_file() {
            let content = std::fs::read(&json).map_err(|error| Error::io(error, &json))?;
            let tokenizer = parse(&content).map_err(|error| {
                Error::request(format!("the tokenizer cannot be read: {error}")).file(&json).hint(COMPLETE)
            })?;
            (tokenizer, json)
        } else if pieces.is_file() {
            (word_pieces(&pieces, &settings)?, pieces)
        } else if bytes.is_file() && merges.is_file() {
            (byte_level_bpe(&bytes, &merges, &settings)?, bytes)
        } else {
            return Err(nothing_to_read(directory));
        };
        Ok(Self { tokenizer, file, directory: directory.to_owned(), settings })
    }

    /// The length that `tokenizer_config.json` limits texts to; huge numbers stand for no limit.
    pub fn model_max_length(&self) -> Option<i64> {
        let length = self.settings.config.get("model_max_length").and_then(Value::as_f64);
        length.filter(|&length| length < 1e6).map(|length| length as i64)
    }

    /// `tokenizer_config.json`'s path, for messages.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join(CONFIG)
    }

    /// Writes the files into a run directory, so that Python tokenises as this run does: at most `max_length` tokens,
    /// with or without segments.
    pub fn save(&self, into: &Path, max_length: usize, has_segments: bool) -> Result<()> {
        let unwritable = |error| Error::failure(format!("the tokenizer cannot be written: {error}"));
        let mut tokenizer = self.tokenizer.clone();
        tokenizer.with_truncation(None).map_err(unwritable)?;
        let json = tokenizer.to_string(false).map_err(unwritable)?;
        write_atomically(into.join("tokenizer.json"), json.as_bytes())?;

        let mut settings = self.settings.config.clone();
        if let Value::Object(settings) = &mut settings {
            settings.insert("model_max_length".into(), max_length.into());
            // Written in any case: without it Python's classes decide, and they differ between versions.
            let inputs: &[&str] = match has_segments {
                true => &["input_ids", "token_type_ids", "attention_mask"],
                false => &["input_ids", "attention_mask"],
            };
            settings.insert("model_input_names".into(), inputs.into());
            if !settings.contains_key("tokenizer_class") {
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
    let sentence_piece = ["sentencepiece.bpe.model", "spiece.model", "spm.model"];
    match sentence_piece.into_iter().find(|name| directory.join(name).is_file()) {
        Some(name) => Error::request("SentencePiece's own files are not read; tokenizer.json is")
            .file(directory.join(name))
            .hint(format!(
                "make tokenizer.json from it once in Python: python3 -c \"from transformers import AutoTokenizer; \
                 AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')\"",
                directory.display()
            )),
        None => Error::request("there is no tokenizer.json, vocab.txt, or vocab.json with merges.txt here")
            .file(directory)
            .hint("a model directory needs its tokenizer beside config.json and model.safetensors"),
    }
}

/// Reads a `tokenizer.json`. The library panics on some that make no sense; nobody needs to see how.
fn parse(bytes: &[u8]) -> std::result::Result<Tokenizer, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let parsed = std::panic::catch_unwind(|| Tokenizer::from_bytes(bytes));
    std::panic::set_hook(hook);
    match parsed {
        Ok(parsed) => parsed.map_err(|error| error.to_string()),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it is damaged".to_owned())),
    }
}

fn unreadable_vocabulary(error: impl std::fmt::Display, file: &Path) -> Error {
    Error::request(format!("the vocabulary cannot be read: {error}")).file(file).hint(COMPLETE)
}

/// Makes a token of the vocabulary special; its name and id.
fn make_special(tokenizer: &mut Tokenizer, token: AddedToken, vocabulary: &Path) -> Result<(String, u32)> {
    let name = token.content.clone();
    let id = tokenizer.token_to_id(&name).ok_or_else(|| {
        Error::request(format!("the vocabulary has no `{name}`"))
            .file(vocabulary)
            .hint("use the vocabulary that belongs to this checkpoint")
    })?;
    tokenizer.add_special_tokens(&[token]);
    Ok((name, id))
}

/// WordPiece from a plain vocabulary, as Python's `BertTokenizer` builds it.
fn word_pieces(vocabulary: &Path, settings: &Settings) -> Result<Tokenizer> {
    let named = |role: &str, default: &str| settings.token(role).unwrap_or(default).to_owned();
    let model = WordPiece::from_file(&vocabulary.to_string_lossy())
        .unk_token(named("unk_token", "[UNK]"))
        .build()
        .map_err(|error| unreadable_vocabulary(error, vocabulary))?;
    let mut tokenizer = Tokenizer::new(model);
    let mut special = |role: &str, default: &str| {
        make_special(&mut tokenizer, AddedToken::from(named(role, default), true), vocabulary)
    };
    let separator = special("sep_token", "[SEP]")?;
    let class = special("cls_token", "[CLS]")?;
    for (role, default) in [("unk_token", "[UNK]"), ("pad_token", "[PAD]"), ("mask_token", "[MASK]")] {
        let _absent_is_fine = special(role, default);
    }
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(
            true,
            settings.flag("tokenize_chinese_chars").unwrap_or(true),
            settings.flag("strip_accents"),
            settings.flag("do_lower_case").unwrap_or(true),
        )))
        .with_pre_tokenizer(Some(BertPreTokenizer))
        .with_post_processor(Some(BertProcessing::new(separator, class)));
    Ok(tokenizer)
}

/// Byte-level BPE from a vocabulary and its merges, as Python's `RobertaTokenizer` builds it.
fn byte_level_bpe(vocabulary: &Path, merges: &Path, settings: &Settings) -> Result<Tokenizer> {
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
        .build()
        .map_err(|error| unreadable_vocabulary(error, vocabulary))?;
    let mut tokenizer = Tokenizer::new(model);
    let mut special = |role: &str, default: &str| {
        let token = AddedToken::from(settings.token(role).unwrap_or(default), true);
        // The space before a masked word belongs to the word.
        let token = if role == "mask_token" { token.lstrip(true) } else { token };
        make_special(&mut tokenizer, token, vocabulary)
    };
    let separator = special("sep_token", "</s>")?;
    let class = special("cls_token", "<s>")?;
    for (role, default) in [("unk_token", "<unk>"), ("pad_token", "<pad>"), ("mask_token", "<mask>")] {
        let _absent_is_fine = special(role, default);
    }
    let add_prefix_space = settings.flag("add_prefix_space").unwrap_or(false);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(add_prefix_space, true, true))).with_post_processor(Some(
        RobertaProcessing::new(separator, class).trim_offsets(true).add_prefix_space(add_prefix_space),
    ));
    Ok(tokenizer)
}
