//! The packed transformer encoder: embeddings, then layers, over flat runs of tokens without padding.
//!
//! One implementation for all families whose layers are self-attention and a feed-forward block. Each family is a
//! description (`family/`): sizes and options ([`EncoderConfig`]) and what its tensors are called ([`Names`]). Linear
//! layers, norms and activations see every token once; attention works within each sequence (`attention.rs`). Tokens
//! come from ids (`embeddings.rs`) or from the patches of images (`patches.rs`). Layers of another make are behind the
//! same trait (`TokenLayer`): FNet's (`fourier.rs`), MobileBERT's (`bottleneck.rs`), XLNet's
//! (`two_stream.rs`).

mod attention;
mod bottleneck;
mod builder;
mod config;
mod convolution;
mod disentangled;
mod distance;
mod embeddings;
mod feed_forward;
mod fourier;
mod global;
mod interleaved;
mod layer;
mod names;
mod neighbours;
mod network;
mod patches;
mod rotary;
mod sinusoids;
mod two_stream;

pub use self::attention::weigh_all;
pub use self::config::{
    AttentionOptions, BottleneckOptions, ConfigKeys, ConvolutionOptions, EmbeddingProjection, EmbeddingsConfig,
    EncoderConfig, FeedForwardOptions, LayerKind, NormPlacement, RelativeOptions, TwoStreamOptions, impossible_size,
    is_size, stage_names,
};
pub use self::distance::BUCKETS;
pub use self::names::{EmbeddingNames, Names, RelativeNames};
pub use self::network::Encoder;
pub use self::patches::grid_of;
pub use self::rotary::{LocalOptions, RotaryOptions};
