//! Inputs as a backbone reads them, and what they are prepared for.

use std::sync::Arc;

use crate::batch::ExampleSet;
use crate::error::Error;
use crate::transform::unread::Unread;

/// What will be done with examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// They are trained on: images are augmented, where that is asked for.
    Training,
    /// They are only answered: images are not augmented.
    Inference,
}

/// Inputs as a backbone reads them.
pub struct Prepared {
    /// Those that can be used, in their order.
    pub set: Arc<dyn ExampleSet>,
    /// The places of the others, and what is wrong with each; only images have such.
    pub unusable: Vec<(usize, Error)>,
    /// What is to be known of the examples' sizes.
    pub statistics: String,
    /// What of the texts among them is not read.
    pub unread: Unread,
}

impl Prepared {
    /// The places of the inputs that can be used, of `inputs` in all.
    pub fn usable(&self, inputs: usize) -> Vec<usize> {
        let mut unusable = self.unusable.iter().map(|(place, _)| *place).peekable();
        (0..inputs).filter(|place| unusable.next_if_eq(place).is_none()).collect()
    }
}
