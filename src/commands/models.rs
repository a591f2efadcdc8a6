//! `rehead models`: what is in the model cache, and which of it can be used. Of a model its `config.json` is read, and
//! of its weights what they hold, not their values.

use std::time::SystemTime;

use serde::Serialize;
use tch::Device;

use super::output::{print, print_data};
use crate::cli::ModelsArgs;
use crate::console::{Column, Console, Table, units};
use crate::data::Modality;
use crate::error::{Result, shell_word};
use crate::hub::{CachedModel, cached_models};
use crate::model::checkpoint::Weights;
use crate::model::{self, NamedNetwork};
use crate::report::metrics::to_readable_json;
use crate::transform::has_tokenizer;

/// What is said of one version of a model.
#[derive(Serialize)]
struct Entry {
    /// What to give to `--model`.
    model: String,
    id: String,
    revisions: Vec<String>,
    commit: String,
    directory: String,
    bytes: u64,
    /// The day, as far as the file system notes it.
    last_used: Option<String>,
    /// Where it is one of those that rehead knows.
    family: Option<&'static str>,
    usable: bool,
    /// Why it is not, and what would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// With a commit shortened, for people.
    #[serde(skip)]
    shown: String,
    /// Whether it is usable, in a few words.
    #[serde(skip)]
    verdict: String,
}

/// Lists the cache.
///
/// # Errors
/// The cache cannot be read.
pub fn run(args: &ModelsArgs) -> Result<()> {
    let (cache, models) = cached_models()?;
    let entries: Vec<Entry> = models.iter().map(Entry::of).collect();
    if args.json {
        return print_data(&to_readable_json(&entries)?);
    }
    if entries.is_empty() {
        let empty = format!("{}: no model is there yet: `rehead fetch ID` downloads one", cache.display());
        Console::new(false).note(empty);
        return Ok(());
    }
    let mut table = Table::new([
        Column::left("model").at_most(34),
        Column::right("size"),
        Column::left("last used"),
        Column::left("usable").at_most(22),
    ]);
    for entry in &entries {
        let day = entry.last_used.clone().unwrap_or_default();
        table.row([entry.shown.clone(), units::bytes(entry.bytes), day, entry.verdict.clone()]);
    }
    let usable = entries.iter().filter(|entry| entry.usable).count();
    let mut text = format!("{table}\n\n{usable} of {} usable, in {}", entries.len(), cache.display());
    for entry in &entries {
        if let Some(problem) = &entry.problem {
            text.push_str(&format!("\n{}: {problem}", entry.shown));
        }
    }
    print(&text)
}

impl Entry {
    fn of(cached: &CachedModel) -> Self {
        let mut entry = Self {
            model: cached.name(),
            id: cached.id.clone(),
            revisions: cached.revisions.clone(),
            commit: cached.commit.clone(),
            directory: cached.directory.display().to_string(),
            bytes: cached.bytes,
            last_used: cached.last_used.map(day),
            family: None,
            usable: false,
            problem: None,
            shown: match cached.revisions.is_empty() {
                true => format!("{}@{}", cached.id, cached.commit.chars().take(8).collect::<String>()),
                false => cached.name(),
            },
            verdict: String::new(),
        };
        let config = cached.directory.join("config.json");
        if !config.exists() {
            entry.refuse("no config.json", format!("it has no config.json: `{}` fetches it", fetch(cached)));
            return entry;
        }
        match model::named_network(&config) {
            Ok(NamedNetwork { name: Some(name), family: None }) => {
                entry.refuse(&format!("family {name}"), format!("its family `{name}` is not supported"));
            }
            Ok(NamedNetwork { family, .. }) => {
                entry.family = family.map(|(family, _)| family);
                entry.judge_files(cached, family.map(|(_, modality)| modality));
            }
            Err(error) => entry.refuse("config.json", error.to_string()),
        }
        entry
    }

    fn judge_files(&mut self, cached: &CachedModel, modality: Option<Modality>) {
        match &cached.missing {
            Some(_) if cached.has_pickles => self.refuse(
                "PyTorch files only",
                format!(
                    "its weights are PyTorch files: `rehead convert {}` converts them, `{}` looks for the hub's own \
                     conversion",
                    shell_word(&cached.directory.display().to_string()),
                    fetch(cached)
                ),
            ),
            Some(missing) if missing == "model.safetensors" && !cached.is_interrupted => {
                self.refuse("no weights", format!("it has no weights: `{}` fetches them", fetch(cached)));
            }
            Some(missing) => {
                self.refuse("incomplete", format!("it lacks {missing}: `{}` continues the download", fetch(cached)));
            }
            None if modality == Some(Modality::Text) && !has_tokenizer(&cached.directory) => {
                self.refuse("no tokenizer", format!("it has no tokenizer: `{}` fetches it", fetch(cached)));
            }
            None => {
                // What they hold stands at their beginning, so this is quick.
                if let Err(error) = Weights::open(&cached.directory, Device::Cpu) {
                    let again = format!("{error}: delete the file, and `{}` fetches it again", fetch(cached));
                    return self.refuse("damaged weights", again);
                }
                self.usable = true;
                self.verdict = self.family.map_or_else(|| "yes".to_owned(), |family| format!("yes: {family}"));
            }
        }
    }

    fn refuse(&mut self, verdict: &str, problem: String) {
        self.verdict = format!("no: {verdict}");
        self.problem = Some(problem);
    }
}

fn fetch(cached: &CachedModel) -> String {
    match cached.revisions.is_empty() {
        true => format!("rehead fetch {}", cached.id),
        false => format!("rehead fetch {}", cached.name()),
    }
}

/// `2026-11-27`.
fn day(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let (year, month, day) = units::calendar_day(seconds);
    format!("{year}-{month:02}-{day:02}")
}
