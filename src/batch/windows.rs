//! Texts that are read in several windows, as a set of examples above the set of their windows. How a text is divided
//! is decided where it is tokenised.

use std::collections::HashMap;

use crate::batch::contract::{ExampleSet, Loaded, View, Windows};
use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;

/// Texts, each of which is read in one or more windows.
pub struct WindowedTexts(Windows);

impl WindowedTexts {
    /// # Errors
    /// The ends are not those of the windows.
    pub fn new(windows: Windows) -> Result<Self> {
        let ends = &windows.ends;
        let is_sound = ends.windows(2).all(|pair| pair[0] < pair[1]) && ends.first().is_none_or(|&end| end > 0);
        match is_sound && ends.last().copied().unwrap_or(0) == windows.set.len() {
            true => Ok(Self(windows)),
            false => Err(Error::failure("windows without a text, or a text without windows")),
        }
    }
}

impl ExampleSet for WindowedTexts {
    fn len(&self) -> usize {
        self.0.ends.len()
    }

    fn cost(&self, index: usize) -> usize {
        self.0.of(index).map(|window| self.0.set.cost(window)).sum()
    }

    fn unit(&self) -> &'static str {
        self.0.set.unit()
    }

    fn representatives(&self) -> Vec<usize> {
        let of_windows = self.0.set.representatives();
        let mut first_of = HashMap::with_capacity(self.len());
        (0..self.len()).map(|text| *first_of.entry(of_windows.get(self.0.of(text))).or_insert(text)).collect()
    }

    fn windows(&self) -> Option<Windows> {
        Some(self.0.clone())
    }

    fn add_to(&self, hash: &mut Fingerprint) {
        let Windows { set, ends, pooling, pooled } = &self.0;
        hash.bytes(format!("windows {pooling} {pooled:?}"));
        ends.iter().for_each(|end| hash.bytes((*end as u64).to_le_bytes()));
        set.add_to(hash);
    }

    fn load(&self, _examples: &[usize], _view: View) -> Result<Loaded> {
        Err(Error::failure("a text that is read in windows has no batch: its windows have"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::batch::{Pooled, Subset, TokenizedSet};
    use crate::config::WindowPooling;

    fn texts(pooling: WindowPooling) -> Arc<dyn ExampleSet> {
        let mut set = TokenizedSet::default();
        for ids in [&[1, 2, 3][..], &[3, 4], &[5], &[1, 2, 3], &[3, 4], &[1, 2, 3]] {
            set.push(ids, &[]);
        }
        let windows = Windows { set: Arc::new(set), ends: [2, 3, 5, 6].into(), pooling, pooled: Pooled::Logits };
        Arc::new(WindowedTexts::new(windows).expect("windows"))
    }

    #[test]
    fn every_text_weighs_the_same() -> Result<()> {
        let set = texts(WindowPooling::Mean);
        assert_eq!((0..4).map(|text| set.cost(text)).collect::<Vec<_>>(), [5, 1, 5, 3]);
        assert_eq!(set.representatives(), [0, 1, 0, 3]);
        let windows = set.windows().expect("windows");
        assert_eq!(windows.texts(), [0, 0, 1, 2, 2, 3]);
        assert_eq!(windows.weights(), [0.75, 0.75, 1.5, 0.75, 0.75, 1.5]);
        // Of a part the windows are those of its texts.
        let part = Subset::new(set, vec![3, 0])?;
        let windows = part.windows().expect("windows");
        assert_eq!((windows.set.len(), &*windows.ends), (3, &[1, 3][..]));
        assert_eq!((0..3).map(|window| windows.set.cost(window)).collect::<Vec<_>>(), [3, 3, 2]);
        Ok(())
    }

    #[test]
    fn rows_of_windows_become_one() {
        let pool = |pooling, rows: &[f32]| texts(pooling).windows().expect("windows").pool(rows, 2);
        assert_eq!(pool(WindowPooling::Mean, &[1.0, -2.0, 3.0, -4.0]), [2.0, -3.0]);
        assert_eq!(pool(WindowPooling::Max, &[1.0, -2.0, 3.0, -4.0]), [3.0, -2.0]);
        assert_eq!(pool(WindowPooling::Mean, &[0.1, 0.7]), [0.1, 0.7]);
        assert!(pool(WindowPooling::Max, &[1.0, f32::NAN, 3.0, 0.0])[1].is_nan());
        assert!(pool(WindowPooling::Max, &[1.0, 0.0, 3.0, f32::NAN])[1].is_nan());
    }

    #[test]
    fn a_text_without_windows_is_refused() {
        let set: Arc<dyn ExampleSet> = Arc::new(TokenizedSet::default());
        let of = |ends: &[usize]| {
            let (pooling, pooled) = (WindowPooling::Mean, Pooled::Logits);
            WindowedTexts::new(Windows { set: Arc::clone(&set), ends: ends.into(), pooling, pooled })
        };
        assert!(of(&[]).is_ok() && of(&[0]).is_err() && of(&[1]).is_err());
    }
}
