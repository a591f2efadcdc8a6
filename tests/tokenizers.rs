//! Token ids equal transformers', for tokenizers of every shape that checkpoints have (tests/fixtures/tokenizers):
//! texts and pairs, cut at several lengths; and what a run saves gives the same in Python.

#[path = "support/python.rs"]
mod support;

use std::path::{Path, PathBuf};

use rehead::data::Input;
use rehead::transform::text::TextTokenizer;
use serde_json::Value;
use support::python;

const TOKENIZERS: [&str; 15] = [
    "byte_level_bpe",
    "byte_level_bpe_files",
    "multilingual_byte_level_bpe",
    "multilingual_unigram",
    "multilingual_word_pieces",
    "sentencepiece_albert",
    "sentencepiece_bpe",
    "sentencepiece_camembert",
    "sentencepiece_deberta",
    "sentencepiece_t5",
    "sentencepiece_xlm_roberta",
    "sentencepiece_xlnet",
    "unigram",
    "unigram_unused_first",
    "word_pieces",
];
const LENGTHS: [usize; 3] = [8, 32, 510];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizers").join(name)
}

fn load(directory: &Path, segments: i64, max_length: usize) -> TextTokenizer {
    TextTokenizer::load(directory, 2000, 510, segments, Some(max_length)).expect("a tokenizer")
}

/// Texts, their ids, and how many of them are cut.
fn expected(name: &str, length: usize) -> (Vec<Input>, Vec<Vec<u32>>, usize) {
    let file = std::fs::read(fixture(name).join("expected.json")).expect("a fixture");
    let expected: Value = serde_json::from_slice(&file).expect("JSON");
    let examples = expected[length.to_string()].as_array().expect("examples");
    let input = |example: &Value| match &example["text"] {
        Value::Array(pair) => {
            let text = |index: usize| pair[index].as_str().expect("a text").to_owned();
            Input::Pair(text(0), text(1))
        }
        text => Input::Text(text.as_str().expect("a text").to_owned()),
    };
    let ids = |example: &Value| serde_json::from_value(example["input_ids"].clone()).expect("ids");
    let cut = examples.iter().filter(|example| example["cut"] == true).count();
    (examples.iter().map(input).collect(), examples.iter().map(ids).collect(), cut)
}

#[test]
fn ids_and_what_is_cut_equal_transformers() {
    for name in TOKENIZERS {
        for length in LENGTHS {
            let (inputs, ids, cut) = expected(name, length);
            let tokens = load(&fixture(name), 2, length).tokenize(&inputs).expect("tokens");
            for (index, input) in inputs.iter().enumerate() {
                assert_eq!(tokens.set.ids(index), ids[index], "{name}, {length} tokens: {input:?}");
            }
            assert_eq!(tokens.unread.cut.texts, cut as u64, "{name}, {length} tokens");
        }
    }
}

/// A model with one kind of segment, or none, may have a tokenizer that tells two apart.
#[test]
fn where_the_model_has_one_segment_every_token_is_of_it() {
    let pair = [Input::Pair("a good film".to_owned(), "the plot was bad".to_owned())];
    for (segments, last) in [(2, 1), (1, 0), (0, 0)] {
        let tokens = load(&fixture("word_pieces"), segments, 32).tokenize(&pair).expect("tokens").set;
        assert_eq!(tokens.types(0).last().copied().map(i64::from), Some(last), "{segments} segments");
    }
    let tokens = load(&fixture("byte_level_bpe"), 2, 32).tokenize(&pair).expect("tokens").set;
    assert!(tokens.types(0).iter().all(|&segment| segment == 0), "this tokenizer tells none apart");
}

#[test]
fn what_is_saved_gives_python_the_same_ids_and_no_segments() {
    let directory = tempfile::tempdir().expect("a directory");
    let saved: Vec<PathBuf> = TOKENIZERS
        .iter()
        .map(|name| {
            let into = directory.path().join(name);
            std::fs::create_dir(&into).expect("a directory");
            load(&fixture(name), 1, 32).save(&into).expect("saved");
            std::fs::copy(fixture(name).join("expected.json"), into.join("expected.json")).expect("copied");
            into
        })
        .collect();
    println!("{:?}", python("transformers", "check_tokenizers.py", &saved));
}

/// Cut short or changed in any byte, a file of SentencePiece is refused or read, and nothing panics.
#[test]
fn damaged_files_of_sentencepiece_are_refused_or_read() {
    let text = [Input::Text("a good film, \u{fb01}lm".to_owned())];
    for (name, file) in [("sentencepiece_deberta", "spm.model"), ("sentencepiece_bpe", "tokenizer.model")] {
        let directory = tempfile::tempdir().expect("a directory");
        let copy = |name: &str, from: &Path| std::fs::copy(from.join(name), directory.path().join(name));
        copy("tokenizer_config.json", &fixture(name)).expect("copied");
        let whole = std::fs::read(fixture(name).join(file)).expect("a fixture");
        let mut refused = 0;
        let places = whole.len().min(4000);
        for index in (0..places).step_by(7) {
            let mut bytes = whole.clone();
            match index % 3 {
                0 => bytes.truncate(index),
                1 => bytes[index] ^= 1 << (index % 8),
                _ => bytes[index] = 0xff,
            }
            std::fs::write(directory.path().join(file), bytes).expect("written");
            match TextTokenizer::load(directory.path(), 2000, 510, 2, Some(32)) {
                Ok(tokenizer) => drop(tokenizer.tokenize(&text)),
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.exit_status(), 2, "{name}: {error}");
                }
            }
        }
        assert!(refused > places / 21, "{name}: {refused} of {}", places / 7);
    }
}
