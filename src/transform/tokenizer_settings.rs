//! What a checkpoint's files say about its tokenizer beside the vocabulary: `tokenizer_config.json`,
//! `special_tokens_map.json`, `added_tokens.json`, and the two keys of `config.json` that choose Python's class. Which
//! of them counts where they differ is transformers' order. What is built from it is `tokenizer_class.rs`'s affair.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::{AddedToken, TruncationDirection};

use crate::error::{Error, Result};
use crate::json;

pub const CONFIG: &str = "tokenizer_config.json";
pub const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
/// Lists every added token with its properties; where it is there, the two files above are not read.
const DECODER: &str = "added_tokens_decoder";

/// The roles that a token can have, and what tokens in these roles are usually called.
pub const ROLES: [(&str, &[&str]); 7] = [
    ("pad_token", &["[PAD]", "<pad>"]),
    ("unk_token", &["[UNK]", "<unk>"]),
    ("cls_token", &["[CLS]", "<s>"]),
    ("sep_token", &["[SEP]", "</s>"]),
    ("bos_token", &["<s>"]),
    ("eos_token", &["</s>"]),
    ("mask_token", &["[MASK]", "<mask>"]),
];

const VALID: &str = "use the tokenizer files that belong to this checkpoint";

/// The settings of a checkpoint's tokenizer.
pub struct TokenizerSettings {
    directory: PathBuf,
    /// `tokenizer_config.json`; an empty object where there is none.
    pub config: Value,
    special_tokens: Value,
    added_tokens: Value,
    model: Value,
}

impl TokenizerSettings {
    /// Reads the files that are there.
    ///
    /// # Errors
    /// One of them is not JSON.
    pub fn read(directory: &Path) -> Result<Self> {
        let read = |name: &str| -> Result<Value> {
            Ok(json::read(&directory.join(name))?.filter(Value::is_object).unwrap_or_else(|| Map::new().into()))
        };
        Ok(Self {
            directory: directory.to_owned(),
            config: read(CONFIG)?,
            special_tokens: read(SPECIAL_TOKENS)?,
            added_tokens: read(ADDED_TOKENS)?,
            model: read("config.json")?,
        })
    }

    /// `tokenizer_config.json`'s path, for messages.
    pub fn file(&self) -> PathBuf {
        self.directory.join(CONFIG)
    }

    /// A setting of `tokenizer_config.json`, `None` where it is not there or null.
    ///
    /// # Errors
    /// It is neither true nor false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.refused(key, format!("found {other}, expected true or false"))),
        }
    }

    /// Python's class for this tokenizer, without `Fast` at the end, where a file names it.
    pub fn class(&self) -> Option<&str> {
        let named = |of: &'_ Value| of.get("tokenizer_class").and_then(Value::as_str).is_some();
        let file = [&self.config, &self.model].into_iter().find(|file| named(file))?;
        Some(file.get("tokenizer_class")?.as_str()?.trim_end_matches("Fast"))
    }

    /// The family of networks that the checkpoint is of.
    pub fn model_type(&self) -> Option<&str> {
        self.model.get("model_type").and_then(Value::as_str)
    }

    /// The length that `tokenizer_config.json` limits texts to; huge numbers stand for no limit.
    pub fn model_max_length(&self) -> Option<i64> {
        let length = self.config.get("model_max_length").and_then(Value::as_f64);
        length.filter(|&length| length < 1e6).map(|length| length as i64)
    }

    /// Whether the network is given segments: as `model_input_names` says, else as the class does.
    pub fn gives_segments(&self) -> bool {
        match self.config.get("model_input_names") {
            Some(Value::Array(names)) => names.iter().any(|name| name == "token_type_ids"),
            _ => match self.class() {
                Some(class) => !["DistilBertTokenizer", "XLNetTokenizer", "T5Tokenizer"].contains(&class),
                None => !["xlnet", "t5"].contains(&self.model_type().unwrap_or("")),
            },
        }
    }

    /// How many sentinels T5's class has behind its vocabulary.
    pub fn sentinels(&self) -> usize {
        const USUAL: u64 = 100;
        const MOST: u64 = 100_000;
        self.config.get("extra_ids").and_then(Value::as_u64).unwrap_or(USUAL).min(MOST) as usize
    }

    /// At which end a long text is cut, where `tokenizer_config.json` says it.
    ///
    /// # Errors
    /// It is neither `left` nor `right`.
    pub fn truncation_side(&self) -> Result<Option<TruncationDirection>> {
        match self.config.get("truncation_side") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(side)) if side == "right" => Ok(Some(TruncationDirection::Right)),
            Some(Value::String(side)) if side == "left" => Ok(Some(TruncationDirection::Left)),
            Some(other) => {
                Err(self.refused("truncation_side", format!("found {other}, expected \"left\" or \"right\"")))
            }
        }
    }

    /// The token in a role (`sep_token`), where the files name it.
    pub fn token(&self, role: &str) -> Option<AddedToken> {
        let files = match self.decoder() {
            Some(_) => [&self.config, &Value::Null],
            None => [&self.special_tokens, &self.config],
        };
        files.into_iter().find_map(|file| added_token(file.get(role)?, true))
    }

    /// The tokens in named roles.
    pub fn role_tokens(&self) -> impl Iterator<Item = AddedToken> + '_ {
        ROLES.into_iter().filter_map(|(role, _)| self.token(role))
    }

    /// Whether `tokenizer_config.json` lists all added tokens, so that no other file counts.
    pub fn lists_all_added_tokens(&self) -> bool {
        self.decoder().is_some()
    }

    /// The tokens beside the vocabulary with the ids that they must have, in the order of the ids: those of
    /// `added_tokens_decoder`, else of `added_tokens.json`.
    ///
    /// # Errors
    /// A token or an id that is none.
    pub fn added_tokens(&self) -> Result<Vec<(u32, AddedToken)>> {
        let mut tokens = Vec::new();
        if let Some(decoder) = self.decoder() {
            for (id, token) in decoder {
                let parsed = id.parse().ok().zip(token.is_object().then(|| added_token(token, false)).flatten());
                let message = || format!("`{id}` is {token}, expected an id and a token with its `content`");
                tokens.push(parsed.ok_or_else(|| self.refused(DECODER, message()))?);
            }
        } else {
            let mut special: Vec<String> = self.role_tokens().map(|token| token.content).collect();
            special.extend(self.extra_special_tokens(&["extra_special_tokens"]).map(|token| token.content));
            for (token, id) in self.added_tokens.as_object().into_iter().flatten() {
                let number = id.as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                    Error::request(format!("found {id}, expected the id of this token"))
                        .file(self.directory.join(ADDED_TOKENS))
                        .key(token)
                        .hint(VALID)
                })?;
                tokens.push((number, AddedToken::from(token, special.contains(token))));
            }
        }
        tokens.sort_by_key(|(id, _)| *id);
        Ok(tokens)
    }

    /// Special tokens without a role.
    pub fn other_special_tokens(&self) -> impl Iterator<Item = AddedToken> + '_ {
        self.extra_special_tokens(&["extra_special_tokens", "additional_special_tokens"])
    }

    fn extra_special_tokens<'a>(&'a self, keys: &'a [&str]) -> impl Iterator<Item = AddedToken> + 'a {
        let map = (!self.lists_all_added_tokens()).then_some(&self.special_tokens);
        let lists = [Some(&self.config), map].into_iter().flatten();
        let values = lists.flat_map(move |file| keys.iter().filter_map(move |key| file.get(key)));
        values.filter_map(Value::as_array).flatten().filter_map(|token| added_token(token, true))
    }

    fn decoder(&self) -> Option<&Map<String, Value>> {
        self.config.get(DECODER).and_then(Value::as_object)
    }

    fn refused(&self, key: &str, message: String) -> Error {
        Error::request(message).file(self.file()).key(key).hint(VALID)
    }
}

/// A token as JSON writes it: its text, or an object with its properties.
fn added_token(value: &Value, special: bool) -> Option<AddedToken> {
    if let Value::String(content) = value {
        return Some(AddedToken::from(content, special));
    }
    let flag = |key: &str| value.get(key).and_then(Value::as_bool);
    let special = special || flag("special").unwrap_or(false);
    let token = AddedToken::from(value.get("content")?.as_str()?, special)
        .single_word(flag("single_word").unwrap_or(false))
        .lstrip(flag("lstrip").unwrap_or(false))
        .rstrip(flag("rstrip").unwrap_or(false))
        .normalized(flag("normalized").unwrap_or(!special));
    Some(token)
}
