//! The subcommands, a file or folder each: every one reads like the pipeline it runs.
//!
//! What several of them need stands in files of its own: [`locate`] finds the network, [`loaded_model`] loads a trained
//! one, [`inputs`] makes examples of rows, [`reading`] reads a long input in [`windows`] of rows, [`content`] tells
//! images apart, [`mod@origins`] finds rows again, [`trained_rows`] tells which a model was trained on, [`saved_rules`]
//! what it made of their labels, [`saved_confidence`] what it knows of its confidences, [`mistakes`] says why it was
//! wrong, [`origin`] from which data it was made, [`output`] is where results go.

pub mod advise;
pub mod compare;
pub mod completions;
mod content;
pub mod convert;
pub mod embed;
pub mod evaluate;
pub mod explain;
pub mod fetch;
mod inputs;
pub mod inspect;
pub mod label;
mod loaded_model;
mod locate;
pub mod man;
mod mistakes;
pub mod models;
mod origin;
mod origins;
mod output;
mod reading;
mod saved_confidence;
mod saved_rules;
pub mod suggest;
pub mod train;
mod trained_rows;
mod windows;
