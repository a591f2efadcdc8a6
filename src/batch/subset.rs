//! Some examples of a set as a set of their own: what parts of the data share (tokens, decoded images, and what frozen
//! stages compute of them) is made once, for the whole.

use std::collections::HashMap;
use std::sync::Arc;

use crate::batch::contract::{ExampleSet, Loaded, View, Windows};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;

/// The examples of `whole` at `indices`, in this order.
pub struct Subset {
    whole: Arc<dyn ExampleSet>,
    indices: Vec<usize>,
}

impl Subset {
    /// # Errors
    /// `whole` has no such example.
    pub fn new(whole: Arc<dyn ExampleSet>, indices: Vec<usize>) -> Result<Self> {
        match indices.iter().any(|&index| index >= whole.len()) {
            true => Err(Error::failure("a part has an example that the whole does not have")),
            false => Ok(Self { whole, indices }),
        }
    }

    fn index(&self, index: usize) -> usize {
        self.indices.get(index).copied().unwrap_or(usize::MAX)
    }
}

/// The set that `set` is a part of, with the indices of its examples there; itself and none where it is no part.
pub fn whole_of(set: &Arc<dyn ExampleSet>) -> (&Arc<dyn ExampleSet>, Option<&[usize]>) {
    match set.as_part() {
        Some((whole, indices)) => (whole, Some(indices)),
        None => (set, None),
    }
}

impl ExampleSet for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn cost(&self, index: usize) -> usize {
        self.whole.cost(self.index(index))
    }

    fn unit(&self) -> &'static str {
        self.whole.unit()
    }

    fn representatives(&self) -> Vec<usize> {
        let of_whole = self.whole.representatives();
        let mut first_of = HashMap::with_capacity(self.len());
        let places = self.indices.iter().enumerate();
        places.map(|(place, &index)| *first_of.entry(of_whole.get(index)).or_insert(place)).collect()
    }

    fn content(&self, index: usize) -> Option<&str> {
        self.whole.content(self.index(index))
    }

    fn as_part(&self) -> Option<(&Arc<dyn ExampleSet>, &[usize])> {
        Some((&self.whole, &self.indices))
    }

    fn windows(&self) -> Option<Windows> {
        let whole = self.whole.windows()?;
        let mut indices = Vec::new();
        let ends = self.indices.iter().map(|&text| {
            indices.extend(whole.of(text));
            indices.len()
        });
        let ends = ends.collect();
        Some(Windows { set: Arc::new(Self { whole: Arc::clone(&whole.set), indices }), ends, ..whole })
    }

    fn add_to(&self, hash: &mut Fingerprint) {
        self.whole.add_to(hash);
        for &index in &self.indices {
            hash.bytes((index as u64).to_le_bytes());
        }
    }

    fn load(&self, examples: &[usize], view: View) -> Result<Loaded> {
        let of_whole: Vec<usize> = examples.iter().map(|&example| self.index(example)).collect();
        let Loaded { examples: loaded, contents } = self.whole.load(&of_whole, view)?;
        // The whole has its own order in a batch.
        let place_of: HashMap<usize, usize> = of_whole.iter().copied().zip(examples.iter().copied()).collect();
        let examples = loaded.iter().filter_map(|index| place_of.get(index).copied()).collect();
        Ok(Loaded { examples, contents })
    }

    fn is_slow_to_load(&self) -> bool {
        self.whole.is_slow_to_load()
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::batch::TokenizedSet;

    #[test]
    fn a_part_reads_as_if_it_were_a_set_of_its_own() -> Result<()> {
        let texts: [&[u32]; 5] = [&[1, 2, 3], &[4], &[5, 6], &[4], &[7, 8, 9, 10]];
        let set_of = |indices: &[usize]| {
            let mut set = TokenizedSet::default();
            indices.iter().for_each(|&index| set.push(texts[index], &[]));
            set
        };
        let chosen = vec![3, 4, 1, 0];
        let (whole, alone) = (set_of(&[0, 1, 2, 3, 4]), set_of(&chosen));
        let part = Subset::new(Arc::new(whole), chosen)?;
        assert_eq!(part.representatives(), alone.representatives());
        assert_eq!((0..4).map(|index| part.cost(index)).collect::<Vec<_>>(), [1, 4, 1, 3]);
        let (found, expected) = (part.batch(&[1, 0, 3], Device::Cpu)?, alone.batch(&[1, 0, 3], Device::Cpu)?);
        assert_eq!(found.examples, expected.examples);
        assert_eq!(found.inputs.tokens()?.ids, expected.inputs.tokens()?.ids);
        let part: Arc<dyn ExampleSet> = Arc::new(part);
        assert_eq!(whole_of(&part).1, Some(&[3, 4, 1, 0][..]));
        assert!(Subset::new(whole_of(&part).0.clone(), vec![5]).is_err());
        Ok(())
    }
}
