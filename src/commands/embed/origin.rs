//! What a file of features was made from: an interrupted one is only continued by the same call.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::vectors::Vectors;
use crate::cli::{EmbedArgs, named};
use crate::commands::label::origin::fingerprint;
use crate::commands::loaded_model::LoadedNetwork;
use crate::data::FileLayout;
use crate::error::{Error, Result};

/// What decides the features.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Origin {
    input: String,
    columns: Vec<String>,
    model: String,
    stage: usize,
    pooling: String,
    normalise: bool,
    rows: String,
    precision: String,
}

/// That of a call.
///
/// # Errors
/// The model's weights cannot be read.
pub fn of(args: &EmbedArgs, network: &LoadedNetwork, vectors: &Vectors, input: &FileLayout) -> Result<Origin> {
    Ok(Origin {
        input: named(&args.input),
        columns: input.columns.clone(),
        model: fingerprint(&network.classifier, &network.transform)?,
        stage: vectors.stage,
        pooling: format!("{:?}", vectors.pooling),
        normalise: vectors.normalise,
        rows: format!("{:?} {:?}", args.form, args.rows),
        precision: format!("{:?} {}", network.hardware.compute, network.hardware.int8),
    })
}

impl Origin {
    /// That `now` is the same.
    ///
    /// # Errors
    /// It is that of another call; what differs is named.
    pub fn check(&self, now: &Self, note: &Path) -> Result<()> {
        let parts = [
            ("input", self.input == now.input),
            ("input: its columns have changed", self.columns == now.columns),
            ("model", self.model == now.model),
            ("--stage", self.stage == now.stage),
            ("pooling", self.pooling == now.pooling),
            ("choice of --normalise", self.normalise == now.normalise),
            ("--precision", self.precision == now.precision),
            ("way of reading the rows", self.rows == now.rows),
        ];
        match parts.into_iter().find(|(_, is_same)| !is_same) {
            None => Ok(()),
            Some((part, _)) => Err(Error::request(format!("the interrupted output was made with another {part}"))
                .file(note)
                .hint("resume with the same command, or delete the partial output to begin again")),
        }
    }
}
