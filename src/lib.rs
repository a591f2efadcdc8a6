//! rehead gives a pretrained network a new head and fine-tunes it.
//!
//! This library holds the parts of the program, so that tests and benchmarks can reach them. Its interface is internal
//! and changes without notice; what is stable is the command line and the files of a run directory.
//!
//! # Map
//!
//! Each module is a room that uses only rooms above it. From the ground up:
//!
//! | room | what it holds |
//! |---|---|
//! | [`error`] | the one error type: what failed, where, and a hint |
//! | [`random`], [`json`] | seeded draws; reading a model's JSON files |
//! | [`fingerprint`], [`interrupt`] | hashes of what decides a result; Ctrl-C |
//! | [`files`] | everything that lasts is written through it: whole files, growing files, locks |
//! | [`console`] | everything a person sees on a terminal: messages, progress, tables, units |
//! | [`config`] | the table of settings and the typed settings of a run |
//! | [`native`] | kernels in C++ and CUDA, each with a safe face |
//! | [`hardware`] | device, precision, threads, memory |
//! | [`image`] | decoding, resizing, augmenting and normalising pixels |
//! | [`data`] | rows of CSV, JSON Lines, text and images: reading, splitting, inspecting, writing |
//! | [`batch`] | examples, packed batches of tokens, batches of pixels, order and prefetching |
//! | [`transform`] | from a row to what a network reads: tokenizers and image transforms |
//! | [`hub`] | the model hub and its cache |
//! | [`model`] | backbones, heads, checkpoints, and the families of networks |
//! | [`linear`] | logistic regression and L-BFGS |
//! | [`selection`] | which of many candidates are worth a label |
//! | [`inference`] | the only path from examples to logits, and the cache of frozen layers' outputs |
//! | [`explanation`] | why a label: what tokens add to it, which places of an image speak for it |
//! | [`evaluation`] | metrics, calibration, intervals, comparison of runs |
//! | [`task`] | what a label is, and what follows from it for loss, decision and evaluation |
//! | [`training`] | the training loop, optimizer, schedule, loss, snapshots, history |
//! | [`strategy`] | which parameters are trained, and how |
//! | [`baseline`], [`advice`] | TF-IDF for comparison; how much to retrain |
//! | [`report`] | metrics files, HTML reports, the verdict of a comparison |
//! | [`cli`] | flags and help, a file for each command |
//! | [`commands`] | what each command does, in order |
//!
//! # The way of the data
//!
//! ```text
//! train:  config → data → transform → batch → model (backbone → head) → training (loss → optimizer) → report
//! label:  data → transform → batch → inference → data::writer
//! ```
//!
//! A [`model::Backbone`] is a chain of stages; freezing, new heads and cached features follow from that alone.
//! Validation, evaluation, labelling and the frozen features share one path, [`inference`].

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

pub mod selection;

pub mod inference;

pub mod evaluation;
pub mod explanation;

pub mod task;

pub mod training;

pub mod strategy;

pub mod baseline;

pub mod advice;

pub mod report;

pub mod cli;

pub mod commands;
