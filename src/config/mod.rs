//! The configuration of a training run: every setting as a checked, typed value.
//!
//! [`settings`] is the one table of settings. [`resolve()`] lays defaults, file, `--set` and flags over one another
//! into a [`RunConfig`] and answers with all problems at once; [`Choices`] keeps what the program decided by itself,
//! with reasons. A `RunConfig` says what was asked for: apart from [`RunConfig::check_paths`], nothing here touches
//! more than the configuration file.
//!
//! ```text
//! settings (the table) → read (defaults, file, --set), flags → layer → resolve → RunConfig → saved (rehead.toml)
//! ```

pub mod accepts;
mod choices;
mod class_weights;
mod effect;
mod forms;
mod keep_best;
mod label_thresholds;
mod layer;
mod lists;
mod loss;
mod not_begun;
mod patience;
mod problems;
mod read;
mod regression;
mod resolve;
mod run;
mod saved;
pub mod setting;
pub mod settings;
mod unknown;
mod values;

pub use choices::{Choice, Choices};
pub use class_weights::ClassWeights;
pub use effect::without_effect;
pub use keep_best::KeepBest;
pub use label_thresholds::LabelThresholds;
pub use lists::{Columns, Paths};
pub use patience::Patience;
pub use resolve::{Flags, Request, given, load, resolve};
pub use run::{DataConfig, ExecutionConfig, ModelConfig, RunConfig, StrategyConfig, TrainingConfig};
pub use saved::{Difference, SAVED_SETTINGS, decisive_settings, differences, given_settings, saved_settings};
pub use values::{
    Augment, Delimiter, Device, Encoding, Engine, HeadInit, Init, LongText, LossFunction, OnBadInput, PoolerInit,
    Pooling, Precision, Quote, Schedule, Strategy, Switch, Task, WindowPooling,
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    pub(super) fn example() -> RunConfig {
        let mut flags = Flags::default();
        flags.give("data.train", "train.csv");
        flags.give("model.model", "some/model");
        flags.give("run.out", "out");
        resolve(&Request { flags, ..Request::default() }).unwrap()
    }

    fn everything_set() -> RunConfig {
        let mut config = example();
        config.data = DataConfig {
            train: Path::new("a \"quoted\" name.csv").into(),
            valid: Some("valid.csv".into()),
            valid_fraction: None,
            test: Some("test.csv".into()),
            folds: Some(5),
            group: Some("author".to_owned()),
            split_seed: Some(3),
            text: Some("title,body".parse().unwrap()),
            label: Some("label".into()),
            delimiter: Some("tab".parse().unwrap()),
            quote: Quote::None,
            no_header: true,
            encoding: Some("cp1252".parse().unwrap()),
            sheet: Some("Reviews".into()),
            on_empty_label: OnBadInput::Skip,
            label_map: Some("map.csv".into()),
            merge_labels: true,
            min_rows_per_label: Some(2),
            other: Some("other".into()),
            task: Some(Task::MultiLabel),
            label_separator: Some(";".into()),
            max_length: Some(128),
            long_text: Some(LongText::Windows),
            stride: Some(16),
            window_pooling: Some(WindowPooling::Max),
            image_size: Some(224),
            on_bad_input: OnBadInput::Skip,
        };
        config.model.stages = Some(4);
        config.model.dropout = Some(0.0);
        config.strategy.name = Strategy::Lora { rank: 4 };
        config.training = TrainingConfig {
            epochs: Some(3),
            lr: Some(2e-5),
            head_lr: Some(1e-3),
            batch_tokens: Some(4096),
            batch_size: None,
            micro_batch_tokens: Some(1024),
            patience: Patience::Epochs(2),
            loss: Some(LossFunction::Focal),
            label_thresholds: LabelThresholds::All(0.25),
            seed: i64::MAX as u64,
            ..config.training
        };
        config.run =
            ExecutionConfig { device: Device::Cuda(1), precision: Precision::Bf16, threads: Some(2), ..config.run };
        config.run.cache = Switch::Off;
        config.run.cache_memory = Some(512);
        config.run.cache_dir = Some("cache".into());
        config.run.explain_mistakes = Some(3);
        config.strategy.head_init = HeadInit::Probe;
        config.training.class_weights = ClassWeights::Balanced;
        config.training.focal_gamma = Some(1.0);
        config.training.target_accuracy = Some(0.9);
        config
    }

    fn read_back(text: &str) -> RunConfig {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(SAVED_SETTINGS);
        std::fs::write(&path, text).unwrap();
        load(&path).unwrap()
    }

    #[test]
    fn saved_settings_read_back_equal_with_reasons_beside_them() {
        let mut choices = Choices::default();
        choices.record("precision", "bf16", "this GPU multiplies bf16\nnatively");
        choices.record("labels", 4, "distinct values of column `label`");
        let config = everything_set();
        let text = config.to_toml(&choices).unwrap();
        assert!(text.contains("precision = \"bf16\"  # automatic: this GPU multiplies bf16 natively\n"), "{text}");
        assert!(text.contains("# labels = 4 (distinct values of column `label`)"), "{text}");
        assert!(text.contains("lr = 2e-5\n"), "{text}");
        assert_eq!(read_back(&text), config);
        assert_eq!(read_back(&example().to_toml(&choices).unwrap()), example());
    }

    #[test]
    fn the_list_of_keys_is_the_list_of_fields() {
        let mut config = everything_set();
        config.data.valid_fraction = Some(0.1);
        config.training.batch_size = Some(8);
        let table = toml::Table::try_from(&config).unwrap();
        let fields = table.iter().flat_map(|(section, values)| {
            values.as_table().unwrap().keys().map(move |name| format!("{section}.{name}")).collect::<Vec<_>>()
        });
        assert_eq!(
            fields.collect::<Vec<_>>(),
            settings::SETTINGS.iter().map(|setting| setting.path).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_resumed_run_differs_where_it_was_asked_to() {
        let saved = everything_set();
        let mut asked = saved.clone();
        asked.run.out = "elsewhere".into();
        asked.training.log_every = 1;
        asked.run.device = Device::Auto;
        asked.training.batch_tokens = None;
        assert_eq!(differences(&saved, &asked).unwrap(), []);
        asked.training.lr = Some(1e-4);
        asked.data.valid_fraction = Some(0.1);
        let shown: Vec<String> = differences(&saved, &asked).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["`data.valid_fraction` was unset, now 0.1", "`training.lr` was 2e-5, now 0.0001"]);
    }

    #[test]
    fn paths_are_looked_at_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = example();
        config.data.train = folder.path().join("absent.csv").as_path().into();
        config.run.out = folder.path().to_owned();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let message = config.check_paths(false).unwrap_err().to_string();
        assert!(message.contains("absent.csv") && message.contains("not empty"), "{message}");
        config.data.train = folder.path().join("file").as_path().into();
        assert!(config.check_paths(true).is_ok());
        config.run.out = folder.path().join("new");
        assert!(config.check_paths(false).is_ok());
        config.run.out = folder.path().join("file");
        assert!(config.check_paths(false).is_err());
    }

    #[test]
    fn the_example_configurations_are_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
        let mut count = 0;
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            load(&path).unwrap_or_else(|error| panic!("{error}"));
            count += 1;
        }
        assert!(count >= 3);
    }
}
