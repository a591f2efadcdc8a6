//! Batches of texts that are packed instead of padded.
//!
//! A packed batch is one flat run of tokens. Its sequences are in order of length, so that those of equal length are
//! neighbours: each such [`LengthGroup`] is a plain rectangle, and attention needs neither padding nor masks. Nothing
//! in a sequence's computation depends on what else is in the batch.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::native;

/// Neighbouring sequences of one length: `count` sequences of `length` tokens from token `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthGroup {
    /// Index of the group's first token among those of the batch.
    pub start: i64,
    /// Sequences in the group.
    pub count: i64,
    /// Tokens of each of its sequences.
    pub length: i64,
}

/// The matrix library compiles a kernel for every number of rows that it meets on the CPU, and keeps it: so it meets
/// few. Tokens, which are most of the work, are filled up to a multiple of 16, many of them to one of 64.
pub fn filled_tokens(tokens: usize) -> usize {
    tokens.next_multiple_of(if tokens < 1024 { 16 } else { 64 })
}

/// Sequences, which are little work, to a multiple of a quarter of the power of two below.
fn filled_sequences(sequences: usize) -> usize {
    sequences.next_multiple_of((sequences.next_power_of_two() / 8).max(16))
}

/// The tokens of a batch, flat. `T` tokens in all, `N` sequences; tokens after the last sequence are filling, which no
/// sequence sees and nobody reads.
pub struct PackedTokens {
    /// Token ids, `[T]`, int64.
    pub ids: Tensor,
    /// Segment of each token (0, or 1 in the second text of a pair), `[T]`, int64.
    pub types: Tensor,
    /// Position of each token in its sequence, from 0, `[T]`, int64.
    pub positions: Tensor,
    /// Index of each sequence's first token, int64, `[N]`; on the CPU followed by filling, as tokens are.
    pub first: Tensor,
    /// The same with the number of all tokens at the end, `[N + 1]`, for the attention kernels: int64 on the CPU, int32
    /// on a GPU.
    pub offsets: Tensor,
    /// Sequences of equal length, in order; they cover all tokens but the filling.
    pub groups: Vec<LengthGroup>,
}

impl PackedTokens {
    /// `count` sequences of `length` tokens that have no ids: patches of images. Filled up as others are.
    pub fn of_equal_length(count: i64, length: i64, device: Device) -> Result<Self> {
        if count < 1 || length < 1 {
            return Err(Error::failure("a batch needs at least one token"));
        }
        let kind = if device == Device::Cpu { Kind::Int64 } else { Kind::Int };
        let offsets = Tensor::f_arange_start_step(0, (count + 1) * length, length, (kind, device))?;
        let mut first = offsets.f_narrow(0, 0, count)?.f_to_kind(Kind::Int64)?;
        if device == Device::Cpu {
            let filling = filled_sequences(count as usize) as i64 - count;
            first = first.f_constant_pad_nd([0, filling])?;
        }
        let none = Tensor::f_zeros([0], (Kind::Int64, device))?;
        let [ids, types, positions] = [none.shallow_clone(), none.shallow_clone(), none];
        let groups = vec![LengthGroup { start: 0, count, length }];
        Ok(Self { ids, types, positions, first, offsets, groups })
    }

    /// How many tokens the sequences have in all.
    pub fn len(&self) -> i64 {
        self.groups.iter().map(|group| group.count * group.length).sum()
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// How many sequences there are.
    pub fn sequences(&self) -> i64 {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// Cuts `rows`, one per token, into the groups' rows. All at once, so that the backward pass puts the gradients
    /// together at once too.
    pub fn split(&self, rows: &Tensor) -> Result<Vec<Tensor>> {
        let mut sizes: Vec<i64> = self.groups.iter().map(|group| group.count * group.length).collect();
        sizes.push(rows.size().first().copied().unwrap_or(0) - self.len());
        let mut parts = rows.f_split_with_sizes(&sizes, 0)?;
        parts.truncate(self.groups.len());
        Ok(parts)
    }

    /// Tokens of the longest sequence.
    pub fn longest(&self) -> i64 {
        self.groups.iter().map(|group| group.length).max().unwrap_or(0)
    }
}

/// The tokens of a batch before they are tensors; see [`PackedTokens`].
pub struct TokenArrays {
    pub(super) ids: Vec<i64>,
    pub(super) types: Vec<i64>,
    pub(super) positions: Vec<i64>,
    pub(super) first: Vec<i64>,
    pub(super) groups: Vec<LengthGroup>,
}

impl TokenArrays {
    pub(super) fn onto(self, device: Device) -> Result<PackedTokens> {
        let Self { mut ids, mut types, mut positions, mut first, groups } = self;
        let mut offsets = first.clone();
        offsets.push(ids.len() as i64);
        if device == Device::Cpu {
            let rows = filled_tokens(ids.len());
            ids.resize(rows, 0);
            types.resize(rows, 0);
            positions.resize(rows, 0);
            first.resize(filled_sequences(first.len()), 0);
        }
        let [ids, types, positions, first, offsets] = to_device([&ids, &types, &positions, &first, &offsets], device)?;
        let offsets = if device == Device::Cpu { offsets } else { offsets.f_to_kind(Kind::Int)? };
        Ok(PackedTokens { ids, types, positions, first, offsets, groups })
    }
}

/// One-dimensional int64 tensors on `device`; to a GPU all of them are copied at once.
fn to_device<const COUNT: usize>(arrays: [&[i64]; COUNT], device: Device) -> Result<[Tensor; COUNT]> {
    let mut tensors = [(); COUNT].map(|()| Tensor::new());
    let Device::Cuda(gpu) = device else {
        for (tensor, values) in tensors.iter_mut().zip(arrays) {
            *tensor = Tensor::f_from_slice(values)?;
        }
        return Ok(tensors);
    };
    let all = native::to_gpu(&arrays.concat(), gpu)?;
    let mut start = 0;
    for (tensor, values) in tensors.iter_mut().zip(arrays) {
        *tensor = all.f_narrow(0, start, values.len() as i64)?;
        start += values.len() as i64;
    }
    Ok(tensors)
}
