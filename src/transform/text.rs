//! Text to token ids, by the tokenizer that came with the checkpoint.
//!
//! Reads `tokenizer.json`, or builds BERT's WordPiece from `vocab.txt`; truncates to the run's length; never pads. What a
//! batch is made of is decided elsewhere.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, Encoding, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::batch::{ExampleSet, TokenizedSet};
use crate::config::accepts::MAX_LENGTH;
use crate::data::Input;
use crate::error::{Error, Result};
use crate::json::{self, COMPLETE};
use crate::transform::wordpiece::{Layout, WordPieces};

const BELONGING: &str = "take the tokenizer that belongs to this checkpoint";
/// Texts that a thread tokenises before it looks for others.
const STRETCH: usize = 64;
/// More than tokens have in most texts; of a text that has more the crate is given more.
const CHARACTERS_A_TOKEN: usize = 8;

/// A checkpoint's tokenizer, truncating to `max_length` tokens with the special ones.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// For BERT's tokenizers: the same ids, many times as fast.
    pieces: Option<WordPieces>,
    /// Of one text and of two.
    layouts: [Option<Layout>; 2],
    /// Whether a long text may be cut before it is tokenised.
    splits_at_spaces: bool,
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

/// Neighbouring texts, tokenised.
#[derive(Default)]
struct Stretch {
    ids: Vec<u32>,
    segments: Vec<u32>,
    /// `ends[i]` is where text `i` ends in `ids`.
    ends: Vec<usize>,
    truncated: usize,
    /// The ids of a text, or of each of two, before they are cut: kept for its memory.
    texts: [Vec<u32>; 2],
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
        let pieces = WordPieces::of(&tokenizer);
        let layouts = [1, 2].map(|texts| Layout::of(&tokenizer, texts, max_length));
        let splits_at_spaces = splits_at_spaces(&tokenizer);
        let directory = directory.to_owned();
        Ok(Self {
            tokenizer,
            pieces,
            layouts,
            splits_at_spaces,
            max_length,
            segments,
            vocabulary,
            file,
            directory,
            settings,
        })
    }

    /// Longer texts lose their end beyond this many tokens, special ones included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Changes when the same texts would become other tokens.
    pub fn identity(&self) -> String {
        format!("{} {} {} {}", self.file.display(), self.max_length, self.segments, self.vocabulary)
    }

    /// Tokenises all inputs, in parallel, in their order.
    pub fn tokenize<'a>(&self, inputs: impl IntoIterator<Item = &'a Input>) -> Result<Tokenized> {
        let inputs: Vec<&Input> = inputs.into_iter().collect();
        let stretches: Vec<Result<Stretch>> =
            inputs.par_chunks(STRETCH).map(|inputs| self.tokenize_stretch(inputs)).collect();
        let mut tokenized = Tokenized { set: TokenizedSet::default(), truncated: 0 };
        for stretch in stretches {
            let stretch = stretch?;
            let mut start = 0;
            for &end in &stretch.ends {
                tokenized.set.push(&stretch.ids[start..end], &stretch.segments[start..end]);
                start = end;
            }
            tokenized.truncated += stretch.truncated;
        }
        Ok(tokenized)
    }

    fn tokenize_stretch(&self, inputs: &[&Input]) -> Result<Stretch> {
        let mut stretch = Stretch::default();
        for input in inputs {
            let start = stretch.ids.len();
            let cut = match input {
                Input::Text(text) => self.push(&[text], &mut stretch),
                Input::Pair(first, second) => self.push(&[first, second], &mut stretch),
                Input::Image(path) => return Err(Error::request("this model reads text, not images").file(path)),
            };
            let cut = cut.map_err(|error| {
                let why = error.to_string();
                // "WordPiece error: Missing [UNK] token": one error is enough.
                let why = why.rsplit("error: ").next().unwrap_or_default();
                Error::request(format!("a text cannot be made into tokens: {why}")).file(&self.file).hint(BELONGING)
            })?;
            stretch.truncated += usize::from(cut);
            stretch.ends.push(stretch.ids.len());
            self.check(&stretch.ids[start..], &stretch.segments[start..])?;
        }
        Ok(stretch)
    }

    /// Adds the ids and segments of a text, or of two; says whether they were cut at the limit.
    fn push(&self, texts: &[&str], into: &mut Stretch) -> tokenizers::Result<bool> {
        let pieces = self.pieces.as_ref().filter(|pieces| texts.iter().all(|text| pieces.is_plain(text)));
        let layout = self.layouts.get(texts.len() - 1).and_then(Option::as_ref);
        let (Some(pieces), Some(layout)) = (pieces, layout) else {
            let encoding = self.encode(texts)?;
            into.ids.extend_from_slice(encoding.get_ids());
            into.segments.extend_from_slice(encoding.get_type_ids());
            return Ok(!encoding.get_overflowing().is_empty());
        };
        // How two share the room depends on all that they have.
        let most = if texts.len() == 1 { layout.room } else { usize::MAX };
        for (index, ids) in into.texts.iter_mut().enumerate() {
            ids.clear();
            pieces.read(texts.get(index).unwrap_or(&""), most, ids)?;
        }
        Ok(layout.push(&into.texts, &mut into.ids, &mut into.segments))
    }

    /// What the crate makes of a text, or of two. Of a long text it gets no more than it takes to fill the room: it needs
    /// 150 bytes for each of the text's.
    fn encode(&self, texts: &[&str]) -> tokenizers::Result<Encoding> {
        let &[text] = texts else {
            // `encode_fast` would forget the segments.
            return self.tokenizer.encode((texts[0], texts[1]), true);
        };
        let mut length = self.max_length.saturating_mul(CHARACTERS_A_TOKEN);
        while let Some(end) = self.splits_at_spaces.then(|| place_to_cut(text, length)).flatten() {
            let encoding = self.tokenizer.encode_fast(&text[..end], true)?;
            if !encoding.get_overflowing().is_empty() {
                return Ok(encoding);
            }
            length = end * 4;
        }
        self.tokenizer.encode_fast(text, true)
    }

    /// A template of special tokens may hold anything, whatever the vocabulary, the limit and the model are.
    fn check(&self, ids: &[u32], segments: &[u32]) -> Result<()> {
        let refused = |message: String| Err(Error::request(message).file(&self.file).hint(BELONGING));
        if ids.len() > self.max_length {
            let (found, most) = (ids.len(), self.max_length);
            return refused(format!("the special tokens make a text of {found} tokens where {most} are the limit"));
        }
        if let Some(id) = ids.iter().find(|&&id| i64::from(id) >= self.vocabulary) {
            let rows = self.vocabulary;
            return refused(format!("gives the token id {id}, and the model's embedding has {rows} rows"));
        }
        if ids.is_empty() {
            return refused("a text has no tokens, and this tokenizer adds no special ones".into());
        }
        if segments.iter().any(|&segment| i64::from(segment) >= self.segments) {
            return Err(Error::request("this model tells no segments apart, so it cannot read pairs of texts")
                .file(&self.directory)
                .hint("give one text column"));
        }
        Ok(())
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
        crate::files::write_atomically(into.join("tokenizer.json"), json.as_bytes())?;

        let mut settings = self.settings.clone();
        if let Value::Object(settings) = &mut settings {
            settings.insert("model_max_length".into(), self.max_length.into());
            settings.entry("tokenizer_class").or_insert("PreTrainedTokenizerFast".into());
        }
        let settings = format!("{settings:#}\n");
        crate::files::write_atomically(into.join("tokenizer_config.json"), settings.as_bytes())?;

        for name in ["vocab.txt", "special_tokens_map.json"] {
            let from = self.directory.join(name);
            if from.is_file() {
                let bytes = std::fs::read(&from).map_err(|error| Error::io(error, &from))?;
                crate::files::write_atomically(into.join(name), &bytes)?;
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

/// The first place behind `length` bytes where a text may be cut without changing the tokens before it, for tokenizers that
/// split at spaces: before a lone space between ASCII letters or digits.
fn place_to_cut(text: &str, length: usize) -> Option<usize> {
    let place = |three: &[u8]| matches!(three, [a, b' ', b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric());
    text.as_bytes().get(length..)?.windows(3).position(place).map(|ahead| length + ahead + 1)
}

/// Whether a tokenizer surely makes the same of what comes before a lone space, whatever comes behind it.
fn splits_at_spaces(tokenizer: &Tokenizer) -> bool {
    let settings = (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer());
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let normalizes_apart = |step: &Value| match step["type"].as_str() {
        Some("BertNormalizer" | "Lowercase" | "StripAccents" | "Strip" | "Prepend" | "Precompiled") => true,
        Some("NFC" | "NFD" | "NFKC" | "NFKD" | "Nmt") => true,
        Some("Replace") => match (&step["pattern"]["Regex"], &step["pattern"]["String"]) {
            (Value::String(pattern), _) => pattern == " {2,}",
            (_, Value::String(pattern)) => !pattern.contains(' '),
            _ => false,
        },
        _ => false,
    };
    let splits = |step: &Value| match step["type"].as_str() {
        Some("BertPreTokenizer" | "Whitespace" | "WhitespaceSplit") => true,
        Some("ByteLevel") => step["use_regex"] != false,
        Some("Metaspace") => step["split"] != false,
        _ => false,
    };
    let steps = |of: &Value, list: &str| match &of[list] {
        Value::Array(steps) => steps.clone(),
        _ => Some(of.clone()).filter(|step| !step.is_null()).into_iter().collect(),
    };
    let added = tokenizer.get_added_tokens_decoder();
    !added.values().any(|token| token.content.contains(' '))
        && steps(&settings[0], "normalizers").iter().all(normalizes_apart)
        && steps(&settings[1], "pretokenizers").first().is_some_and(splits)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use serde_json::json;

    fn root(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    fn load(directory: &Path, max_length: usize) -> TextTokenizer {
        TextTokenizer::load(directory, 40_000, 512, 2, Some(max_length)).expect("a tokenizer")
    }

    /// A tokenizer of its own with these settings.
    fn made(settings: Value, max_length: usize) -> TextTokenizer {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("tokenizer.json"), settings.to_string()).expect("a file");
        load(directory.path(), max_length)
    }

    /// Texts of the project's data, and of `../shared/data` where that is at hand: the first of each file.
    fn texts(rows: usize) -> Vec<String> {
        let folders =
            std::fs::read_dir(root("../shared/data")).into_iter().flatten().flatten().map(|entry| entry.path());
        let files = folders.chain([root("data/reviews")]).filter_map(|folder| std::fs::read_dir(folder).ok());
        let mut texts = Vec::new();
        for file in files.flatten().flatten().filter(|file| file.path().extension().is_some_and(|csv| csv == "csv")) {
            let mut reader = csv::Reader::from_path(file.path()).expect("a file");
            for record in reader.records().take(rows) {
                texts.extend(record.expect("a row").iter().map(str::to_owned));
            }
        }
        texts
    }

    /// Text of whatever may be hard to normalise or to split.
    fn wild(random: &mut Random) -> String {
        const PARTS: &[&str] = &[
            " ",
            " ",
            "  ",
            "\t",
            "\r\n",
            "\0",
            "\u{7f}",
            "\u{b}",
            "the",
            "THE",
            "unbelievable",
            "it's",
            "don’t",
            "e\u{301}",
            "\u{301}",
            "É",
            "İ",
            "ß",
            "ẞ",
            "Σ",
            "ΑΣ",
            "\u{212a}",
            "≮",
            "\u{37e}",
            "\u{a0}",
            "\u{3000}",
            "\u{2028}",
            "\u{85}",
            "\u{200b}",
            "\u{200d}",
            "\u{feff}",
            "\u{ad}",
            "\u{fffd}",
            "\u{e000}",
            "中",
            "中文字",
            "한국어",
            "ガ",
            "か\u{3099}",
            "👩‍🚀",
            "「",
            "—",
            "...",
            "[",
            "]",
            "[SEP]",
            "[sep]",
            "[MASK]",
            "##ing",
            "$1,000.00",
            "a_b",
            "<br />",
            "\u{323}\u{307}",
        ];
        let mut text = String::new();
        for _ in 0..random.below(40) {
            match random.below(8) {
                0 => text.extend(char::from_u32(random.below(0x11_0000) as u32)),
                1 => text.extend(char::from_u32(random.below(0x3000) as u32)),
                2 => text.push(random.below(128) as u8 as char),
                3 => text.push_str(&"x".repeat(random.below(120) as usize)),
                _ => text.push_str(PARTS[random.below(PARTS.len() as u64) as usize]),
            }
        }
        text
    }

    /// Ours and the crate's own, of whole texts.
    fn compare(tokenizer: &TextTokenizer, inputs: &[Input]) {
        let ours = tokenizer.tokenize(inputs).expect("tokens");
        let mut truncated = 0;
        for (index, input) in inputs.iter().enumerate() {
            let theirs = match input {
                Input::Pair(first, second) => tokenizer.tokenizer.encode((first.as_str(), second.as_str()), true),
                Input::Text(text) => tokenizer.tokenizer.encode(text.as_str(), true),
                Input::Image(_) => continue,
            };
            let theirs = theirs.expect("tokens");
            let segments: Vec<u32> = ours.set.types(index).iter().map(|&segment| segment.into()).collect();
            assert_eq!(ours.set.ids(index), theirs.get_ids(), "{input:?}");
            assert_eq!(segments, theirs.get_type_ids(), "{input:?}");
            truncated += usize::from(!theirs.get_overflowing().is_empty());
        }
        assert_eq!(ours.truncated, truncated);
    }

    #[test]
    fn ids_segments_and_what_is_cut_are_the_crates() {
        let mut random = Random::new(3);
        let mut texts = texts(20);
        texts.extend((0..1000).map(|_| wild(&mut random)));
        let mut any = || texts[random.below(texts.len() as u64) as usize].clone();
        let pairs: Vec<Input> = (0..1000).map(|_| Input::Pair(any(), any())).collect();
        let singles: Vec<Input> = texts.iter().cloned().map(Input::Text).collect();

        let fixture = |name: &str| root("tests/fixtures/bert").join(name);
        let real = root(".models/all-MiniLM-L6-v2");
        let directories = [fixture("bare"), fixture("fp16_cased"), fixture("gamma_beta"), real];
        for directory in directories.iter().filter(|directory| directory.is_dir()) {
            for max_length in [4, 5, 31, 128] {
                let tokenizer = load(directory, max_length);
                assert!(tokenizer.pieces.is_some() && tokenizer.layouts[0].is_some());
                compare(&tokenizer, &singles);
                compare(&tokenizer, &pairs);
            }
        }
    }

    #[test]
    fn long_texts_are_cut_before_the_crate_sees_them_and_nothing_shows() {
        let characters: Vec<String> = (32..127u8).map(|byte| (byte as char).to_string()).collect();
        let words = ["the", "▁the", "▁a", "▁film", "▁is", "ing", "▁", "é", "▁un", "able"].map(str::to_owned);
        let scores: Vec<Value> = [json!(["<unk>", 0.0])]
            .into_iter()
            .chain(words.iter().map(|word| json!([word, -3.0 - 1.0 / word.len() as f64])))
            .chain(characters.iter().map(|character| json!([character, -9.0])))
            .collect();
        let unigram = json!({
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "NFKC" }, { "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " },
            ] },
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
                { "type": "WhitespaceSplit" },
                { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
            ] },
            "model": { "type": "Unigram", "unk_id": 0, "vocab": scores, "byte_fallback": false },
        });
        let alphabet = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        let merges = [["Ġ", "t"], ["Ġt", "h"], ["Ġth", "e"], ["i", "n"], ["in", "g"], ["Ġ", "a"], ["Ã", "©"]];
        let tokens = alphabet.into_iter().map(String::from).chain(merges.iter().map(|pair| pair.concat()));
        let vocabulary: serde_json::Map<_, _> =
            tokens.enumerate().map(|(id, token)| (token, Value::from(id))).collect();
        let bpe = json!({
            "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
            "model": { "type": "BPE", "vocab": vocabulary, "merges": merges },
        });

        let mut random = Random::new(4);
        let mut texts = texts(20);
        texts.extend((0..100).map(|_| wild(&mut random)));
        let long = |random: &mut Random| {
            let some: Vec<&str> =
                (0..random.below(60)).map(|_| texts[random.below(texts.len() as u64) as usize].as_str()).collect();
            Input::Text(format!("a{}", some.join(if random.below(2) == 0 { " " } else { "" })))
        };
        let inputs: Vec<Input> = (0..300).map(|_| long(&mut random)).collect();
        for settings in [unigram, bpe] {
            for max_length in [4, 31, 128] {
                let tokenizer = made(settings.clone(), max_length);
                assert!(tokenizer.splits_at_spaces && tokenizer.pieces.is_none());
                compare(&tokenizer, &inputs);
            }
        }
    }

    #[test]
    fn what_looks_beyond_spaces_is_given_whole_texts() {
        let with = |pre_tokenizer: Value| {
            let model = json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" });
            made(json!({ "pre_tokenizer": pre_tokenizer, "model": model }), 4)
        };
        assert!(with(json!({ "type": "Whitespace" })).splits_at_spaces);
        assert!(!with(Value::Null).splits_at_spaces);
        assert!(
            !with(json!({ "type": "Split", "pattern": { "Regex": "a b" }, "behavior": "Isolated", "invert": false }))
                .splits_at_spaces
        );
        assert_eq!(place_to_cut("ab cd  ef g", 0), Some(2));
        assert_eq!(place_to_cut("ab cd  ef g", 2), Some(9));
        assert_eq!(place_to_cut("ab cd", 9), None);
    }
}
