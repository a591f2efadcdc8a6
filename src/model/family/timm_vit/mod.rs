//! timm's Vision Transformers in transformers' layouts: the same networks under other names, with query, key and value
//! projections in one. Those with a class token, learned positions and norms before each block: plain ones, those with
//! layer scale and registers (DINOv2, DeiT III), and CLIP's.

mod convert;
mod named;
mod settings;
mod tensors;

pub use self::convert::convert;
pub use self::named::{Layout, architecture, id2label, layout, layout_named, named, pretrained_id};
pub use self::settings::{fresh_config, swiglu_width};
