//! Where a model is found: a directory on this machine, the shared hub cache, or the hub itself.
//!
//! [`locate`] turns what a person wrote after `--model` into a directory with the model's files. The cache is the
//! standard one, found and read through `hf-hub`; Python's `huggingface_hub` has the same layout, locks and environment
//! variables, so each finds what the other fetched.
//!
//! ```text
//! name (directory or id?) → settings → cache (there already?) → client (which commit and files?) → download → cache
//! ```

mod cached;
mod client;
mod conversion;
mod download;
mod error;
mod lookup;
mod name;
mod network;
mod settings;

pub use cached::{CachedModel, cached_models};
pub use lookup::{Hooks, cached, id_of, locate, locate_revision};
