//! `rehead train`: from labelled data and a pretrained model to a run directory.
//!
//! [`pipeline`] is the story: [`prepare`] loads data ([`data`], [`splits`] of [`split`]s) and network ([`network`]) and
//! completes the settings ([`resolved`]), `strategy::train` trains, once or ([`refit`]) once more with all rows,
//! [`outcome`] saves the model and finds it again on resuming, [`report`] writes metrics and the report, [`ending`] is
//! what a person reads at last. [`checks`] refuses what cannot be done before any of it.

mod calibration;
mod card;
mod checks;
pub(super) mod data;
mod ending;
mod folded_rows;
mod folds;
mod network;
mod outcome;
mod pipeline;
mod prepare;
mod refit;
mod report;
mod resolved;
mod split;
mod splits;

pub use self::pipeline::{run, train};
pub use self::prepare::Session;
