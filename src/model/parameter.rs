//! A network's parameters: named tensors, each with its role and its place in the network. What computes with them is
//! in `layers.rs`; which of them are trained is the strategy's choice.

use tch::Tensor;

use crate::error::Result;

/// Where in the network a parameter sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterLocation {
    /// In the backbone's stage of this index.
    Stage(usize),
    /// In the head, loaded from the checkpoint (a BERT pooler).
    PretrainedHead,
    /// In the head, newly initialised.
    Head,
}

/// What a parameter is to training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A weight or a bias: trained by its gradient.
    Weight,
    /// A table that token ids index: a weight whose gradient has only the rows that a batch reads (`rows_read` of a
    /// backbone tells which).
    Table,
    /// Changed by training passes without a gradient (a batch norm's running mean and variance). Frozen stages leave
    /// theirs alone.
    Statistic,
    /// Read by no pass: it stays as it is, for the library that reads the files that are written.
    Kept,
    /// An addition to a weight that is trained in its stead (LoRA), and is merged into it when training ends.
    Adapter,
}

/// A named leaf tensor. Cloning is shallow: all clones are the same storage and gradient.
pub struct Parameter {
    /// The names under which the tensor is stored, with the rows (along dimension 0) of each: one name for most; a
    /// fused projection is stored as its parts.
    pub parts: Vec<(String, i64)>,
    /// The values; requires a gradient while it is trained.
    pub tensor: Tensor,
    /// In which stage, or in the head.
    pub location: ParameterLocation,
    /// How training changes it.
    pub role: Role,
}

impl Parameter {
    /// A tensor that is stored whole, under `name`.
    pub fn new(name: impl Into<String>, tensor: Tensor, location: ParameterLocation, role: Role) -> Self {
        let rows = tensor.size().first().copied().unwrap_or(1);
        Self { parts: vec![(name.into(), rows)], tensor, location, role }
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.tensor.numel() as u64
    }

    /// Whether weight decay applies: to matrices, not to biases and norms (which are vectors, but for XLNet's biases).
    pub fn decays(&self) -> bool {
        self.tensor.dim() > 1 && !self.is_bias()
    }

    /// Whether it is a bias: what `bitfit` trains, and what begins at 0.
    pub fn is_bias(&self) -> bool {
        self.name().ends_with("bias")
    }

    /// The name by which a single-part parameter is stored, or the first of a fused one.
    pub fn name(&self) -> &str {
        self.parts.first().map_or("", |(name, _)| name)
    }

    /// The stored tensors: (name, shallow view of the rows).
    pub fn stored(&self) -> Result<Vec<(String, Tensor)>> {
        self.stored_from(&self.tensor)
    }

    /// Cuts `tensor`, shaped like the parameter (its gradient, say), into the stored parts.
    pub fn stored_from(&self, tensor: &Tensor) -> Result<Vec<(String, Tensor)>> {
        if let [(name, _)] = self.parts.as_slice() {
            return Ok(vec![(name.clone(), tensor.shallow_clone())]);
        }
        let mut start = 0;
        self.parts
            .iter()
            .map(|(name, rows)| {
                let part = tensor.f_narrow(0, start, *rows)?;
                start += rows;
                Ok((name.clone(), part))
            })
            .collect()
    }
}
