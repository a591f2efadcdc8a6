//! How much to retrain, from measurements on features of the pretrained network: what `rehead advise` computes.
//!
//! One forward pass gives the features after every stage ([`features`]). How well they separate the classes ([`probe`],
//! [`neighbours`], [`logme`], [`hscore`]) and how that grows with the number of rows ([`mod@measure`]) decides what is
//! recommended ([`recommend`]). All functions here are pure: features and labels in, numbers out. docs/advice.md
//! compares the advice with what was best in real runs.

pub mod features;
pub mod hscore;
pub mod logme;
pub mod measure;
pub mod neighbours;
pub mod probe;
pub mod recommend;

pub use self::features::StageFeatures;
pub use self::measure::{Measurements, StageScores, measure, steps};
pub use self::probe::Step;
