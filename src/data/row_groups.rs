//! Rows that stay together wherever rows are divided: those with the same input, since a row that was also trained on
//! measures nothing, and those of one group, where the data name groups.

use std::collections::HashMap;
use std::hash::Hash;

/// Rows that stay together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowGroup {
    /// In increasing order.
    pub rows: Vec<usize>,
    /// How many of the rows have which label, in the order in which they appear.
    pub labels: Vec<(u32, usize)>,
}

impl RowGroup {
    /// The label of most rows, the smallest of equals.
    pub fn label(&self) -> u32 {
        self.labels.iter().max_by_key(|(label, count)| (*count, u32::MAX - label)).map_or(0, |(label, _)| *label)
    }
}

/// Which rows are tied to each other: sets that grow together.
pub struct Ties {
    /// Of each row one that it is tied to, up to one that is its own.
    parent: Vec<usize>,
}

impl Ties {
    /// So many rows, each for itself.
    pub fn new(rows: usize) -> Self {
        Self { parent: (0..rows).collect() }
    }

    /// Ties the rows that have the same key; `None` ties to nothing. `keys` are in the order of the rows.
    pub fn tie<K: Eq + Hash>(&mut self, keys: impl IntoIterator<Item = Option<K>>) {
        let mut first_of = HashMap::new();
        for (row, key) in keys.into_iter().enumerate().filter_map(|(row, key)| Some((row, key?))) {
            let first = *first_of.entry(key).or_insert(row);
            let (one, other) = (self.root(first), self.root(row));
            // The earlier row leads.
            if let Some(parent) = self.parent.get_mut(one.max(other)) {
                *parent = one.min(other);
            }
        }
    }

    fn root(&mut self, row: usize) -> usize {
        let mut root = row;
        while let Some(&parent) = self.parent.get(root).filter(|&&parent| parent != root) {
            root = parent;
        }
        // The next search is shorter.
        let mut row = row;
        while row != root {
            match self.parent.get_mut(row) {
                Some(parent) => row = std::mem::replace(parent, root),
                None => return root,
            }
        }
        root
    }

    /// The groups in the order of their first rows; the rows have these labels.
    pub fn groups<'a>(mut self, labels: impl IntoIterator<Item = &'a [u32]>) -> Vec<RowGroup> {
        let mut index_of: HashMap<usize, usize> = HashMap::new();
        let mut groups: Vec<RowGroup> = Vec::new();
        for (row, labels) in labels.into_iter().enumerate().take(self.parent.len()) {
            let index = *index_of.entry(self.root(row)).or_insert(groups.len());
            if index == groups.len() {
                groups.push(RowGroup::default());
            }
            let Some(group) = groups.get_mut(index) else { continue };
            group.rows.push(row);
            for &label in labels {
                match group.labels.iter_mut().find(|(known, _)| *known == label) {
                    Some((_, count)) => *count += 1,
                    None => group.labels.push((label, 1)),
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_of_several_kinds_join() {
        let mut ties = Ties::new(6);
        ties.tie(["a", "b", "a", "c", "d", "e"].map(Some));
        ties.tie([None, Some(1), Some(2), Some(2), None, Some(1)]);
        let groups = ties.groups([[0], [1], [0], [2], [0], [2]].iter().map(<[u32; 1]>::as_slice));
        let rows: Vec<&[usize]> = groups.iter().map(|group| group.rows.as_slice()).collect();
        assert_eq!(rows, [&[0, 2, 3][..], &[1, 5], &[4]]);
        assert_eq!(groups[0].labels, [(0, 2), (2, 1)]);
        assert_eq!((groups[0].label(), groups[1].label()), (0, 1));
    }
}
