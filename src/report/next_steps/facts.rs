//! What is known of a run or an evaluation when its next steps are made, and the commands that these share. Which steps
//! there are is decided in `run.rs`.

use std::path::{Path, PathBuf};

use super::shell_word;
use crate::data::{Modality, Summary};
use crate::report::split::ScoredSplit;

/// What is known of a model and its scores.
pub struct RunFacts<'a> {
    /// The model's directory or id.
    pub model: &'a Path,
    /// What it reads.
    pub modality: Modality,
    /// Whether its data are folders.
    pub is_folder: bool,
    /// The training data as they were read; `None` where only a model is known.
    pub training: Option<&'a Training<'a>>,
    /// Validation data first, then test data where there are any.
    pub splits: &'a [ScoredSplit<'a>],
    /// Languages of the training texts that the tokenizer does not know, in sentences, with what to do about it.
    pub languages: &'a [String],
    /// What of the training texts is not read, in sentences, with what to do about it.
    pub remarks: &'a [String],
}

/// The training data and how they were used.
pub struct Training<'a> {
    /// What is in them, before validation rows were held out.
    pub summary: &'a Summary,
    /// The options that name these data: `--train FILE --label COLUMN …`.
    pub options: String,
    /// Of these, the options that files like them are read with by other commands, each after a space.
    pub reading: String,
    /// As `--model` takes it: where training began.
    pub pretrained: &'a str,
    /// Whether only the head was trained.
    pub is_frozen: bool,
    /// Whether the whole network was trained.
    pub is_whole: bool,
    /// Whether training collapsed, and did so again with lower rates.
    pub has_collapsed: bool,
    /// How many epochs there were, where the last was the best and the validation loss still fell clearly.
    pub unfinished_epochs: Option<u32>,
    /// Whether Python needs leave to run the module in the run's directory.
    pub has_module: bool,
}

impl RunFacts<'_> {
    /// The command that trains again with the same settings and one more option.
    pub(super) fn again(&self, option: &str, word: &str) -> String {
        let settings = shell_word(&self.model.join("rehead.toml"));
        format!("rehead train --config {settings} {option} --out {}", shell_word(&self.beside(word)))
    }

    /// The command that scores the model on other rows.
    pub(super) fn evaluate(&self) -> String {
        let model = shell_word(self.model);
        let test = if self.is_folder { "TEST_FOLDER" } else { "TEST.csv" };
        format!(
            "rehead evaluate --model {model} --data {test} --out {}{}",
            shell_word(&self.beside("-test")),
            self.reading()
        )
    }

    /// The options that new data are read with, if they are like the training data.
    pub(super) fn reading(&self) -> &str {
        self.training.map_or("", |training| &training.reading)
    }

    /// A folder beside the model's, with a word after its name.
    pub(super) fn beside(&self, word: &str) -> PathBuf {
        let mut path = self.model.as_os_str().to_owned();
        path.push(word);
        path.into()
    }
}
