//! The families of networks, a file for each. What a family tells about itself is the trait [`Family`]; most text
//! encoders only describe themselves to `text_encoder.rs`, convolutional networks to `convolutional.rs`, and
//! hierarchical ones to `hierarchical.rs`.
//!
//! A family is added with a file in this folder and an entry in [`FAMILIES`].

mod albert;
mod bert;
mod clip;
mod convnext;
mod convolutional;
mod deberta;
mod deberta_v2;
mod dinov2;
mod distilbert;
mod efficientnet;
mod electra;
mod eurobert;
mod fnet;
mod gte;
mod hierarchical;
mod inception;
mod interface;
mod inverted;
mod inverted_names;
mod longformer;
mod mobilebert;
mod mobilenet;
mod modernbert;
mod mpnet;
mod nomic_bert;
mod resnet;
mod roberta;
mod rotary;
mod settings;
mod swin;
mod text_encoder;
mod timm_vit;
mod transformers;
mod translated;
mod vgg;
mod vision_transformer;
mod vit;
mod xlnet;

pub use self::convolutional::unknown_network;
pub use self::interface::{
    Export, Family, FreshNetwork, HeadLayers, HeadNorm, HeadSpec, HiddenLayer, LayerName, Leftovers, Parts, SavedModel,
};

/// Every family that can be loaded.
pub const FAMILIES: &[&dyn Family] = &[
    &bert::BERT,
    &roberta::ROBERTA,
    &roberta::XLM_ROBERTA,
    &roberta::CAMEMBERT,
    &albert::ALBERT,
    &distilbert::DISTILBERT,
    &electra::ELECTRA,
    &mpnet::MPNET,
    &deberta::DEBERTA,
    &deberta_v2::DEBERTA_V2,
    &mobilebert::MOBILEBERT,
    &fnet::FNET,
    &longformer::LONGFORMER,
    &xlnet::XLNET,
    &modernbert::MODERNBERT,
    &nomic_bert::NOMIC_BERT,
    &eurobert::EUROBERT,
    &gte::GTE,
    &vit::Vit,
    &dinov2::DINOV2,
    &dinov2::DINOV2_WITH_REGISTERS,
    &clip::Clip,
    &resnet::ResNetFamily,
    &vgg::VggFamily,
    &inception::InceptionFamily,
    &efficientnet::EfficientNetFamily,
    &mobilenet::MobileNetFamily,
    &convnext::CONVNEXT,
    &convnext::CONVNEXT_V2,
    &swin::SWIN,
];
