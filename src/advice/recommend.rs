//! From the measurements to advice: a new head alone, on which stage, or everything trained.
//!
//! Two rules, both checked on real runs in docs/advice.md. A head goes on the stage whose probe is best; this
//! rule has no constants fitted to the runs. How much training everything would gain follows from the number of
//! labelled rows per class: below and above a threshold, the expected change is the mean change in error of the runs
//! there, and its range follows from their standard deviation. Training everything is advised where that gain is worth
//! its time. What is said in words is said here once, from the numbers that decided.

use std::fmt;

use serde::Serialize;

use super::measure::{Measurements, StageScores};
use super::probe::LearningCurve;
use crate::console::units;
use crate::data::Modality;
use crate::error::{Error, Result};

/// What real runs have shown.
struct Evidence {
    /// Labelled rows per class from which training everything did better.
    many: f64,
    /// ln(error of full / error of a head on the best stage) with fewer and with more: mean and standard deviation.
    with_few: (f64, f64),
    with_many: (f64, f64),
    /// How many times as long training everything took as a head on frozen features: the median.
    times_as_long: f64,
}

/// Those of `benches/advice_study`.
const TEXTS: Evidence =
    Evidence { many: 30.0, with_few: (0.143, 0.102), with_many: (-0.132, 0.266), times_as_long: 17.0 };
/// Those of `benches/advice_images`, where everything was better from the smallest number on; below it, as for texts.
const IMAGES: Evidence =
    Evidence { many: 10.0, with_few: TEXTS.with_few, with_many: (-0.381, 0.53), times_as_long: 23.0 };
/// Points of accuracy that training everything must be expected to gain to be worth its time.
const WORTH: f64 = 1.0;
/// What choosing the stage by its probe gained over the last stage in the runs on texts, in points.
const GAIN_OF_STAGE: f64 = 2.6;
/// The 90 % range of a normal distribution, in standard deviations.
const RANGE: f64 = 1.645;
/// The share of the rows that `train` trains on; the others choose the penalty or the epoch.
const TRAINED: f64 = 0.9;

/// What to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecommendedStrategy {
    /// A new head on features of one stage.
    Frozen,
    /// The whole network.
    Full,
}

/// How many labelled rows there are, for the purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Fewer rows per class than those from which training everything did better.
    Little,
    /// At least so many.
    Much,
}

/// How near the task is to what the network has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// The last stage serves a head as well as any earlier one, and much better than guessing.
    Near,
    /// An earlier stage serves a head clearly better, or none does better than guessing.
    Far,
}

/// Points of accuracy that training everything is expected to add to a head on frozen features.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gain {
    /// Expected; below 0 where training everything does worse.
    pub points: f64,
    /// Nine of ten cases lie between this and `high`.
    pub low: f64,
    /// The upper end of that range.
    pub high: f64,
}

/// What `rehead advise` recommends, with the numbers that it follows from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Everything where that is expected to gain at least `worth_points`, else a head.
    pub strategy: RecommendedStrategy,
    /// The stage whose features serve a head best.
    pub stage: String,
    /// How many stages that leaves: what `rehead train --stages` takes.
    pub stages: usize,
    /// Whether that is the last stage, where heads usually go.
    pub last_stage: bool,
    /// The accuracy to expect of a head on it, trained with all rows.
    pub frozen_accuracy: f64,
    /// Of training everything, whatever is recommended.
    pub gain: Gain,
    /// The expected gain from which training everything is advised.
    pub worth_points: f64,
    /// How many times as long training everything takes as a head, by the median of the runs.
    pub times_as_long: f64,
    /// All labelled rows, divided by the classes that occur among the measured ones.
    pub rows_per_class: f64,
    /// Labelled rows per class from which training everything did better in the runs.
    pub many_rows_per_class: f64,
    /// Whether there are so many.
    pub size: Size,
    /// By the probes of the best and the last stage.
    pub similarity: Similarity,
    /// In words, for people who are new to this.
    pub reasons: Vec<String>,
}

/// Advice for training with `rows` labelled rows, of which all or some were measured. An image network is not cut: only
/// its last stage is advised.
///
/// # Errors
/// Measurements of no stage.
pub fn recommend(measured: &Measurements, rows: usize, modality: Modality) -> Result<Advice> {
    let (evidence, divisible) = match modality {
        Modality::Text => (&TEXTS, true),
        Modality::Image => (&IMAGES, false),
    };
    let last = measured.stages.last().ok_or_else(|| Error::failure("the network has no stages"))?;
    let best = best_stage(&measured.stages).filter(|_| divisible).unwrap_or(last);
    let classes = measured.class_rows.iter().filter(|&&count| count > 0).count().max(1);
    let rows_per_class = rows as f64 / classes as f64;
    let error = expected_error(measured, best, rows);
    let (size, (ratio, scatter)) = if rows_per_class >= evidence.many {
        (Size::Much, evidence.with_many)
    } else {
        (Size::Little, evidence.with_few)
    };
    let points = |ratio: f64| 100.0 * error * (1.0 - ratio.exp());
    let gain =
        Gain { points: points(ratio), low: points(ratio + RANGE * scatter), high: points(ratio - RANGE * scatter) };
    let strategy = if gain.points >= WORTH { RecommendedStrategy::Full } else { RecommendedStrategy::Frozen };

    let guess = measured.class_rows.iter().max().copied().unwrap_or(0) as f64
        / measured.class_rows.iter().sum::<usize>().max(1) as f64;
    let is_clearly_better = |stage: &StageScores| stage.probe.interval().low > last.probe.accuracy();
    let leading = best_stage(&measured.stages).unwrap_or(last);
    let beaten = leading.name != last.name && is_clearly_better(leading);
    let guessing = best.probe.interval().low <= guess;
    let mut advice = Advice {
        strategy,
        stage: best.name.clone(),
        stages: measured.stages.iter().position(|stage| std::ptr::eq(stage, best)).map_or(0, |index| index + 1),
        last_stage: best.name == last.name,
        frozen_accuracy: 1.0 - error,
        gain,
        worth_points: WORTH,
        times_as_long: evidence.times_as_long,
        rows_per_class,
        many_rows_per_class: evidence.many,
        size,
        similarity: if beaten || guessing { Similarity::Far } else { Similarity::Near },
        reasons: Vec::new(),
    };
    let stage = match (guessing, leading.name == last.name) {
        (true, _) => hardly_separated(best, guess),
        (false, true) => format!("Of all stages a head does best on the last one, `{}`.", last.name),
        (false, false) => against_the_last(leading, last, beaten, divisible),
    };
    advice.reasons = vec![stage, head_alone(&advice, rows), everything(&advice)];
    Ok(advice)
}

/// The stage with the best probe; where several are equal, the last of them.
fn best_stage(stages: &[StageScores]) -> Option<&StageScores> {
    stages.iter().max_by(|a, b| a.probe.accuracy().total_cmp(&b.probe.accuracy()))
}

/// The error of a head on `stage` trained with the share of `rows` that `train` trains on: the probe's, less what the
/// learning curve promises for the rows that the probe did not have.
fn expected_error(measured: &Measurements, stage: &StageScores, rows: usize) -> f64 {
    let curve = LearningCurve::through(&measured.curve);
    let more = curve.accuracy(TRAINED * rows as f64) - curve.accuracy(stage.probe.train_rows);
    // No head is always correct; so few test rows could not show it.
    (1.0 - stage.probe.accuracy() - more.max(0.0)).max(0.002)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn hardly_separated(best: &StageScores, guess: f64) -> String {
    format!(
        "The pretrained features hardly separate the classes: a head on them is correct for {} of unseen rows, always \
         answering the most frequent label for {}.",
        percent(best.probe.accuracy()),
        percent(guess)
    )
}

/// How an earlier stage compares with the last one.
fn against_the_last(leading: &StageScores, last: &StageScores, clearly: bool, divisible: bool) -> String {
    let (ahead, behind) = (leading.probe.accuracy(), last.probe.accuracy());
    let chance = match (clearly, divisible) {
        (true, _) => ", more than chance explains".to_owned(),
        (false, true) => {
            format!("; this may be chance, but choosing by it gained {GAIN_OF_STAGE} points on average in our runs")
        }
        (false, false) => "; this may be chance".to_owned(),
    };
    let whole =
        if divisible { "" } else { " But a network for images is kept whole: its head goes on the last stage." };
    format!(
        "A head on the features after `{}` is correct for {} of unseen rows, on those of the last stage, `{}`, for {}: \
         {:.1} points better{chance}.{whole}",
        leading.name,
        percent(ahead),
        last.name,
        percent(behind),
        100.0 * (ahead - behind)
    )
}

fn head_alone(advice: &Advice, rows: usize) -> String {
    format!(
        "Trained with all {}, a head on {} should be correct for about {} of new rows.",
        units::counted(rows as u64, "row"),
        of_stage(advice),
        percent(advice.frozen_accuracy)
    )
}

/// Where the advised head goes.
fn of_stage(advice: &Advice) -> String {
    match advice.last_stage {
        true => format!("the last stage, `{}`,", advice.stage),
        false => format!("the features after `{}`", advice.stage),
    }
}

/// What training everything would gain, what it costs, and whether that is worth it.
fn everything(advice: &Advice) -> String {
    let Gain { points, low, high } = advice.gain;
    let rate = match advice.rows_per_class {
        few if few < 10.0 => format!("{few:.1}"),
        many => format!("{many:.0}"),
    };
    let many = advice.many_rows_per_class;
    let such = match advice.size {
        Size::Much => format!("{many:.0} or more labelled rows per class"),
        Size::Little => format!("fewer than {many:.0} labelled rows per class"),
    };
    let verdict = if advice.strategy == RecommendedStrategy::Full { "worth it" } else { "not worth it" };
    let otherwise = match advice.strategy {
        RecommendedStrategy::Full if low < 0.0 => Some("lose accuracy"),
        RecommendedStrategy::Frozen if high >= advice.worth_points => Some("be worth it"),
        _ => None,
    };
    let compare = otherwise.map_or_else(String::new, |otherwise| {
        format!(
            " By that range it may also {otherwise}: `rehead compare` trains both on your rows and shows which is \
             better."
        )
    });
    let [points, low, high] = [points, low, high].map(signed);
    format!(
        "Training everything instead of a head on {} should change accuracy by {points} points (90 % range {low} to \
         {high}) and takes about {:.0} times as long: {verdict}, by the rule that it should gain {:.0} point or more. \
         The range is that of our runs with {such}; you have {rate} per class on average.{compare}",
        of_stage(advice).trim_end_matches(','),
        advice.times_as_long,
        advice.worth_points
    )
}

/// `+0.5`, `-1.4`, `0.0`.
fn signed(points: f64) -> String {
    let text = format!("{points:+.1}");
    if matches!(text.as_str(), "+0.0" | "-0.0") { "0.0".to_owned() } else { text }
}

/// Where on the picture: rows of text, with the mark left out.
const PICTURE: [&str; 7] = [
    "close to what    head alone       |   fine-tune",
    "the network                       |",
    "was trained for                   |",
    "               -------------------+-------------------",
    "far from it      head on an       |   train everything",
    "                 earlier stage    |",
    "                  little to gain  |   much to gain",
];

impl Advice {
    /// The four cases of gain and similarity, with a mark at this one.
    pub fn quadrant(&self) -> String {
        let line = match self.similarity {
            Similarity::Near => 1,
            Similarity::Far => 5,
        };
        let column = match (self.strategy, self.similarity) {
            (RecommendedStrategy::Frozen, Similarity::Near) => 17,
            (RecommendedStrategy::Frozen, Similarity::Far) => 31,
            (RecommendedStrategy::Full, _) => 38,
        };
        let marked = |(index, text): (usize, &&str)| match index == line {
            true => {
                let mut text = format!("{text:<width$}", width = column + 3);
                text.replace_range(column..column + 3, "[x]");
                text
            }
            false => (*text).to_owned(),
        };
        PICTURE.iter().enumerate().map(marked).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.strategy {
            RecommendedStrategy::Full => writeln!(f, "advice: full (train everything)")?,
            RecommendedStrategy::Frozen if self.last_stage => writeln!(f, "advice: frozen (train a new head alone)")?,
            RecommendedStrategy::Frozen => writeln!(
                f,
                "advice: frozen with --stages {} (train a new head alone, on the features after `{}`)",
                self.stages, self.stage
            )?,
        }
        for reason in &self.reasons {
            writeln!(f, "- {reason}")?;
        }
        write!(f, "\n{}", self.quadrant())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::neighbours::Neighbours;
    use crate::advice::probe::Score;

    fn score(train_rows: f64, correct: u64) -> Score {
        Score { train_rows, correct, rows: 1000, l2: 0.1 }
    }

    /// Stages by their probes, of 1,000 rows in `classes` classes of one size.
    fn measured(probes: &[u64], classes: usize) -> Measurements {
        let stage = |(index, &correct): (usize, &u64)| StageScores {
            name: format!("layer {index}"),
            probe: score(600.0, correct),
            neighbours: Neighbours { k: 5, accuracy: 0.7 },
            logme: 0.0,
            hscore: 0.5,
        };
        let last = probes.last().copied().unwrap_or(0);
        Measurements {
            stages: probes.iter().enumerate().map(stage).collect(),
            curve: vec![score(75.0, last), score(150.0, last), score(300.0, last), score(600.0, last)],
            class_rows: vec![1000 / classes; classes],
        }
    }

    #[test]
    fn few_rows_a_class_get_a_head_and_many_get_everything() -> Result<()> {
        let few = recommend(&measured(&[600, 700, 800], 100), 1000, Modality::Text)?;
        assert_eq!(
            (few.strategy, few.size, few.similarity),
            (RecommendedStrategy::Frozen, Size::Little, Similarity::Near)
        );
        assert!(few.gain.points < 0.0 && few.gain.low < few.gain.points && few.gain.points < few.gain.high);
        let many = recommend(&measured(&[600, 700, 800], 2), 1000, Modality::Text)?;
        assert_eq!((many.strategy, many.size), (RecommendedStrategy::Full, Size::Much));
        // A flat learning curve: the error stays 0.2.
        assert!((many.gain.points - 20.0 * (1.0 - TEXTS.with_many.0.exp())).abs() < 1e-9);
        Ok(())
    }

    /// Half a point is not worth a training of everything, however many rows there are; and the words say so with the
    /// numbers that decided.
    #[test]
    fn a_small_gain_is_not_worth_its_time() -> Result<()> {
        let advice = recommend(&measured(&[900, 950, 960], 2), 1000, Modality::Text)?;
        assert_eq!((advice.strategy, advice.size), (RecommendedStrategy::Frozen, Size::Much));
        let said = advice.to_string();
        let expected = "by +0.5 points (90 % range -1.4 to +1.7) and takes about 17 times as long: not worth it, by \
                        the rule that it should gain 1 point or more. The range is that of our runs with 30 \
                        or more labelled rows per class; you have 500 per class on average. By that range it may also \
                        be worth it: `rehead compare`";
        assert!(said.contains(expected) && said.starts_with("advice: frozen (train a new head alone)"), "{said}");
        assert_eq!(said.matches("times as long").count(), 1, "{said}");
        // Nothing to gain at all: then nothing needs to be compared.
        let perfect = recommend(&measured(&[1000, 1000, 1000], 2), 1000, Modality::Text)?.to_string();
        assert!(perfect.contains("by 0.0 points") && !perfect.contains("rehead compare"), "{perfect}");
        let worth = recommend(&measured(&[700, 750, 760], 2), 1000, Modality::Text)?.to_string();
        assert!(worth.starts_with("advice: full") && worth.contains("times as long: worth it"), "{worth}");
        Ok(())
    }

    #[test]
    fn a_better_earlier_stage_means_far() -> Result<()> {
        let advice = recommend(&measured(&[600, 880, 800], 100), 1000, Modality::Text)?;
        assert_eq!((advice.stage.as_str(), advice.last_stage), ("layer 1", false));
        assert_eq!(advice.similarity, Similarity::Far);
        assert!((advice.frozen_accuracy - 0.88).abs() < 1e-9);
        let expected = "for 88.0 % of unseen rows, on those of the last stage, `layer 2`, for 80.0 %: 8.0 points \
                        better, more than chance";
        assert!(advice.reasons[0].contains(expected), "{:?}", advice.reasons);
        // By less than chance brings about: near all the same. Of equals the last stage.
        assert_eq!(recommend(&measured(&[600, 805, 800], 100), 1000, Modality::Text)?.similarity, Similarity::Near);
        assert!(recommend(&measured(&[600, 800, 800], 100), 1000, Modality::Text)?.last_stage);
        Ok(())
    }

    #[test]
    fn a_network_that_is_kept_whole_is_advised_its_last_stage() -> Result<()> {
        let advice = recommend(&measured(&[600, 880, 800], 100), 1000, Modality::Image)?;
        assert_eq!((advice.stage.as_str(), advice.last_stage, advice.stages), ("layer 2", true, 3));
        // That an earlier one is better is said all the same, and nothing else.
        assert_eq!(advice.similarity, Similarity::Far);
        assert!(advice.reasons[0].contains("kept whole") && !advice.to_string().contains("does best on the last"));
        Ok(())
    }

    #[test]
    fn a_head_that_guesses_means_far() -> Result<()> {
        let advice = recommend(&measured(&[510, 505, 512], 2), 1000, Modality::Text)?;
        assert_eq!(advice.similarity, Similarity::Far);
        assert!(advice.reasons[0].contains("hardly separate the classes"), "{:?}", advice.reasons);
        Ok(())
    }

    #[test]
    fn the_learning_curve_lowers_the_error() -> Result<()> {
        let mut some = measured(&[700, 800], 2);
        some.curve = vec![score(75.0, 600), score(150.0, 700), score(300.0, 760), score(600.0, 800)];
        let [few, many] = [667, 100_000].map(|rows| recommend(&some, rows, Modality::Text).unwrap().frozen_accuracy);
        assert!((few - 0.8).abs() < 1e-3 && many > 0.85 && many < 1.0, "{few} {many}");
        Ok(())
    }

    #[test]
    fn every_case_has_its_mark() -> Result<()> {
        for (probes, classes, expected) in [
            ([700, 800], 100, "the network      [x]              |"),
            ([700, 800], 2, "the network                       |   [x]"),
            ([900, 980], 2, "the network      [x]              |"),
            ([800, 700], 100, "                 earlier stage [x]|"),
            ([800, 700], 2, "                 earlier stage    |   [x]"),
        ] {
            let picture = recommend(&measured(&probes, classes), 1000, Modality::Text)?.quadrant();
            assert!(picture.lines().any(|line| line == expected), "{picture}");
            assert_eq!(picture.matches("[x]").count(), 1);
        }
        Ok(())
    }

    #[test]
    fn nothing_measured_is_an_error() {
        assert!(recommend(&measured(&[], 2), 10, Modality::Text).is_err());
    }
}
