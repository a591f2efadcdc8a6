//! `rehead train`: its flags and its help.

use clap::Args;

use super::settings::{Selection, SettingFlags};
use super::shared::RunArgs;
use crate::config::setting::Setting;
use crate::config::{self, RunConfig};
use crate::error::Result;

const TRAIN_EXAMPLES: &str = "\
Settings come from the defaults, then --config, then --set, then the flags; the later wins. \
They are saved, with the reasons for what was chosen automatically, as rehead.toml in the run directory.

Examples:
  Fine-tune everything, holding out a tenth of the rows for validation:
    rehead train --train reviews.csv --valid-fraction 0.1 --model bert-base-uncased --out runs/a
  Train the head alone, the columns named:
    rehead train --train reviews.csv --text title,body --label stars --strategy frozen \\
                 --model .models/all-MiniLM-L6-v2 --out runs/frozen
  A run described by a file, with another learning rate:
    rehead train --config configs/reviews-full.toml --lr 1e-5 --out runs/slower
  Continue after an interruption:
    rehead train --resume --out runs/reviews";

/// The flags of `rehead train`.
#[derive(Debug, Args)]
#[command(override_usage = "rehead train --train FILE|DIR --model ID|DIR --out RUN [OPTIONS]")]
#[command(after_help = TRAIN_EXAMPLES)]
pub struct TrainArgs {
    /// The settings that stand above `--set` and the configuration file.
    #[command(flatten)]
    pub settings: SettingFlags<All>,

    /// Configuration file, `--set` and what is printed.
    #[command(flatten)]
    pub run: RunArgs,

    /// Continue the interrupted run in --out, with its saved settings
    #[arg(long, help_heading = "Output")]
    pub resume: bool,

    /// Print where the training time goes (slower on a GPU, which then waits for every operation)
    #[arg(long, help_heading = "Output")]
    pub profile: bool,
}

/// A flag for every setting.
#[derive(Debug, Clone)]
pub struct All;

impl Selection for All {
    fn has(_: &Setting) -> bool {
        true
    }
}

impl TrainArgs {
    /// The checked settings of the run.
    pub fn resolve(&self) -> Result<RunConfig> {
        config::resolve(&self.run.request(&self.settings.given, self.resume))?.with_files()
    }

    /// What to say about given settings that change nothing in the run.
    pub fn without_effect(&self, config: &RunConfig) -> Option<String> {
        let given = config::given(&self.run.request(&self.settings.given, self.resume));
        config::without_effect(&given, &[config.strategy.name])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::cli::Command;
    use crate::cli::tests::{help, parse};
    use crate::config::accepts::Accepts;
    use crate::config::settings::SETTINGS;
    use crate::config::{Choices, Device, Patience, RunConfig, Strategy};

    fn resolved(line: &str) -> RunConfig {
        let Command::Train(args) = parse(line).unwrap() else { panic!() };
        args.resolve().unwrap()
    }

    #[test]
    fn flags_become_settings() {
        let line = "rehead train --train a.csv --model m --out o --valid-fraction 0.1 --image t,u --strategy last:2 \
                    --lr 1e-4 --batch-size 16 --max-length 64 --device cuda:1 --precision bf16 --seed 7 \
                    --set patience=2 --delimiter ; --quiet";
        let config = resolved(line);
        assert_eq!(config.data.train, Path::new("a.csv").into());
        assert_eq!(config.data.text.unwrap().to_vec(), ["t,u"]);
        assert_eq!(config.data.delimiter.unwrap().byte(), b';');
        assert_eq!(config.strategy.name, Strategy::Last(2));
        assert_eq!(config.run.device, Device::Cuda(1));
        assert_eq!((config.training.seed, config.training.patience), (7, Patience::Epochs(2)));
    }

    /// A value other than the default for every setting, as its flag and as its key.
    #[test]
    fn every_setting_is_set_by_its_flag_and_by_its_key() {
        let given = |path: &str| match path {
            "data.task" => "regression",
            "data.delimiter" => "tab",
            "data.quote" => "none",
            "data.no_header" | "data.merge_labels" | "training.refit" | "training.thresholds_per_label" => "true",
            "data.encoding" => "utf-8",
            "data.on_bad_input" | "data.on_empty_label" => "skip",
            "model.init" | "strategy.head_init" => "random",
            "model.pooling" => "cls",
            "model.pooler_init" => "identity",
            "training.calibrate" => "off",
            "model.engine" => "packed",
            "strategy.name" => "bitfit",
            "training.class_weights" => "balanced",
            "training.keep_best" => "mcc",
            "training.label_thresholds" => "0.25",
            "training.patience" => "off",
            "training.loss" => "focal",
            "training.augment" => "light",
            "training.schedule" => "cosine",
            "run.device" => "cpu",
            "run.precision" => "fp32",
            "run.cache" => "off",
            "data.max_length" | "data.image_size" => "64",
            "data.long_text" => "windows",
            "data.window_pooling" => "max",
            "data.valid_fraction" | "model.dropout" | "training.label_smoothing" | "training.layer_decay" => "0.25",
            "training.warmup_ratio" | "training.lr" | "training.head_lr" | "training.target_accuracy" => "0.25",
            _ => "3",
        };
        let quoted = |text: &str| text.parse::<f64>().map_or(format!("\"{text}\""), |_| text.to_owned());
        for setting in SETTINGS {
            let value = given(setting.path);
            let flag = match setting.accepts {
                Accepts::YesNo => setting.flag().to_owned(),
                _ => format!("{} {value}", setting.flag()),
            };
            let mut line = format!("rehead train {flag}");
            for (flag, other) in [("--train", "t"), ("--model", "m"), ("--out", "o")] {
                if setting.flag() != flag {
                    line.push_str(&format!(" {flag} {other}"));
                }
            }
            let text = resolved(&line).to_toml(&Choices::default()).unwrap();
            let entries = [
                value.to_owned(),
                quoted(value),
                format!("{value}.0"),
                format!("[\"{value}\"]"),
                format!("\"{value}\""),
            ];
            let is_set = entries.iter().any(|entry| text.contains(&format!("\n{} = {entry}\n", setting.name())));
            assert!(is_set, "{line}\n{text}");
            let line = line.replace(&flag, &format!("--set {}={value}", setting.path));
            assert_eq!(resolved(&line).to_toml(&Choices::default()).unwrap(), text, "{line}");
        }
    }

    #[test]
    fn help_shows_the_defaults() {
        let help = help("train").split_whitespace().collect::<Vec<_>>().join(" ");
        for setting in SETTINGS {
            let value = if matches!(setting.accepts, Accepts::YesNo) { "" } else { "<" };
            let (_, after) = help.split_once(&format!("{} {value}", setting.flag())).unwrap();
            if let Some(default) = setting.default_text() {
                let (_, shown) = after.split_once("[default: ").unwrap();
                assert!(shown.starts_with(&format!("{default}]")), "{}: {shown}", setting.path);
            }
        }
    }
}
