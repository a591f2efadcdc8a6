//! The memory that images of example sets may fill: one budget for all sets of a run, each of which gives back what it
//! took when it is dropped. What is kept in that memory is up to [`super::images`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of memory that are left for cached images.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    left: Arc<AtomicU64>,
}

impl MemoryBudget {
    /// All `bytes` are free. Clones share them.
    pub fn of(bytes: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(bytes)) }
    }

    /// A reservation that holds nothing yet.
    pub fn reservation(&self) -> Reservation {
        Reservation { left: Arc::clone(&self.left), taken: AtomicU64::new(0) }
    }
}

/// The part of a [`MemoryBudget`] that one set has taken; given back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    left: Arc<AtomicU64>,
    taken: AtomicU64,
}

impl Reservation {
    /// Takes `bytes` more of the budget. False, and nothing is taken, when the budget has fewer left.
    pub fn try_take(&self, bytes: usize) -> bool {
        let remainder = |left: u64| left.checked_sub(bytes as u64);
        let fits = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, remainder).is_ok();
        if fits {
            self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        fits
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.left.fetch_add(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reservation_took_is_given_back() {
        let budget = MemoryBudget::of(100);
        let (first, second) = (budget.reservation(), budget.reservation());
        assert!(first.try_take(60) && !second.try_take(41) && second.try_take(40) && !first.try_take(1));
        drop(first);
        assert!(second.try_take(60) && !second.try_take(1));
    }
}
