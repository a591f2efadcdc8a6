//! The words that people read: no phrase that a reader would have to ask about is left in messages, help, reports,
//! pages, comments, settings and scripts. What has happened (`docs/log.md`) is quoted as it was.

use std::fs;
use std::path::{Path, PathBuf};

/// What is not said, each with what is said instead.
const PHRASES: &[(&str, &str)] = &[
    ("labelled rightly", "correct"),
    ("of these rightly", "accuracy of these"),
    ("rightly", "correctly"),
    ("nats a row", "loss (cross-entropy)"),
    ("what is taken for what", "Confusion matrix: what gets mixed up"),
    ("taken for", "mixed up with; read as"),
    ("says less than it knows", "underconfident"),
    ("says more than it knows", "overconfident"),
    ("surer than", "overconfident"),
    ("labelling only what is sure", "Choosing a confidence threshold"),
    ("what is sure", "confident"),
    ("labels to look at again", "Possible label errors"),
    ("suspects", "Possible label errors"),
    ("uprights", "vertical bars"),
    ("stands with another label", "appears with another label"),
    ("anew", "newly, again"),
    ("set aside", "held out; unused"),
    ("frozen prefix", "cached lower layers"),
    ("features behind", "features after"),
    ("ahead, and of what", "difference"),
    ("better buy", "better value"),
    ("does not pay", "no evidence yet that fine-tuning beats"),
    ("told apart", "no statistically clear difference"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("go on", "continue"),
    ("away when finished", "deleted at the end"),
    ("is no image that", "not a readable image"),
    ("one a core", "one per core"),
    ("a line a run", "one line per run"),
    ("labels a row", "labels per row"),
    ("class a row", "one class per row"),
    ("a file a", "one file per"),
    ("nothing apart", "separates no"),
    ("a text: mean", "per text: mean"),
    ("encoder this narrow", "small encoders (hidden size 384)"),
    ("chosen label:", "label column:"),
    ("kind not said", "architecture:"),
    ("a note for excel", "Excel's `sep=` line"),
    ("the one vector", "how token vectors are pooled"),
    ("over that of the layer above", "layer-wise learning-rate decay"),
    ("to the same bits", "bit-identical"),
    ("quarters of a minute", "45 s"),
    ("that are like them", "a list of every family by name"),
];

/// What has happened is told in the words of its time.
const LOG: &str = "docs/log.md";

#[test]
fn no_phrase_that_needs_an_explanation_is_left() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    const PAGES: [&str; 4] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile"];
    for part in ["src", "docs", "scripts", "configs", "benches", "data"].into_iter().chain(PAGES) {
        collect(&root.join(part), &mut files);
    }
    assert!(files.len() > 300, "only {} files were read", files.len());
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        if name == LOG {
            continue;
        }
        // A phrase may be broken over lines, with the marks of a comment or of a continued string between.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let text = plain(&text);
        for (phrase, instead) in PHRASES {
            if contains(&text, phrase) {
                found.push(format!("{name}: \"{phrase}\" (say: {instead})"));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn phrases_are_found_wherever_they_stand() {
    for text in ["which are told apart.", "//! They are told\n//! apart", "\"told \\\n      apart\"", "Told Apart"] {
        assert!(contains(&plain(text), "told apart"), "{text}");
    }
    assert!(!contains(&plain("recommended"), "mend") && !contains(&plain("No Canewdon"), "anew"));
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), files);
        }
    } else if !is_data(path) {
        files.push(path.to_owned());
    }
}

/// The sentences of the example data are nobody's messages.
fn is_data(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    ["csv", "tsv", "jsonl", "json", "safetensors", "svg", "png"].contains(&ending)
        || (ending == "txt" && path.parent().is_some_and(|folder| folder.ends_with("data")))
}

/// In small letters, on one line, with single blanks, and without marks of comments and continued strings.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.trim().trim_end_matches('\\');
        line.trim_start_matches(['/', '!', '#', '*', '>']).to_lowercase()
    });
    lines.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>().join(" ")
}

/// Whether the phrase stands in the text as words of its own.
fn contains(text: &str, phrase: &str) -> bool {
    let is_word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        !is_word(before) && (!is_word(after) || !phrase.ends_with(char::is_alphanumeric))
    })
}
