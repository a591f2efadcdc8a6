//! rehead gives a pretrained network a new head and fine-tunes it.
//!
//! The modules stand in the order in which data flows:
//!
//! ```text
//! train:  config → data → transform → batch → model (backbone → head) → training (loss → optimizer) → report
//! label:  data → transform → batch → inference → data::writer
//! ```
//!
//! A [`model::Backbone`] is a chain of stages; freezing, new heads and cached features follow from that alone. Validation,
//! evaluation, labelling and the frozen features share one path, [`inference`].

// An input never makes the library panic: what can fail returns an error (`crate::error`).
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

pub mod error;
pub mod fingerprint;
pub mod interrupt;
pub mod json;
pub mod random;

pub mod files;

pub mod console;

pub mod config;

pub mod native;

pub mod hardware;

pub mod image;

pub mod data;

pub mod batch;

pub mod transform;

pub mod hub;

pub mod model;

pub mod linear;

pub mod inference;

pub mod evaluation;

pub mod task;

pub mod training;

pub mod strategy;

pub mod baseline;

pub mod advice;

pub mod report;

pub mod cli;

pub mod commands;
