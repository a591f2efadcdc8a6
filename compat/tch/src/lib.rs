//! The current tch under the version number that rust-bert 0.23 asks for (see `[patch.crates-io]` in the workspace's
//! Cargo.toml).
pub use tch_current::*;
