//! Random tensors, gradients and closeness, for the tests of kernels.

use tch::{Device, Kind, Tensor};

/// Normally distributed fp32 numbers on the CPU.
pub fn random(size: &[i64], seed: i64) -> Tensor {
    crate::random::from_torch(seed as u64, || Tensor::randn(size, (Kind::Float, Device::Cpu)))
}

/// Fails when the largest difference reaches `tolerance`.
pub fn assert_near(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    let difference = (found.to_kind(Kind::Float) - expected.to_kind(Kind::Float)).abs().max().double_value(&[]);
    assert!(difference < tolerance, "{what}: {difference}");
}

/// Gradients of `sum(out · weights)` with respect to `leaves`.
pub fn gradients(out: &Tensor, leaves: &[&Tensor]) -> Vec<Tensor> {
    let weights = random(&out.size(), 99).to_kind(out.kind());
    (out * weights).sum(Kind::Float).backward();
    leaves.iter().map(|leaf| leaf.grad()).collect()
}

/// A copy that gradients are taken of.
pub fn leaf(tensor: &Tensor) -> Tensor {
    tensor.detach().copy().set_requires_grad(true)
}
