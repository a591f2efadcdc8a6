//! Text to token ids, by the tokenizer that came with the checkpoint: truncated to the run's length, never padded.
//!
//! The files are read in `tokenizer_files.rs`, and which of a text's tokens are read is `parts.rs`'s affair. What a
//! batch is made of is decided elsewhere.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;
use tokenizers::{ModelWrapper, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::batch::{ExampleSet, TokenizedSet};
use crate::data::Input;
use crate::error::{Error, Result};
use crate::transform::guard::{failing_part, guarded, in_bounded_time, plainly};
use crate::transform::language_fit::LanguageFit;
use crate::transform::lengths::Tokenized;
use crate::transform::long_text;
use crate::transform::overlong::{self, LongTextRequest, LongTexts};
use crate::transform::tokenizer_files::TokenizerFiles;
use crate::transform::unread::{CutTexts, Unread};
use crate::transform::wordpiece::{Template, WordPieces};

const BELONGING: &str = "use the tokenizer that belongs to this checkpoint";
/// Texts that a thread tokenises before it looks for others.
const CHUNK: usize = 64;

/// A checkpoint's tokenizer: `max_length` tokens of a text, with the special ones, or several windows of as many.
pub struct TextTokenizer {
    pub(super) files: TokenizerFiles,
    /// For BERT's tokenizers: the same ids, many times as fast.
    pub(super) pieces: Option<WordPieces>,
    /// Of one text and of two.
    pub(super) templates: [Option<Template>; 2],
    /// At which end a long text is cut.
    pub(super) side: TruncationDirection,
    /// Whether a long text may be cut before it is tokenised.
    pub(super) splits_at_spaces: bool,
    pub(super) max_length: usize,
    /// What is read of longer texts.
    pub(super) long_texts: LongTexts,
    /// Tokens that the model has positions for.
    most: usize,
    segments: i64,
    vocabulary: i64,
    /// Ids that say nothing of a text: special tokens and `[UNK]`.
    mute: HashSet<u32>,
}

/// Neighbouring texts, tokenised.
#[derive(Default)]
pub(super) struct Chunk {
    pub ids: Vec<u32>,
    pub segments: Vec<u32>,
    /// Where texts, or their windows, end in `ids`.
    pub ends: Vec<usize>,
    /// How many windows there are when a text ends.
    windows: Vec<usize>,
    unread: Unread,
    /// The ids of a text, or of each of two, before they are cut: kept for its memory.
    pub texts: [Vec<u32>; 2],
}

impl TextTokenizer {
    /// Loads the tokenizer in `directory` for an embedding of `vocabulary` rows, at most `positions` tokens a text, and
    /// `segments` kinds of segment (with one or none, every token is of segment 0). `max_length` may ask for fewer
    /// tokens. Of longer texts is read what the directory says.
    ///
    /// # Errors
    /// As [`Self::load_reading`].
    pub fn load(
        directory: &Path,
        vocabulary: i64,
        positions: i64,
        segments: i64,
        max_length: Option<usize>,
    ) -> Result<Self> {
        Self::load_reading(directory, vocabulary, positions, segments, max_length, &LongTextRequest::default())
    }

    /// The same, reading of longer texts what `long_text` asks for.
    ///
    /// # Errors
    /// No tokenizer file, one that cannot be read, token ids beyond the embedding, a `max_length` above `positions`, or
    /// what `long_text` asks for cannot be done.
    pub fn load_reading(
        directory: &Path,
        vocabulary: i64,
        positions: i64,
        segments: i64,
        max_length: Option<usize>,
        long_text: &LongTextRequest,
    ) -> Result<Self> {
        // Tokens that are added are normalised, by patterns that may be endless.
        in_bounded_time(0, || {
            let files = TokenizerFiles::read(directory)?;
            let max_length = files.length_limit(positions, max_length)?;
            let long_texts = long_text.resolve(files.long_texts(), max_length)?;
            let file = files.file.clone();
            let most = positions.max(0) as usize;
            let lengths = (max_length, long_texts, most);
            guarded(|| Self::of_files(files, vocabulary, segments, lengths)).unwrap_or_else(|why| {
                Err(Error::request(format!("the tokenizer cannot be used: {why}")).file(file).hint(BELONGING))
            })
        })
    }

    fn of_files(
        mut files: TokenizerFiles,
        vocabulary: i64,
        segments: i64,
        (max_length, long_texts, most): (usize, LongTexts, usize),
    ) -> Result<Self> {
        let side = files.truncation_side()?;
        let tokenizer = &mut files.tokenizer;
        let highest = tokenizer.get_vocab(true).values().copied().max().unwrap_or(0);
        if i64::from(highest) >= vocabulary {
            return Err(Error::request(format!(
                "the tokenizer knows {} tokens (highest id {highest}), the model's embedding has {vocabulary} rows",
                tokenizer.get_vocab_size(true)
            ))
            .file(&files.file)
            .hint(BELONGING));
        }

        // Sentence encoders' files carry their own truncation and padding; the run decides instead.
        tokenizer.with_padding(None);
        let strategy = TruncationStrategy::LongestFirst;
        let truncation = TruncationParams { max_length, strategy, stride: 0, direction: side };
        // Of what is divided otherwise it gives the whole.
        tokenizer.with_truncation(Some(truncation).filter(|_| long_texts == LongTexts::Truncate)).map_err(|error| {
            Error::request(format!("cannot truncate to {max_length} tokens: {error}")).key("max_length")
        })?;
        let pieces = WordPieces::of(tokenizer);
        let templates = [1, 2].map(|texts| Template::of(tokenizer, texts, max_length));
        if long_texts != LongTexts::Truncate && templates[0].is_none() {
            return Err(overlong::no_layout(&long_texts).file(&files.file));
        }
        let special = templates.iter().flatten().flat_map(Template::special_ids);
        if let Some(id) = special.into_iter().find(|&id| i64::from(id) >= vocabulary) {
            return Err(beyond(id, vocabulary).file(&files.file).hint(BELONGING));
        }
        let splits_at_spaces = side == TruncationDirection::Right && long_text::splits_at_spaces(tokenizer);
        let added = tokenizer.get_added_tokens_decoder().into_iter();
        let special = added.filter(|(_, token)| token.special).map(|(id, _)| id);
        let mute = special.chain(files.unknown_token()).collect();
        #[rustfmt::skip]
        let made = Self {
            files, pieces, templates, side, splits_at_spaces, max_length, long_texts, most, segments, vocabulary, mute,
        };
        Ok(made)
    }

    /// What a person should know before trusting the tokens.
    pub fn warnings(&self) -> &[String] {
        &self.files.warnings
    }

    /// Whether the tokenizer knows the language of the inputs.
    pub fn language_fit(&self, inputs: &[&Input]) -> LanguageFit {
        let unknown = self.files.unknown_token();
        let count = |word: &str| {
            let ids = guarded(|| self.ids_of_word(word)).ok()?.ok()?;
            Some((ids.len(), ids.iter().filter(|&&id| Some(id) == unknown).count()))
        };
        in_bounded_time(0, || LanguageFit::measure(inputs, count))
    }

    fn ids_of_word(&self, word: &str) -> tokenizers::Result<Vec<u32>> {
        let mut ids = Vec::new();
        match self.pieces.as_ref().filter(|pieces| pieces.is_plain(word)) {
            Some(pieces) => drop(pieces.read(word, usize::MAX, &mut ids)?),
            // Some tokenizers know words with the space before them.
            None => ids = self.files.tokenizer.encode_fast(format!(" {word}"), false)?.get_ids().to_vec(),
        }
        Ok(ids)
    }

    /// Longer texts are cut to this many tokens, special ones included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// What is read of longer texts.
    pub fn long_texts(&self) -> LongTexts {
        self.long_texts
    }

    /// How it divides words.
    pub fn kind(&self) -> &'static str {
        match self.files.tokenizer.get_model() {
            ModelWrapper::BPE(_) => "BPE",
            ModelWrapper::WordPiece(_) => "WordPiece",
            ModelWrapper::WordLevel(_) => "whole words",
            ModelWrapper::Unigram(_) => "Unigram (SentencePiece)",
        }
    }

    /// Tokens that it knows, added ones included.
    pub fn vocabulary_size(&self) -> usize {
        self.files.tokenizer.get_vocab_size(true)
    }

    /// Changes when the same texts would become other tokens.
    pub fn identity(&self) -> String {
        format!("{} {} {} {}", self.files.file.display(), self.segments, self.vocabulary, self.settings())
    }

    /// The same without the place of its files and what the network is.
    pub fn settings(&self) -> String {
        let long = self.long_texts.saved().map_or(String::new(), |read| format!(" {read}"));
        format!("{} {:?} {}{long}", self.max_length, self.side, self.files.identity())
    }

    /// Whether the second of two texts has a segment of its own.
    fn has_segments(&self) -> bool {
        self.segments > 1 && self.files.gives_segments()
    }

    /// Tokenises all inputs, in parallel, in their order.
    pub fn tokenize<'a>(&self, inputs: impl IntoIterator<Item = &'a Input>) -> Result<Tokenized> {
        let inputs: Vec<&Input> = inputs.into_iter().collect();
        let chunks = || inputs.par_chunks(CHUNK).map(|inputs| self.tokenize_chunk(inputs)).collect();
        let chunks: Vec<Result<Chunk>> = in_bounded_time(inputs.iter().map(|input| input.bytes()).sum(), chunks);
        let mut tokenized = Tokenized { set: TokenizedSet::default(), ends: Vec::new(), unread: Unread::default() };
        for chunk in chunks {
            let chunk = chunk?;
            let (mut start, before) = (0, tokenized.set.len());
            tokenized.ends.extend(chunk.windows.iter().map(|end| before + end));
            for &end in &chunk.ends {
                tokenized.set.push(&chunk.ids[start..end], &chunk.segments[start..end]);
                start = end;
            }
            tokenized.unread.add(&chunk.unread);
        }
        Ok(tokenized)
    }

    fn tokenize_chunk(&self, inputs: &[&Input]) -> Result<Chunk> {
        let mut chunk = Chunk::default();
        for input in inputs {
            let start = chunk.ids.len();
            let texts: &[&str] = match input {
                Input::Text(text) => &[text],
                Input::Pair(first, second) => &[first, second],
                Input::Image(path) => return Err(Error::request("this model reads text, not images").file(path)),
            };
            let (first, pushed) = (chunk.ends.len(), guarded(|| self.push(texts, &mut chunk)));
            let (length, kept) = pushed
                .and_then(|length| length.map_err(|error| plainly(&error.to_string())))
                .map_err(|why| self.failure(texts, &why))?;
            if !self.has_segments() {
                // Some families have one segment and the tokenizer of one with two.
                chunk.segments[start..].fill(0);
            }
            chunk.windows.push(chunk.ends.len());
            let ids = &chunk.ids[start..];
            let unknown = u64::from(!input.is_empty() && ids.iter().all(|id| self.mute.contains(id)));
            let mut begin = start;
            for &end in &chunk.ends[first..] {
                self.check(&chunk.ids[begin..end], &chunk.segments[begin..end])?;
                begin = end;
            }
            let read = self.long_texts.name();
            let cut = CutTexts::of_text(kept, &length, self.max_length, self.most, read);
            chunk.unread.add(&Unread { texts: 1, cut, unknown });
        }
        Ok(chunk)
    }

    fn failure(&self, texts: &[&str], why: &str) -> Error {
        let error = Error::request(format!("the text cannot be tokenised: {why}")).file(&self.files.file);
        let part = failing_part(&self.files.tokenizer, texts);
        part.into_iter().fold(error, Error::key).hint(BELONGING)
    }

    /// A template of special tokens may hold anything, whatever the vocabulary, the limit and the model are.
    fn check(&self, ids: &[u32], segments: &[u32]) -> Result<()> {
        let refused = |message: String| Err(Error::request(message).file(&self.files.file).hint(BELONGING));
        if ids.len() > self.max_length {
            let (found, most) = (ids.len(), self.max_length);
            return refused(format!("the special tokens make a text of {found} tokens where {most} are the limit"));
        }
        if let Some(id) = ids.iter().find(|&&id| i64::from(id) >= self.vocabulary) {
            return Err(beyond(*id, self.vocabulary).file(&self.files.file).hint(BELONGING));
        }
        if ids.is_empty() {
            return refused("a text has no tokens, and this tokenizer adds no special ones".into());
        }
        if let Some(segment) = segments.iter().find(|&&segment| i64::from(segment) >= self.segments.max(1)) {
            let kinds = self.segments;
            return refused(format!("puts tokens into segment {segment}, and the model knows {kinds} segments"));
        }
        Ok(())
    }

    /// Writes the tokenizer's files into a run directory, so that Python tokenises as this run does.
    pub fn save(&self, into: &Path) -> Result<()> {
        self.files.save(into, self.max_length, self.has_segments(), self.long_texts.saved())
    }
}

fn beyond(id: u32, rows: i64) -> Error {
    Error::request(format!("gives the token id {id}, and the model's embedding has {rows} rows"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use serde_json::{Value, json};
    use std::path::PathBuf;

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

    /// Texts of the project's data: the first rows of each file.
    fn texts(rows: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for file in ["reviews/train.csv", "reviews/test.csv", "topics/train.csv", "topics/test.csv"] {
            let mut reader = csv::Reader::from_path(root("data").join(file)).expect("a file");
            for record in reader.records().take(rows) {
                texts.extend(record.expect("a row").iter().map(str::to_owned));
            }
        }
        texts
    }

    /// Text of whatever may be hard to normalise or to split.
    fn wild(random: &mut Random) -> String {
        #[rustfmt::skip]
        const PARTS: &[&str] = &[
            " ", " ", "  ", "\t", "\r\n", "\0", "\u{7f}", "\u{b}", "the", "THE", "unbelievable", "it's", "don’t",
            "e\u{301}", "\u{301}", "É", "İ", "ß", "ẞ", "Σ", "ΑΣ", "\u{212a}", "≮", "\u{37e}", "\u{a0}", "\u{3000}",
            "\u{2028}", "\u{85}", "\u{200b}", "\u{200d}", "\u{feff}", "\u{ad}", "\u{fffd}", "\u{e000}", "中", "中文字",
            "한국어", "ガ", "か\u{3099}", "👩‍🚀", "「", "—", "...", "[", "]", "[SEP]", "[sep]", "[MASK]", "##ing",
            "$1,000.00", "a_b", "<br />", "\u{323}\u{307}",
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
        let mut truncated = 0u64;
        for (index, input) in inputs.iter().enumerate() {
            let theirs = match input {
                Input::Pair(first, second) => tokenizer.files.tokenizer.encode((first.as_str(), second.as_str()), true),
                Input::Text(text) => tokenizer.files.tokenizer.encode(text.as_str(), true),
                Input::Image(_) => continue,
            };
            let theirs = theirs.expect("tokens");
            let segments: Vec<u32> = ours.set.types(index).iter().map(|&segment| segment.into()).collect();
            assert_eq!(ours.set.ids(index), theirs.get_ids(), "{input:?}");
            assert_eq!(segments, theirs.get_type_ids(), "{input:?}");
            truncated += u64::from(!theirs.get_overflowing().is_empty());
        }
        assert_eq!(ours.unread.cut.texts, truncated);
    }

    #[test]
    fn ids_segments_and_what_is_cut_are_the_crates() {
        let mut random = Random::new(3);
        let mut texts = texts(100);
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
                assert!(tokenizer.pieces.is_some() && tokenizer.templates[0].is_some());
                compare(&tokenizer, &singles);
                compare(&tokenizer, &pairs);
                let left = cut_in_front(directory, max_length);
                assert!(left.pieces.is_some() && left.side == TruncationDirection::Left);
                compare(&left, &singles);
                compare(&left, &pairs);
            }
        }
    }

    /// The tokenizer in `directory`, with a setting that has long texts lose their beginning.
    fn cut_in_front(directory: &Path, max_length: usize) -> TextTokenizer {
        let copy = tempfile::tempdir().expect("a directory");
        for name in ["tokenizer.json", "vocab.txt"].iter().filter(|name| directory.join(name).is_file()) {
            std::fs::copy(directory.join(name), copy.path().join(name)).expect("a copy");
        }
        let config = std::fs::read(directory.join("tokenizer_config.json")).unwrap_or_else(|_| b"{}".to_vec());
        let mut config: Value = serde_json::from_slice(&config).expect("JSON");
        config["truncation_side"] = "left".into();
        std::fs::write(copy.path().join("tokenizer_config.json"), config.to_string()).expect("a file");
        load(copy.path(), max_length)
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
            "pre_tokenizer": {
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
            },
            "model": { "type": "BPE", "vocab": vocabulary, "merges": merges },
        });

        let mut random = Random::new(4);
        let mut texts = texts(100);
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
    fn of_cut_texts_the_length_is_estimated_by_what_is_read() {
        let tokenizer = load(&root("tests/fixtures/bert/bare"), 16);
        let unread = |inputs: &[Input]| tokenizer.tokenize(inputs).expect("tokens").unread.cut;
        let words = "good film bad plot ".repeat(200);
        for text in [words.clone(), format!("[SEP] {words}")] {
            let cut = unread(&[Input::Text(text)]);
            assert!(cut.is_estimated && (760..840).contains(&cut.longest), "{cut:?}");
        }
        // Two share the room, so these are read to their end, but for those that the crate cuts.
        let cut = unread(&[Input::Pair(words.clone(), "a film".to_owned())]);
        assert_eq!((cut.is_estimated, cut.longest), (false, 805));
        let cut = unread(&[Input::Pair(words, "a [SEP] film".to_owned())]);
        assert!(cut.is_estimated && (760..850).contains(&cut.longest), "{cut:?}");
        let short = unread(&[Input::Text("good film".to_owned())]);
        assert_eq!(short.texts, 0);
    }
}
