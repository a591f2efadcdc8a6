//! Why a network was wrong: of the rows that it got wrong with the most confidence, what spoke for the predicted label
//! and against the one in the data. For the report of a run that is stored already: what fails here costs no more than
//! the explanations.

use std::time::{Duration, Instant};

use tch::Kind;

use super::explain::explainer::Explainer;
use crate::console::{Console, units};
use crate::data::Input;
use crate::error::{ErrorKind, Result};
use crate::explanation::{Effort, Question};
use crate::inference::Inference;
use crate::report::split::Mistake;
use crate::report::{Explained, ScoredSplit};
use crate::transform::{Purpose, Transform};

/// Rows that are explained where nobody says how many, as far as they come in this time.
const USUAL: usize = 10;
const PATIENCE: Duration = Duration::from_secs(3);
/// Points between a text without content and the text. On reviews of 20 and of 256 tokens 1 to 2 % of the change was
/// left unexplained with so many, which no shade shows.
const POINTS: usize = 16;
/// What a pass forth and back takes, in passes forth.
const BOTH_WAYS: u32 = 3;

/// How mistakes are to be explained.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub transform: &'a Transform,
    /// So many; none: a few, as time allows.
    pub count: Option<usize>,
    /// Whether the network computes in 8 bits.
    pub is_int8: bool,
}

/// Explains the most confident mistakes of a split, of which `input_of` gives the inputs. Nothing where there are none,
/// or none are asked for.
pub fn explain(
    split: &ScoredSplit,
    inference: &Inference,
    asked: Asked,
    input_of: &dyn Fn(usize) -> Option<Input>,
    console: &Console,
) -> Option<Explained> {
    let mistakes = split.mistakes();
    let wanted = asked.count.unwrap_or(USUAL).min(mistakes.len());
    if wanted == 0 {
        return None;
    }
    let mut explained = Explained::default();
    if asked.is_int8 {
        explained.remark = Some("a network that computes in 8 bits has no gradients".to_owned());
        return Some(explained);
    }
    let effort = Effort { tokens: inference.batch_tokens, points: POINTS };
    let explainer = Explainer { classifier: inference.classifier, transform: asked.transform, effort };
    let mut time = asked.count.is_none().then_some(PATIENCE);
    let mut too_long = None;
    let bar = console.progress("explaining mistakes", Some(wanted as u64), "rows");
    for Mistake { row, predicted, truth } in mistakes.into_iter().take(wanted) {
        let Some(input) = input_of(row).filter(|input| !input.is_empty()) else { continue };
        let began = Instant::now();
        let question = Question::Rather { this: predicted as usize, than: truth as usize };
        let why = match time.map(|left| (left, estimate(inference, asked.transform, &input))) {
            Some((left, Ok(estimate))) if estimate > left => {
                too_long.get_or_insert(estimate);
                continue;
            }
            Some((_, Err(error))) => Err(error),
            _ => explainer.why(&input, question).map(|(why, _)| why),
        };
        match why {
            Ok(why) => drop(explained.by_row.insert(row, why)),
            Err(error) if error.kind() == ErrorKind::Interrupted => break,
            Err(error) => {
                console.warn(format!("the report does not explain the mistakes: {error}"));
                explained.remark = Some(error.to_string());
                break;
            }
        }
        time = time.map(|left| left.saturating_sub(began.elapsed()));
        bar.advance(1);
    }
    bar.finish();
    if let (Some(estimate), true, None) = (too_long, explained.by_row.is_empty(), &explained.remark) {
        let seconds = units::seconds(estimate.as_secs_f64());
        explained.remark = Some(format!(
            "it takes about {seconds} for a row here, and is done where `--explain-mistakes N` asks for it"
        ));
    }
    Some(explained)
}

/// About how long it takes to explain a row: one pass is made, and several both ways will be, in fp32.
fn estimate(inference: &Inference, transform: &Transform, input: &Input) -> Result<Duration> {
    let began = Instant::now();
    let prepared = transform.prepare(&[input], Purpose::Inference, &mut |_| {})?;
    let inference = Inference { compute: Kind::Float, ..*inference };
    inference.logits(&*prepared.set, &mut |_, _| {})?;
    let passes = if matches!(transform, Transform::Text(_)) { POINTS as u32 } else { 1 };
    Ok(began.elapsed() * passes * BOTH_WAYS)
}
