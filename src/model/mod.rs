//! A [`Classifier`]: a pretrained backbone, then a head. From a model directory to one (`load.rs`), from a batch to
//! logits, and back to a directory that Python loads.
//!
//! A [`Backbone`] is a chain of stages; `encoder/`, `convolutional/` and `hierarchical/` are the project's own, and
//! `rust_bert/` has the networks that those do not compute. The families (`family/`) say which networks there are.

pub mod activation;
mod architectures;
pub mod backbone;
mod builder;
mod card;
pub mod checkpoint;
mod classifier;
mod convolutional;
mod encoder;
pub mod family;
pub mod head;
mod hierarchical;
mod labels;
pub mod layers;
pub mod layout;
mod load;
mod lora;
pub mod parameter;
mod pass;
pub mod pytorch;
mod request;
mod rust_bert;
pub mod sentence_transformers;
pub mod state_file;
mod stored;

pub use self::backbone::Backbone;
pub use self::card::BaseCard;
pub use self::classifier::Classifier;
pub use self::layers::WeightDtype;
pub use self::load::{NamedNetwork, check_family, check_trained, engines, modality, named_network, pretrained_id};
pub use self::pass::{DropoutKeys, Pass, Pooling};
pub use self::request::{Engine, HeadRequest, InputSpec, LoadRequest};
