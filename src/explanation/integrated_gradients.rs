//! Integrated gradients (Sundararajan, Taly and Yan 2017): between a text without content and the text itself, how much
//! of the change of the answer is owed to each token.

use tch::{Kind, Tensor};

use super::quadrature::gauss_legendre;
use super::{Question, log_odds};
use crate::batch::{Batch, ExampleSet, TokenizedSet};
use crate::error::{Error, Result};
use crate::inference::to_vec;
use crate::interrupt;
use crate::model::{Classifier, Pass};

/// A text and its stand-in: as many tokens, of which those that say something are replaced by one that says nothing.
pub struct StandIns<'a> {
    /// The text's token ids.
    pub ids: &'a [u32],
    /// Those of the stand-in.
    pub without_content: &'a [u32],
    /// The segment of each token, the same in both.
    pub segments: &'a [u32],
}

/// What the tokens of a text add to the log odds of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    /// Of each token.
    pub scores: Vec<f64>,
    /// The log odds of the text.
    pub log_odds: f64,
    /// The same of the text without content.
    pub without_content: f64,
}

impl Contributions {
    /// How much of the change the scores do not account for: exact integration leaves nothing.
    pub fn unexplained(&self) -> f64 {
        self.log_odds - self.without_content - self.scores.iter().sum::<f64>()
    }
}

/// How much is computed for a text.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Tokens that are computed at once.
    pub tokens: usize,
    /// Points on the way, at most.
    pub points: usize,
}

impl Effort {
    /// Until the scores account for nearly all.
    pub fn exact(tokens: usize) -> Self {
        Self { tokens, points: 512 }
    }
}

/// Points on the way, at first: they are doubled while more than this share is unexplained.
const POINTS: usize = 32;
const TOLERANCE: f64 = 0.01;

/// What each token of a text adds to the log odds, in fp32.
///
/// # Errors
/// A network of one stage, whose inside cannot be reached; or interrupted.
pub fn integrated_gradients(
    classifier: &Classifier,
    text: &StandIns,
    question: Question,
    effort: Effort,
) -> Result<Contributions> {
    if classifier.backbone.stages().len() < 2 {
        let family = classifier.backbone.family();
        return Err(Error::request(format!("the layers of a `{family}` cannot be taken apart, as explaining needs"))
            .hint("explain a model of another family"));
    }
    let path = Path::new(classifier, text, question, effort)?;
    let [log_odds, without_content] = path.ends()?;
    let change = log_odds - without_content;
    let mut points = POINTS.min(effort.points.max(1));
    loop {
        let scores = path.integrated(points)?;
        let found = Contributions { scores, log_odds, without_content };
        if 2 * points > effort.points || found.unexplained().abs() <= TOLERANCE * change.abs().max(1.0) {
            return Ok(found);
        }
        points *= 2;
    }
}

/// The straight way from the activations of the text without content to those of the text, after the first stage.
struct Path<'a> {
    classifier: &'a Classifier,
    set: TokenizedSet,
    question: Question,
    /// `[tokens, width]`, where it begins and ends.
    from: Tensor,
    to: Tensor,
    /// Texts that are computed at once.
    most: usize,
}

impl<'a> Path<'a> {
    fn new(classifier: &'a Classifier, text: &StandIns, question: Question, effort: Effort) -> Result<Self> {
        let length = text.ids.len();
        let most = (effort.tokens / length.max(1)).clamp(1, effort.points.max(1));
        let embedded = |ids: &[u32]| -> Result<Tensor> {
            let mut set = TokenizedSet::default();
            set.push(ids, text.segments);
            let batch = set.batch(&[0], classifier.device)?;
            let rows = tch::no_grad(|| classifier.backbone.run(0..1, &batch, None, Pass::evaluation(Kind::Float)))?;
            Ok(rows.f_narrow(0, 0, length as i64)?)
        };
        let (from, to) = (embedded(text.without_content)?, embedded(text.ids)?);
        let mut set = TokenizedSet::default();
        (0..most).for_each(|_| set.push(text.ids, text.segments));
        Ok(Self { classifier, set, question, from, to, most })
    }

    fn batch(&self, copies: usize) -> Result<Batch> {
        self.set.batch(&(0..copies).collect::<Vec<_>>(), self.classifier.device)
    }

    /// The log odds at these places of the way, and the activations that they are computed from.
    fn at(&self, places: &[f64]) -> Result<(Tensor, Tensor)> {
        let batch = self.batch(places.len())?;
        let rows = batch.inputs.tokens()?.ids.size().first().copied().unwrap_or(0);
        let places: Vec<f32> = places.iter().map(|&place| place as f32).collect();
        let places = Tensor::f_from_slice(&places)?.f_to_device(self.classifier.device)?.f_view([-1, 1, 1])?;
        let way = self.to.f_sub(&self.from)?.f_unsqueeze(0)?.f_mul(&places)?.f_add(&self.from)?;
        let way = way.f_flatten(0, 1)?;
        let filling = rows - way.size().first().copied().unwrap_or(0);
        let way = way.f_constant_pad_nd([0, 0, 0, filling])?.f_detach()?.f_set_requires_grad(true)?;
        let logits =
            self.classifier.logits_from(1, &batch, Some(way.shallow_clone()), Pass::evaluation(Kind::Float))?;
        Ok((log_odds(&logits, self.question)?, way))
    }

    /// The log odds of the text and of the text without content.
    fn ends(&self) -> Result<[f64; 2]> {
        let of = |place: f64| -> Result<f64> {
            let (odds, _) = tch::no_grad(|| self.at(&[place]))?;
            to_vec::<f64>(&odds)?.first().copied().ok_or_else(|| Error::failure("no logits came back"))
        };
        Ok([of(1.0)?, of(0.0)?])
    }

    /// The gradient along the way, integrated, times the way: a score for each token.
    fn integrated(&self, points: usize) -> Result<Vec<f64>> {
        let (length, width) = self.to.size2()?;
        let mut sum = Tensor::f_zeros([length, width], (Kind::Float, self.classifier.device))?;
        for places in gauss_legendre(points).chunks(self.most) {
            if interrupt::requested() {
                return Err(Error::interrupted("not all rows are explained"));
            }
            let (at, weights): (Vec<f64>, Vec<f64>) = places.iter().copied().unzip();
            let (odds, way) = self.at(&at)?;
            let gradients = Tensor::f_run_backward(&[odds.f_sum(Kind::Float)?], &[way], false, false)?;
            let gradient = gradients.first().ok_or_else(|| Error::failure("no gradient came back"))?;
            let gradient = gradient.f_narrow(0, 0, at.len() as i64 * length)?.f_view([-1, length, width])?;
            let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
            let weights = Tensor::f_from_slice(&weights)?.f_to_device(self.classifier.device)?.f_view([-1, 1, 1])?;
            sum = sum.f_add(&gradient.f_mul(&weights)?.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?)?;
        }
        let way = self.to.f_sub(&self.from)?;
        to_vec::<f64>(&sum.f_mul(&way)?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?)
    }
}
