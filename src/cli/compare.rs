//! `rehead compare`: its flags and its help, and the runs that they describe.

use clap::Args;

use super::settings::{Selection, SettingFlags};
use super::shared::RunArgs;
use crate::config::accepts::{SEED, Whole};
use crate::config::setting::Setting;
use crate::config::{self, RunConfig, Strategy};
use crate::error::{Error, Result};

const COMPARE_EXAMPLES: &str = "\
Each strategy is trained once per seed, every run in its own directory below --out. With --folds K and no test file
every training row is predicted by a model that has not seen it, in the same folds for all strategies; no model is left
then, and `rehead train --resume` trains that of a run. With --test beside it the test rows are compared.

Examples:
  rehead compare --train reviews.csv --model bert-base-uncased --out runs/comparison
  rehead compare --train few.csv --model bert-base-uncased --folds 5 --seeds 1 --out runs/out-of-fold
  rehead compare --config configs/reviews-full.toml --strategies frozen,full --seeds 5 --out runs/frozen-or-full";

/// The flags of `rehead compare`.
#[derive(Debug, Args)]
#[command(override_usage = "rehead compare --train FILE|DIR --model ID|DIR --out DIR [OPTIONS]")]
#[command(after_help = COMPARE_EXAMPLES)]
pub struct CompareArgs {
    /// The settings that all runs share.
    #[command(flatten)]
    pub settings: SettingFlags<AllButStrategy>,

    /// Configuration file, `--set` and what is printed.
    #[command(flatten)]
    pub run: RunArgs,

    /// The strategies to compare, separated by commas
    #[arg(
        long,
        value_name = "STRATEGY,...",
        value_delimiter = ',',
        default_value = "frozen,full",
        help_heading = "Training",
        display_order = 0
    )]
    pub strategies: Vec<Strategy>,

    /// Runs of each strategy; run k uses the random seed --seed + k
    #[arg(
        long,
        value_name = "K",
        default_value = "3",
        value_parser = Whole { min: 1, max: 1000 }.parser::<usize>(),
        allow_negative_numbers = true,
        help_heading = "Training",
        display_order = 0
    )]
    pub seeds: usize,

    /// Print what every run says of itself, not only a line for each
    #[arg(long, short, help_heading = "Output", display_order = 0, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// A flag for every setting but the strategy, of which a comparison has several.
#[derive(Debug, Clone)]
pub struct AllButStrategy;

impl Selection for AllButStrategy {
    fn has(setting: &Setting) -> bool {
        setting.path != "strategy.name"
    }
}

impl CompareArgs {
    /// The checked settings that all runs of the comparison share; its `run.out` is the comparison's directory.
    pub fn resolve(&self) -> Result<RunConfig> {
        for (index, strategy) in self.strategies.iter().enumerate() {
            if self.strategies.iter().take(index).any(|earlier| earlier == strategy) {
                return Err(Error::request(format!("--strategies names `{strategy}` twice"))
                    .hint("name each once; --seeds K repeats it"));
            }
        }
        let mut shared = config::resolve(&self.run.request(&self.settings.given, false))?.with_files()?;
        // Many reports, of which few are read.
        shared.run.explain_mistakes.get_or_insert(0);
        Ok(shared)
    }

    /// What to say about given settings that change nothing in any of the runs.
    pub fn without_effect(&self) -> Option<String> {
        config::without_effect(&config::given(&self.run.request(&self.settings.given, false)), &self.strategies)
    }

    /// The settings of every run, seed by seed and strategy by strategy, each with a directory of its own below the
    /// comparison's, such as `last-2/seed-42`. All hold out the same rows for validation.
    pub fn runs(&self, shared: &RunConfig) -> Vec<RunConfig> {
        let run = |strategy: Strategy, k: u64| {
            let mut run = shared.clone();
            run.strategy.name = strategy;
            run.data.split_seed.get_or_insert(shared.training.seed);
            // Seeds wrap around at the largest, so that they stay what TOML can hold.
            run.training.seed = shared.training.seed.wrapping_add(k) & SEED.max;
            run.run.out =
                shared.run.out.join(strategy.to_string().replace(':', "-")).join(format!("seed-{}", run.training.seed));
            run
        };
        (0..self.seeds as u64).flat_map(|k| self.strategies.iter().map(move |strategy| run(*strategy, k))).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Command;
    use crate::cli::tests::parse;

    #[test]
    fn a_comparison_is_a_run_for_each_strategy_and_seed() {
        let line = "rehead compare --train a --model m --out o --strategies frozen,last:2 --seeds 2 \
                    --seed 9223372036854775807";
        let Command::Compare(args) = parse(line).unwrap() else { panic!() };
        let runs = args.runs(&args.resolve().unwrap());
        let shown: Vec<_> = runs.iter().map(|run| format!("{} {}", run.strategy.name, run.run.out.display())).collect();
        assert_eq!(
            shown,
            [
                "frozen o/frozen/seed-9223372036854775807",
                "last:2 o/last-2/seed-9223372036854775807",
                "frozen o/frozen/seed-0",
                "last:2 o/last-2/seed-0"
            ]
        );
        let Command::Compare(twice) = parse("rehead compare --strategies full,full").unwrap() else { panic!() };
        assert!(twice.resolve().is_err());
    }
}
