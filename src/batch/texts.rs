//! Tokenised texts as examples. A batch of them is packed ([`super::packed`]).

use std::collections::HashMap;

use crate::batch::contract::{Contents, ExampleSet, Loaded, View};
use crate::batch::packed::{LengthGroup, TokenArrays};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;

/// Token ids of many texts in three flat arrays: small for millions of texts, and quick to make batches from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenizedSet {
    ids: Vec<u32>,
    types: Vec<u8>,
    /// `ends[i]` is where text `i` ends in `ids`.
    ends: Vec<usize>,
}

impl TokenizedSet {
    /// Adds a text: its token ids, and the segment of each token.
    pub fn push(&mut self, ids: &[u32], types: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.types.extend(types.iter().map(|&segment| segment.min(255) as u8));
        self.types.resize(self.ids.len(), 0);
        self.ends.push(self.ids.len());
    }

    /// The token ids of text `index`.
    pub fn ids(&self, index: usize) -> &[u32] {
        &self.ids[self.range(index)]
    }

    /// The segments of the tokens of text `index`.
    pub fn types(&self, index: usize) -> &[u8] {
        &self.types[self.range(index)]
    }

    /// Tokens of all texts.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens of the longest text.
    pub fn longest(&self) -> usize {
        (0..self.len()).map(|index| self.cost(index)).max().unwrap_or(0)
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }
}

impl ExampleSet for TokenizedSet {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn cost(&self, index: usize) -> usize {
        self.range(index).len()
    }

    fn representatives(&self) -> Vec<usize> {
        let mut first_of: HashMap<(&[u32], &[u8]), usize> = HashMap::with_capacity(self.len());
        (0..self.len()).map(|index| *first_of.entry((self.ids(index), self.types(index))).or_insert(index)).collect()
    }

    fn unit(&self) -> &'static str {
        "tokens"
    }

    fn add_to(&self, hash: &mut Fingerprint) {
        for index in 0..self.len() {
            hash.bytes((self.ids(index).len() as u64).to_le_bytes());
            hash.bytes(self.types(index));
            for id in self.ids(index) {
                hash.bytes(id.to_le_bytes());
            }
        }
    }

    fn load(&self, examples: &[usize], _view: View) -> Result<Loaded> {
        if examples.is_empty() {
            return Err(Error::failure("a batch needs at least one example"));
        }
        let mut examples = examples.to_vec();
        examples.sort_by_key(|&index| self.cost(index));

        let total = examples.iter().map(|&index| self.cost(index)).sum();
        let (mut ids, mut types, mut positions) =
            (Vec::with_capacity(total), Vec::with_capacity(total), Vec::with_capacity(total));
        let mut first = Vec::with_capacity(examples.len());
        let mut groups: Vec<LengthGroup> = Vec::new();
        for &index in &examples {
            let (start, length) = (ids.len() as i64, self.cost(index) as i64);
            first.push(start);
            ids.extend(self.ids(index).iter().map(|&id| i64::from(id)));
            types.extend(self.types(index).iter().map(|&segment| i64::from(segment)));
            positions.extend(0..length);
            match groups.last_mut() {
                Some(group) if group.length == length => group.count += 1,
                _ => groups.push(LengthGroup { start, count: 1, length }),
            }
        }
        Ok(Loaded { examples, contents: Contents::Tokens(TokenArrays { ids, types, positions, first, groups }) })
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Tensor};

    use super::*;

    #[test]
    fn equal_lengths_become_neighbours_and_positions_restart() -> Result<()> {
        let mut set = TokenizedSet::default();
        set.push(&[1, 2, 3], &[0, 0, 1]);
        set.push(&[4], &[0]);
        set.push(&[5, 6, 7], &[0, 0, 0]);
        let batch = set.batch(&[2, 1, 0], Device::Cpu)?;
        let tokens = batch.inputs.tokens()?;
        assert_eq!(batch.examples, [1, 2, 0]);
        assert_eq!(
            tokens.groups,
            [LengthGroup { start: 0, count: 1, length: 1 }, LengthGroup { start: 1, count: 2, length: 3 }]
        );
        let filled = |values: [i64; 7]| Tensor::from_slice(&[&values[..], &[0; 9]].concat());
        assert_eq!(tokens.ids, filled([4, 5, 6, 7, 1, 2, 3]));
        assert_eq!(tokens.types, filled([0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(tokens.positions, filled([0, 0, 1, 2, 0, 1, 2]));
        assert_eq!(tokens.offsets, Tensor::from_slice(&[0i64, 1, 4, 7]));
        assert_eq!(tokens.first, Tensor::from_slice(&[&[0i64, 1, 4][..], &[0; 13]].concat()));
        assert_eq!(tokens.sequences(), 3);
        Ok(())
    }

    #[test]
    fn an_empty_batch_is_an_error_value() {
        assert!(TokenizedSet::default().batch(&[], Device::Cpu).is_err());
    }
}
