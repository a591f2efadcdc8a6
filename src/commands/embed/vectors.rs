//! Which features a row gets: after which stage of the network, pooled how, and scaled to length 1 or not. What a model
//! of sentence-transformers says of itself is followed.

use crate::batch::ExampleSet;
use crate::cli::EmbedArgs;
use crate::commands::loaded_model::LoadedNetwork;
use crate::commands::locate::locate_model;
use crate::config::{Pooling as PoolingSetting, Precision};
use crate::console::Console;
use crate::data::{Labels, Modality};
use crate::error::{Error, Result, listed};
use crate::inference::Rows;
use crate::model::sentence_transformers::{self, Features};
use crate::model::{HeadRequest, Pooling};
use crate::transform::Transform;

/// How the features of a row come about.
pub struct Vectors {
    /// The stage after which they are taken.
    pub stage: usize,
    pub pooling: Pooling,
    pub normalise: bool,
    /// Numbers of a row.
    pub width: usize,
}

/// Loads the network; a head is of no interest, and where there is none nothing is missing.
///
/// # Errors
/// It is not there or cannot be used.
pub fn load(args: &EmbedArgs, console: &Console) -> Result<LoadedNetwork> {
    let placeholder = Labels::in_order(vec!["0".to_owned(), "1".to_owned()])?;
    let mut inference = args.inference.clone();
    if inference.precision == Precision::Auto {
        // Features are kept and compared with others: they are exact unless speed is asked for.
        inference.precision = Precision::Fp32;
    }
    let head = HeadRequest::Any { placeholder: &placeholder };
    let directory = locate_model(&args.model, args.quiet)?;
    let usual = sentence_transformers::max_length(&directory)?.filter(|_| inference.max_length.is_none());
    let mut network = LoadedNetwork::load(&directory, &inference, head, usual, console)?;
    if let (Some(_), Transform::Text(tokenizer)) = (usual, &network.transform) {
        let reason = format!("as `{}` says", sentence_transformers::LENGTH);
        network.choices.record("max_length", tokenizer.max_length(), reason);
    }
    if let Some(prompt) = sentence_transformers::prompt(&directory)? {
        console.warn(format!(
            "sentence-transformers puts `{prompt}` before each text of this model, which is not done here: write it \
             into the texts"
        ));
    }
    Ok(network)
}

impl Vectors {
    /// Those that a call asks for; what is taken from the model's files is recorded.
    ///
    /// # Errors
    /// The network has no such stage, or its files ask for what is not computed.
    pub fn of(args: &EmbedArgs, network: &mut LoadedNetwork, console: &Console) -> Result<Self> {
        let backbone = &network.classifier.backbone;
        let (stages, own) = (backbone.stages().len(), network.classifier.pooling);
        let stage = args.stage.unwrap_or(stages - 1);
        if stage >= stages {
            return Err(Error::request(format!("there is no stage {stage}: the last is {}", stages - 1))
                .key("stage")
                .hint(format!("the stages, from 0: {}", listed(backbone.stages()))));
        }
        let is_run = network.is_trained();
        let asked = match args.rows.pooling {
            PoolingSetting::Auto => None,
            PoolingSetting::Cls => Some(Pooling::Cls),
            PoolingSetting::Mean => Some(Pooling::Mean),
            PoolingSetting::ClsAndMean => Some(Pooling::ClsAndMean),
        };
        // Whoever names a pooling or a stage does not want what the files say comes after the last one.
        let follows = asked.is_none() && args.stage.is_none();
        let said = if follows { sentence_transformers::features(&network.classifier.directory)? } else { None };
        let choices = &mut network.choices;
        let (pooling, normalise) = match (asked, said, network.modality) {
            (Some(pooling), ..) => (pooling, false),
            (None, Some(Features { pooling, normalise }), _) => {
                let what = if normalise { "normalised" } else { "not normalised" };
                choices.record(
                    "pooling",
                    name_of(pooling),
                    format!("{what}, as `{}` says", sentence_transformers::MODULES),
                );
                (pooling, normalise)
            }
            (None, None, Modality::Text) if !is_run => {
                choices.record("pooling", name_of(Pooling::Mean), "the model's files do not say how");
                (Pooling::Mean, false)
            }
            (None, None, _) => (own, false),
        };
        if normalise && args.normalise {
            console.note("--normalise changes nothing: the model does so itself");
        }
        let width = network.classifier.backbone.pooled_width(stage, pooling).max(0) as usize;
        Ok(Self { stage, pooling, normalise: normalise || args.normalise, width })
    }

    /// The features of every example, `width` numbers each.
    ///
    /// # Errors
    /// The network fails, or interrupted.
    pub fn compute(
        &self,
        network: &LoadedNetwork,
        set: &dyn ExampleSet,
        watch: &mut dyn FnMut(usize, usize),
    ) -> Result<Rows> {
        let mut rows = network.inference().pooled(self.stage, self.pooling, set, watch)?;
        if self.normalise {
            rows.values.chunks_exact_mut(self.width.max(1)).for_each(scale_to_one);
        }
        Ok(rows)
    }
}

/// As torch's `normalize` does: a vector of zeros stays one.
fn scale_to_one(values: &mut [f32]) {
    const SMALLEST: f64 = 1e-12;
    let squares: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    let length = squares.sqrt().max(SMALLEST);
    values.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
}

fn name_of(pooling: Pooling) -> &'static str {
    match pooling {
        Pooling::Cls => "cls",
        Pooling::Mean => "mean",
        Pooling::ClsAndMean => "cls+mean",
    }
}
