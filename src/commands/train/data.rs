//! The examples of a run: loaded, split, and what is in them printed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::commands::inputs::{FileForm, label_rules, read_options};
use crate::config::{Choices, Columns, DataConfig, KeepBest, RunConfig, Task};
use crate::console::Console;
use crate::console::units::{self, counted};
use crate::data::label_findings::OtherTask;
use crate::data::split::{Split, stratified, stratified_by_group, stratified_by_number, stratified_by_several};
use crate::data::{
    ClassWeighting, Example, Input, KnownLabels, LabelResolution, LabelRules, LabelledSet, Labels, Modality, Place,
    ReadOptions, Sources, Summary, Truth, USUAL_SEPARATOR, lists_of_labels, load_labelled, overlap,
};
use crate::error::{Error, Result, listed, nearest};
use crate::report::Seen;
use crate::task;

/// The training, validation and test examples of a run.
pub struct Data {
    pub train: Vec<Example>,
    /// `None`: every training row is held out in one of the folds.
    pub valid: Option<Vec<Example>>,
    /// Which of the training examples stay together, beside those that are equal: those with the same number.
    pub groups: Option<Vec<Option<u32>>>,
    pub test: Option<Vec<Example>>,
    /// The training files, then those of the other splits: what the examples' `file` counts.
    pub sources: Sources,
    /// The distinct values of the label column.
    pub labels: Labels,
    /// The names of the head's outputs.
    pub names: Labels,
    /// What is in the training files, before validation rows are held out.
    pub training: Summary,
    /// What each class weighs in the loss.
    pub class_weights: ClassWeighting,
    /// How the labels of the training data became these.
    pub resolution: LabelResolution,
    /// What is in the files, by file, and what was held out.
    pub summary: Vec<(String, String)>,
    /// What a person should know of how they were read: files and rows left out, what was understood otherwise.
    pub warnings: Vec<String>,
    /// Of the validation and the test rows those that also stand in the training files; images are compared later.
    pub seen: SeenRows,
}

/// Rows of the other splits that also stand in the training data.
#[derive(Default)]
pub struct SeenRows {
    pub valid: Option<Seen>,
    pub test: Option<Seen>,
}

/// What is printed of the data, and kept for the report.
struct Said<'a> {
    console: &'a Console,
    summary: Vec<(String, String)>,
    warnings: Vec<String>,
}

impl Said<'_> {
    fn note(&mut self, name: impl ToString, content: impl ToString) {
        let (name, content) = (name.to_string(), content.to_string());
        self.console.note(format!("{name}: {content}"));
        self.summary.push((name, content));
    }

    fn warn(&mut self, warning: String) {
        self.console.warn(&warning);
        self.warnings.push(warning);
    }

    /// Where test rows are validation rows too. Images are compared by what they show, once they are read.
    fn warn_of_shared(&mut self, valid: Option<&[Example]>, test: Option<&[Example]>, data: &DataConfig) {
        let (Some(valid), Some(test)) = (valid, test) else { return };
        let (Some(valid_file), Some(test_file)) = (&data.valid, &data.test) else { return };
        let shared = overlap(rows_of(valid), rows_of(test));
        if shared.rows > 0 && !test.iter().any(|example| matches!(example.input, Input::Image(_))) {
            let labels = match shared.contradictions {
                0 => String::new(),
                count => format!(", {} with another label", units::count(count)),
            };
            self.warn(format!(
                "{} of {} (--test) also {} in {} (--valid){labels}: they choose the weights that are kept, and scores \
                 on them are too optimistic",
                counted(shared.rows, "row"),
                test_file.display(),
                if shared.rows == 1 { "appears" } else { "appear" },
                valid_file.display(),
            ));
        }
    }

    /// Where no validation row has the label whose F1 chooses the epoch, it chooses none.
    fn warn_of_unseen(&mut self, score: &KeepBest, names: &Labels, valid: Option<&[Example]>) {
        if let (KeepBest::F1(label), Some(valid)) = (score, valid)
            && let Some(label_index) = names.index_of(label)
            && !valid.iter().any(|example| example.truth.labels().contains(&label_index))
        {
            self.warn(format!(
                "no validation row has the label `{label}`: its F1 cannot choose an epoch, and the loss does \
                 (--keep-best)"
            ));
        }
    }
}

impl Data {
    /// Loads and splits what `config` names, prints what is in it, and puts the columns it found into `config`.
    pub fn load(config: &mut RunConfig, modality: Modality, choices: &mut Choices, console: &Console) -> Result<Self> {
        let data = &config.data;
        let mut options = read_options(data.text.as_ref(), data.label.as_deref(), FileForm::of_run(data));
        options.modality = modality;
        let (map, other) = (data.label_map.as_deref(), data.other.as_ref());
        options.label_rules = label_rules(data.on_empty_label, map, data.merge_labels, data.min_rows_per_label, other)?;
        let set = load_training_rows(config, &mut options, choices)?;
        let task = task::task(config.data.task)?;
        task.check(config)?;
        let names = task.names(&set.labels).map_err(|error| set.columns.at_label_column(error))?;
        let mut said = Said { console, summary: Vec::new(), warnings: Vec::new() };
        set.reading_warnings.iter().for_each(|warning| said.warn(warning.clone()));
        let has_columns = !set.columns.file().is_dir();
        for choice in &set.choices {
            choices.record(choice.setting, &choice.value, choice.reason.clone());
        }
        said.note(&config.data.train, &set.summary);
        set.notes.iter().for_each(|content| said.note("labels", content));
        check_keep_best(&config.training.keep_best, task.name(), &names)?;
        let class_weights = ClassWeighting::resolve(&config.training.class_weights, &names)?;
        class_weights.described(&names).iter().for_each(|weights| said.note("class weights", weights));
        say_what_is_odd(&set, config, &mut said)?;
        // Other files are read as these are; a folder has no columns to name.
        if has_columns {
            options.text = Some(set.columns.text());
            options.label = set.columns.label().map(str::to_owned);
            let names = set.columns.text_names().map(str::to_owned).collect();
            config.data.text = Some(Columns::new(names).map_err(Error::request)?);
            config.data.label = options.label.clone();
        }

        let mut files = config.data.train.to_vec();
        // They get what was made of the training labels.
        options.label_rules = LabelRules { skip_empty: options.label_rules.skip_empty, ..LabelRules::default() };
        let mut load = |path: &Path| load_other(path, &set, &options, config, &mut files, &mut said);
        let (test, seen_test) = config.data.test.as_deref().map(&mut load).transpose()?.unzip();
        let (valid, seen_valid) = config.data.valid.as_deref().map(&mut load).transpose()?.unzip();
        said.warn_of_shared(valid.as_deref(), test.as_deref(), &config.data);
        let seen = SeenRows { valid: seen_valid.flatten(), test: seen_test.flatten() };
        let LabelledSet { examples, columns, labels, resolution, summary: training, .. } = set;
        let sources = Sources { files, options };
        let groups = config.data.group.as_deref().map(|column| groups(column, &examples, &sources, &mut said));
        let groups = groups.transpose()?;
        let (train, valid) = match (valid, config.data.folds) {
            (Some(valid), _) => (examples, Some(valid)),
            (None, Some(folds)) => {
                said.note("validation", format!("every row in one of {folds} folds"));
                (examples, None)
            }
            (None, None) => {
                let set = RowsToDivide { examples: &examples, groups: groups.as_deref(), labels: &labels };
                let (train, valid) = hold_out(set, &training, config, choices, console)?;
                let held_out = format!("{} of the training rows held out", valid.len());
                said.note("validation", held_out);
                (train, Some(valid))
            }
        };
        if train.is_empty() || valid.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::request("there are too few rows to hold any out for validation")
                .file(columns.file())
                .hint("give more rows, or a validation file with --valid"));
        }
        said.warn_of_unseen(&config.training.keep_best, &names, valid.as_deref());
        let Said { summary, warnings, .. } = said;
        Ok(Self {
            train,
            valid,
            groups,
            test,
            sources,
            labels,
            names,
            class_weights,
            resolution,
            training,
            summary,
            warnings,
            seen,
        })
    }
}

/// The rows as those of one label each. Where some have none, which ends the reading, they are looked at without these:
/// rows of several labels may have none.
fn load_or_look_closer(files: &[PathBuf], options: &ReadOptions) -> Result<LabelledSet> {
    let loaded = load_labelled(files, options, None);
    let Err(error) = loaded else { return loaded };
    let label_rules = LabelRules { skip_empty: true, ..options.label_rules.clone() };
    match load_labelled(files, &ReadOptions { label_rules, ..options.clone() }, None) {
        Ok(set) if set.summary.findings.other_task.as_ref().is_some_and(OtherTask::is_of_several_labels) => Ok(set),
        _ => Err(error),
    }
}

/// The task of a run that these settings describe: as given, else as the labels of the training rows say.
///
/// # Errors
/// The rows cannot be read.
pub fn task_of(config: &RunConfig, modality: Modality) -> Result<Task> {
    let mut config = config.clone();
    if config.data.task.is_none() {
        let data = &config.data;
        let mut options = read_options(data.text.as_ref(), data.label.as_deref(), FileForm::of_run(data));
        options.modality = modality;
        options.label_rules.skip_empty = true;
        load_training_rows(&mut config, &mut options, &mut Choices::default())?;
    }
    Ok(config.data.task.unwrap_or(Task::SingleLabel))
}

/// The rows to train on, as the task reads their labels: the task that is given, otherwise what the labels plainly are.
/// That is then the run's choice.
fn load_training_rows(config: &mut RunConfig, options: &mut ReadOptions, choices: &mut Choices) -> Result<LabelledSet> {
    let files = config.data.train.to_vec();
    let mut found = None;
    if config.data.task.is_none() {
        let reason = match &config.data.label_separator {
            Some(_) => Some("--label-separator is given".to_owned()),
            None => lists_of_labels(&files, options)?,
        };
        let reason = match reason {
            Some(reason) => reason,
            None => {
                let set = load_or_look_closer(&files, options)?;
                match &set.summary.findings.other_task {
                    Some(other) if other.is_of_several_labels() => {
                        found.clone_from(&other.separator);
                        other.what.clone()
                    }
                    _ => return Ok(set),
                }
            }
        };
        choices.record("task", Task::MultiLabel, reason);
        config.data.task = Some(Task::MultiLabel);
    }
    options.numbers = config.data.task == Some(Task::Regression);
    if config.data.task == Some(Task::MultiLabel) {
        let separator = &mut config.data.label_separator;
        if separator.is_none() {
            let separator = separator.insert(found.unwrap_or_else(|| USUAL_SEPARATOR.to_owned()));
            choices.record(
                "label_separator",
                &*separator,
                "what is between the labels of a row, where they are joined",
            );
        }
        options.label_separator.clone_from(separator);
    }
    load_labelled(&files, options, None)
}

/// The examples of another split, read as the training `set` was, and those of them that also stand in it. The file is
/// put to `files`.
fn load_other(
    path: &Path,
    set: &LabelledSet,
    options: &ReadOptions,
    config: &RunConfig,
    files: &mut Vec<PathBuf>,
    said: &mut Said,
) -> Result<(Vec<Example>, Option<Seen>)> {
    let known = KnownLabels { labels: &set.labels, resolution: &set.resolution };
    let columns = !path.is_dir();
    let text = options.text.clone().filter(|_| columns);
    let label = options.label.clone().filter(|_| columns);
    let other = load_labelled(&[path], &ReadOptions { text, label, ..options.clone() }, Some(known))?;
    other.reading_warnings.iter().for_each(|warning| said.warn(warning.clone()));
    said.note(path.display(), &other.summary);
    other.notes.iter().for_each(|note| said.console.note(format!("{}: {note}", path.display())));
    other.warnings.iter().for_each(|text| said.warn(format!("{}: {text}", path.display())));
    // Images are compared by what they show, once they are read.
    let is_text = options.modality == Modality::Text;
    let seen = is_text.then(|| shared_rows(set, &other, path, config)).flatten();
    seen.iter().for_each(|seen| said.warn(seen.warning.clone()));
    // Examples of all files are numbered together.
    let before = files.len() as u32;
    files.push(path.to_owned());
    let numbered = |example: Example| Example { file: example.file + before, ..example };
    Ok((other.examples.into_iter().map(numbered).collect(), seen))
}

/// What is compared of examples.
fn rows_of(examples: &[Example]) -> impl Iterator<Item = (&Input, &Truth)> {
    examples.iter().map(|example| (&example.input, &example.truth))
}

/// What to say of the rows of a file that also stand in the training data; nothing where there are none.
fn shared_rows(training: &LabelledSet, other: &LabelledSet, file: &Path, config: &RunConfig) -> Option<Seen> {
    let shared = overlap(rows_of(&training.examples), rows_of(&other.examples));
    let row_of = |set: &LabelledSet, row: usize| {
        set.examples.get(row).map_or(String::new(), |example| set.summary.row_name(example))
    };
    let (file, train) = (file.display(), &config.data.train);
    let also = |rows: u64| {
        format!("{} of {file} also {} in {train}", counted(rows, "row"), if rows == 1 { "appears" } else { "appear" })
    };
    let them = if shared.agreeing() == 1 { "it" } else { "them" };
    let name = |row, first| format!("{} against {} there", row_of(other, row), row_of(training, first));
    let warning = shared.in_words(also, &format!("scores on {them} are too optimistic"), name)?;
    Some(Seen { rows: shared.rows, warning })
}

/// The score that chooses the epoch is one of the task, and the label by whose F1 it is chosen one of the data.
fn check_keep_best(score: &KeepBest, task: Task, names: &Labels) -> Result<()> {
    match score {
        KeepBest::Spearman if task != Task::Regression => {
            Err(Error::request("`spearman` is a score of numbers, and this task has labels")
                .key("keep_best")
                .hint("latest, macro_f1, micro_f1, accuracy, loss, mcc and f1:LABEL are scores of labels"))
        }
        KeepBest::F1(label) if names.index_of(label).is_none() => Err(Error::request(names.unknown(label))
            .key("keep_best")
            .hint(format!("the labels are {}", names.listed()))),
        _ => Ok(()),
    }
}

/// The group of each of the training examples, by the column that names it. Rows with an empty cell are in none.
fn groups(column: &str, examples: &[Example], sources: &Sources, said: &mut Said) -> Result<Vec<Option<u32>>> {
    let (places, texts): (Vec<Place>, Vec<String>) =
        examples.iter().map(|example| (example.place(), example.input.to_string())).unzip();
    let origins = sources.origins(&places, &texts)?;
    let Some(at) = origins.columns.iter().position(|name| name == column) else {
        let near = nearest(column, origins.columns.iter().map(String::as_str));
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        return Err(Error::request(format!("no column `{column}` beside the label{near}"))
            .key("group")
            .hint(format!("the columns are {}", listed(&origins.columns))));
    };
    let mut number_of: HashMap<&str, u32> = HashMap::new();
    let mut alone = 0;
    let mut groups = Vec::with_capacity(examples.len());
    for row in &origins.values {
        let next = number_of.len() as u32;
        groups.push(match row.get(at).map(|cell| cell.trim()) {
            Some(cell) if !cell.is_empty() => Some(*number_of.entry(cell).or_insert(next)),
            _ => {
                alone += 1;
                None
            }
        });
    }
    let empty = match alone {
        0 => String::new(),
        _ => format!("; {} without a value, each for itself", counted(alone, "row")),
    };
    let count = counted(number_of.len() as u64, "group");
    said.note("groups", format!("{count} in the column `{column}`, which stay together{empty}"));
    Ok(groups)
}

/// Rows that are to be divided into those to train on and those held out.
#[derive(Clone, Copy)]
struct RowsToDivide<'a> {
    examples: &'a [Example],
    groups: Option<&'a [Option<u32>]>,
    labels: &'a Labels,
}

/// Splits the training examples where no validation data are given: those to train on, and those held out.
fn hold_out(
    rows: RowsToDivide,
    training: &Summary,
    config: &mut RunConfig,
    choices: &mut Choices,
    console: &Console,
) -> Result<(Vec<Example>, Vec<Example>)> {
    let RowsToDivide { examples, groups, labels } = rows;
    let fraction = config.data.valid_fraction.unwrap_or_else(|| {
        choices.record("valid_fraction", 0.1, "no --valid file was given");
        0.1
    });
    config.data.valid_fraction = Some(fraction);
    let seed = config.data.split_seed.unwrap_or(config.training.seed);
    let has_several = training.several.is_some();
    let split = match groups {
        groups if training.numbers.is_some() => stratified_by_number(examples, groups, fraction, seed),
        groups if has_several => stratified_by_several(examples, groups, fraction, seed),
        Some(groups) => stratified_by_group(examples, groups, fraction, seed),
        None => stratified(examples, fraction, seed),
    };
    let split =
        split.map_err(|error| error.key("valid-fraction").hint("add data, or pass a validation file with --valid"))?;
    // Those of a single row are named with the other findings about the labels.
    let is_single = |class: u32| training.findings.single.iter().any(|name| name == labels.name(class));
    for class in split.unvalidated.iter().filter(|class| !is_single(class.label)) {
        let name = labels.name(class.label);
        let why = match class.texts {
            _ if groups.is_some() => "rows of one group stay together, and it is in few groups".to_owned(),
            1 => "all its rows have the same text".to_owned(),
            texts if has_several => format!("its {texts} different texts are too few for that"),
            texts => format!(
                "of its {texts} different texts {} also {} rows with another label, and rows of one text stay together",
                class.contested,
                if class.contested == 1 { "has" } else { "have" }
            ),
        };
        console.warn(format!("no validation row for `{name}`: {why}"));
    }
    let warning = match groups {
        Some(_) => other_share_held_out(&split, fraction),
        None => much_held_out(&split, fraction, labels),
    };
    if let Some(warning) = warning {
        console.warn(warning);
    }
    let pick = |indices: &[usize]| indices.iter().filter_map(|&index| examples.get(index).cloned()).collect::<Vec<_>>();
    Ok((pick(&split.train), pick(&split.valid)))
}

/// What to say where groups make the share that is held out quite another than asked for.
fn other_share_held_out(split: &Split, fraction: f64) -> Option<String> {
    let rows = split.valid.len() + split.train.len();
    let wanted = (rows as f64 * fraction).round();
    let is_another = (split.valid.len() as f64 - wanted).abs() > (0.3 * wanted).max(4.0);
    is_another.then(|| {
        format!(
            "{} of {rows} rows are held out for validation, where {wanted} were asked for: rows of one group stay \
             together",
            split.valid.len()
        )
    })
}

/// What to say where many more rows are held out than asked for.
fn much_held_out(split: &Split, fraction: f64, labels: &Labels) -> Option<String> {
    let rows = split.valid.len() + split.train.len();
    let wanted = (rows as f64 * fraction).round() as usize;
    let much = split.valid.len() * 2 > wanted * 3 && split.valid.len() > wanted + 4;
    (much && !split.repeated.is_empty()).then(|| {
        const SHOWN: usize = 5;
        let names = listed(split.repeated.iter().take(SHOWN).map(|&class| labels.name(class)));
        let more =
            split.repeated.len().checked_sub(SHOWN + 1).map_or(String::new(), |more| format!(" and {} more", more + 1));
        format!(
            "{} of {rows} rows are held out for validation, where {wanted} were asked for: in {names}{more} every text \
             is repeated in many rows, and rows of one text stay together; keep one row of each text, or give a \
             validation file with --valid",
            split.valid.len(),
        )
    })
}

/// Says what looks wrong about the training data.
///
/// # Errors
/// The labels are hardly classes, and nobody asked for them as such.
fn say_what_is_odd(set: &LabelledSet, config: &RunConfig, said: &mut Said) -> Result<()> {
    let findings = &set.summary.findings;
    match &findings.other_task {
        Some(other) if other.sure && config.data.task.is_none() => {
            return Err(set.columns.at_label_column(other.refusal()));
        }
        _ => {}
    }
    set.warnings.iter().for_each(|text| said.warn(text.clone()));
    // The report has these among what is to be done.
    findings.sentences().iter().for_each(|text| said.console.warn(text));
    Ok(())
}
