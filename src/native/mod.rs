//! What libtorch has and tch lacks, and kernels of our own, behind safe functions on tensors. A file per kernel:
//! `attention.rs` is the safe face, `attention.cpp` the same on libtorch's tensors with the gradient, `attention.inl`
//! the arithmetic on CPUs, which `kernels.cpp` compiles once for each set of instructions. [`gpu`] has the arithmetic
//! on GPUs.
//!
//! Knows tensors and numbers only; what they mean is the caller's affair.

pub mod adamw;
pub mod attention;
pub mod convolution;
pub mod device;
pub mod dropout;
pub mod gelu;
pub mod gpu;
pub mod gradients;
pub mod int8;
pub mod kernels;
pub mod norm;
pub mod pixels;
pub mod pool;
pub mod profiler;
mod tensors;
#[cfg(test)]
mod testing;

pub use adamw::{AdamwCoefficients, AdamwStep, TableState, adamw_rows, fused_adamw};
pub use attention::{attention, has_attention};
pub use convolution::FoldedConvolution;
pub use device::{accelerator_peak_bytes, set_deterministic, to_gpu};
pub use dropout::{DropoutSpec, dropout};
pub use gelu::{bias_gelu, gelu, has_bias_gelu};
pub use gradients::{clear_gradients, global_norm};
pub use int8::{Gelu, Int8Linear, has_int8};
pub use norm::add_norm;
pub use pixels::normalise;
pub use pool::max_pool;
