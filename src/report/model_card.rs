//! The model card of a run, `README.md`: what the model is, what it was made from, how good it is and how it is used;
//! first for programs (the hub's metadata, `front_matter.rs`), then in words.
//!
//! It says nothing that changes from one run of the same settings to the next (times, places of this machine), so a
//! resumed run writes the same.

mod escape;
mod front_matter;
mod results;

use std::fmt;
use std::path::Path;

use self::escape::markdown;
use crate::config::SAVED_SETTINGS;
use crate::console::units::{self, counted};
use crate::data::Modality;
use crate::error::listed;
use crate::evaluation::Evaluation;
use crate::report::RunMetrics;
use crate::report::next_steps::shell_word;

/// The line by which a card is known to be the program's own.
pub const MARK: &str = "<!-- Written by `rehead train`. A card without this line is never overwritten. -->";

/// Labels with a row of their own in the table.
const MOST_LABELS: usize = 100;

/// Python's library that loads a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// `transformers`.
    Transformers,
    /// `timm`.
    Timm,
}

/// Where the network came from.
#[derive(Debug, Clone, Default)]
pub struct Base {
    /// On the hub, where it is from there.
    pub id: Option<String>,
    /// As people know it: the id, a directory's name; `None` of a network of random numbers.
    pub name: Option<String>,
    /// Of the base model, where it is known: as the hub calls it, and the name of one of its own.
    pub license: Option<String>,
    /// The name of a licence that the hub does not know.
    pub license_name: Option<String>,
    /// Codes of the languages that the base model's card names.
    pub languages: Vec<String>,
}

/// A part of the data.
#[derive(Debug, Clone)]
pub struct DataPart {
    /// `training`, `validation`, `test`.
    pub role: &'static str,
    /// The names of its files or folders, without the folders that they are in.
    pub files: Vec<String>,
    /// Whether its rows were held out from the training files.
    pub is_held_out: bool,
    /// Rows, or images, that were used.
    pub rows: u64,
    /// Of the content of the files.
    pub fingerprint: Option<String>,
}

/// What a card is made of.
pub struct ModelCard<'a> {
    /// Of the run: the directory's name.
    pub name: &'a str,
    /// The network that was trained further.
    pub base: Base,
    /// What it reads.
    pub modality: Modality,
    /// Whether an example is two texts.
    pub is_pair: bool,
    /// What loads it in Python.
    pub library: Library,
    /// Whether Python runs a module that lies beside the weights.
    pub has_module: bool,
    /// The classes.
    pub labels: &'a [String],
    /// Training first.
    pub data: Vec<DataPart>,
    /// Settings that were chosen by hand: name, value.
    pub settings: Vec<(String, String)>,
    /// Tokens of a text, or pixels of an image's sides.
    pub input_size: String,
    /// What the tokenizer does not know.
    pub warnings: Vec<String>,
    /// The scores.
    pub metrics: &'a RunMetrics,
}

impl ModelCard<'_> {
    /// The scores that say most, and of which data they are: those of test data where there are any.
    fn main_scores(&self) -> Option<(&'static str, &Evaluation)> {
        self.metrics.scored().next()
    }

    /// The files that a split's scores are of. Rows of folds are training rows.
    fn files_of(&self, split: &str) -> String {
        let part = self.data.iter().find(|part| part.role == split).or(self.data.first());
        part.map_or_else(String::new, |part| part.files.join(", "))
    }

    fn is_multi_label(&self) -> bool {
        self.main_scores().is_some_and(|(_, scores)| scores.multi_label().is_some())
    }

    fn is_regression(&self) -> bool {
        self.main_scores().is_some_and(|(_, scores)| scores.regression().is_some())
    }

    fn nouns(&self) -> (&'static str, &'static str) {
        match self.modality {
            Modality::Text => ("row", "texts"),
            Modality::Image => ("image", "images"),
        }
    }

    fn write_introduction(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = match (&self.base.id, &self.base.name) {
            (Some(id), _) => format!("[{0}](https://huggingface.co/{0})", id.split('@').next().unwrap_or(id)),
            (None, Some(name)) => markdown(name),
            (None, None) => "a network of random numbers".to_owned(),
        };
        let (_, inputs) = self.nouns();
        let inputs = if self.is_pair { "pairs of texts" } else { inputs };
        writeln!(f, "# {}\n\n{MARK}\n", markdown(self.name))?;
        let what = match self.is_regression() {
            true => format!(
                "A regression model that gives {inputs} a number, `{}`",
                plain(self.labels.first().map_or("", String::as_str))
            ),
            false => format!(
                "A classifier of {inputs} with {}{}",
                counted(self.labels.len() as u64, "label"),
                if self.is_multi_label() { ", of which an input may have any number" } else { "" }
            ),
        };
        writeln!(
            f,
            "{what}, made from {base} by rehead {} (strategy `{}`). It reads {}.\n",
            self.metrics.rehead_version, self.metrics.strategy, self.input_size
        )?;
        match (&self.base.license, &self.base.license_name) {
            (Some(license), name) => {
                let license = name.as_ref().unwrap_or(license);
                writeln!(
                    f,
                    "The base model's licence is `{}`: look up what it asks of models that are made from it.\n",
                    plain(license)
                )
            }
            (None, _) => {
                writeln!(
                    f,
                    "The base model's licence is not known here: look it up before giving this model to others.\n"
                )
            }
        }
    }

    fn write_data(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, _) = self.nouns();
        writeln!(f, "## Data\n\n| part | files | {noun}s | fingerprint |\n|---|---|---|---|")?;
        for part in &self.data {
            let held_out = if part.is_held_out { " (held out)" } else { "" };
            let files: Vec<String> = part.files.iter().map(|file| markdown(file)).collect();
            let fingerprint = part.fingerprint.as_deref().unwrap_or_default();
            let start: String = fingerprint.chars().take(16).collect();
            let (role, rows) = (part.role, units::count(part.rows));
            writeln!(f, "| {role} | {}{held_out} | {rows} | `{start}` |", files.join(", "))?;
        }
        writeln!(f)
    }

    fn write_confidence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_regression() {
            return Ok(());
        }
        writeln!(f, "## Confidence\n")?;
        if self.is_multi_label() {
            return self.write_label_thresholds(f);
        }
        match self.metrics.temperature {
            Some(temperature) => writeln!(
                f,
                "The confidences are calibrated: the output layer is divided by {temperature:.3}, the temperature that \
                 fits the data that judged the training.\n"
            )?,
            None => writeln!(f, "The confidences are not calibrated.\n")?,
        }
        let Some(thresholds) = &self.metrics.thresholds else { return Ok(()) };
        let target = 100.0 * thresholds.target_accuracy;
        writeln!(f, "For an accuracy of {target:.1} %, chosen on the {} data:\n", thresholds.chosen_on)?;
        for threshold in &thresholds.shown {
            let labels = match threshold.labels.len() == self.labels.len() {
                true => "all labels".to_owned(),
                false => threshold.labels.iter().map(|label| markdown(label)).collect::<Vec<_>>().join(", "),
            };
            writeln!(
                f,
                "- {labels}: from a confidence of {} on the accuracy is at least {:.1} % ({} of {} predictions)",
                threshold.confidence,
                100.0 * threshold.accuracy_at_least,
                units::count(threshold.labelled),
                units::count(threshold.rows)
            )?;
        }
        if !thresholds.without.is_empty() {
            let without: Vec<String> = thresholds.without.iter().map(|label| markdown(label)).collect();
            writeln!(f, "- {}: no threshold was shown to reach it", without.join(", "))?;
        }
        writeln!(f)
    }

    fn write_settings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Settings\n\n| setting | value |\n|---|---|")?;
        for (name, value) in &self.settings {
            writeln!(f, "| {} | {} |", markdown(name), markdown(value))?;
        }
        writeln!(
            f,
            "\nAll of them stand in `{SAVED_SETTINGS}`; what was chosen automatically, and why, in `metrics.json`.\n"
        )
    }

    fn write_use(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: String = self.name.chars().map(|c| if c.is_control() || c == '`' { '_' } else { c }).collect();
        let input = if self.modality == Modality::Image { "IMAGES" } else { "new.csv" };
        writeln!(f, "## Use\n\n```sh")?;
        writeln!(
            f,
            "rehead label --model {} --input {input} --output labelled.csv\n```\n",
            shell_word(Path::new(&name))
        )?;
        let quoted = format!("\"{}\"", name.replace('\\', r"\\").replace('"', "\\\""));
        let leave = if self.has_module { ", trust_remote_code=True" } else { "" };
        if self.library == Library::Timm {
            writeln!(f, "```python\nimport timm\n\nrun = {quoted}")?;
            writeln!(f, "weights = run + \"/model.safetensors\"")?;
            writeln!(f, "model = timm.create_model(\"local-dir:\" + run, checkpoint_path=weights).eval()")?;
            return writeln!(f, "print(model.pretrained_cfg[\"label_names\"])\n```\n");
        }
        let (kind, reader, inputs) = match (self.modality, self.is_pair) {
            (Modality::Image, _) => (
                "Image",
                "AutoImageProcessor",
                "Image.open(\"photograph.jpg\").convert(\"RGB\"), return_tensors=\"pt\"",
            ),
            (_, false) => ("Sequence", "AutoTokenizer", "[\"A text.\"], truncation=True, return_tensors=\"pt\""),
            (_, true) => {
                ("Sequence", "AutoTokenizer", "[\"One text.\"], [\"Another.\"], truncation=True, return_tensors=\"pt\"")
            }
        };
        let image = if self.modality == Modality::Image { "from PIL import Image\n" } else { "" };
        writeln!(
            f,
            "```python\nimport torch\n{image}from transformers import {reader}, AutoModelFor{kind}Classification\n"
        )?;
        writeln!(f, "reader = {reader}.from_pretrained({quoted}{leave})")?;
        writeln!(f, "model = AutoModelFor{kind}Classification.from_pretrained({quoted}{leave}).eval()")?;
        if self.is_regression() {
            writeln!(f, "with torch.no_grad():\n    numbers = model(**reader({inputs})).logits[:, 0]")?;
            return writeln!(f, "print(float(numbers[0]))\n```\n");
        }
        if self.is_multi_label() {
            writeln!(f, "with torch.no_grad():\n    probabilities = model(**reader({inputs})).logits.sigmoid()[0]")?;
            writeln!(f, "thresholds = model.config.label_thresholds")?;
            return writeln!(
                f,
                "print([name for name, p in zip(thresholds, probabilities) if p >= thresholds[name]])\n```\n"
            );
        }
        writeln!(f, "with torch.no_grad():\n    probabilities = model(**reader({inputs})).logits.softmax(-1)")?;
        writeln!(f, "print(model.config.id2label[int(probabilities.argmax())], float(probabilities.max()))\n```\n")
    }

    fn write_limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, inputs) = self.nouns();
        let rows = units::count(self.metrics.train_rows);
        writeln!(f, "## Limitations\n")?;
        writeln!(
            f,
            "- It learned from {rows} examples; {inputs} unlike these may be labelled worse than the results say."
        )?;
        if !self.is_multi_label() && !self.is_regression() {
            writeln!(f, "- Every input gets one of its labels, also one that none of them fits.")?;
        }
        if self.metrics.test.is_none() {
            writeln!(f, "- It was not scored on test data.")?;
        }
        let rare: Vec<String> = self.main_scores().map_or_else(Vec::new, |(_, scores)| {
            let rare = scores.per_label().filter(|(_, class)| class.support < 10);
            rare.map(|(label, _)| label.replace('`', "'")).take(10).collect()
        });
        if !rare.is_empty() {
            let rare = listed(rare.iter().map(|label| plain(label)));
            writeln!(f, "- Of some labels fewer than 10 examples were scored: {rare}.")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "- {}.", markdown(warning.trim_end_matches('.'))))
    }
}

impl fmt::Display for ModelCard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_front_matter(f)?;
        self.write_introduction(f)?;
        self.write_results(f)?;
        self.write_data(f)?;
        self.write_settings(f)?;
        self.write_use(f)?;
        self.write_limits(f)
    }
}

/// For a code span: on one line, and without the character that would end it.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() {
                ' '
            } else if c == '`' {
                '\''
            } else {
                c
            }
        })
        .collect()
}

fn capital(text: &str) -> String {
    crate::report::verdict::capitalised(text.trim_end_matches('.'))
}
