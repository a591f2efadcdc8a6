//! Memory for decoding: what one image may take, by what its header claims, and what all that are decoded at a time
//! may.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::image::decode::fault::Fault;
use crate::image::pixels::Limits;

/// Images whose decoding takes less wait for none.
const SMALL: u64 = 128 << 20;
/// What the others take together: one of the largest, or some.
const MOST_TOGETHER: u64 = 1 << 30;

static TAKEN: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// What the decoding of one image may take, and what it has taken of what all share; given back at its end.
pub struct Room<'a> {
    limits: &'a Limits,
    taken: u64,
}

impl<'a> Room<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Self { limits, taken: 0 }
    }

    /// What one image may take, in bytes.
    pub fn bytes(&self) -> usize {
        usize::try_from(self.limits.bytes).unwrap_or(usize::MAX)
    }

    /// The number of pixels that a header claims, when there is memory for so many bytes of each, whatever they are
    /// needed for. Waits for other large images.
    ///
    /// # Errors
    /// There are more than the limits allow, or none.
    pub fn take(
        &mut self,
        height: impl Into<u64>,
        width: impl Into<u64>,
        bytes_a_pixel: usize,
    ) -> Result<usize, Fault> {
        let (height, width) = (height.into(), width.into());
        if height == 0 || width == 0 {
            return Err(Fault::Broken("it has no pixels".to_owned()));
        }
        let limits = self.limits;
        let Some(pixels) = height.checked_mul(width).filter(|&pixels| pixels <= limits.pixels && pixels < 1 << 40)
        else {
            return Err(Fault::TooLarge { height, width, limit: limits.pixels });
        };
        let bytes = pixels.saturating_mul(bytes_a_pixel as u64);
        if bytes > limits.bytes {
            return Err(Fault::TooMuch { height, width, bytes, limit: limits.bytes });
        }
        if bytes > SMALL && self.taken == 0 {
            let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
            let is_full = |taken: &mut u64| *taken > 0 && *taken + bytes > MOST_TOGETHER;
            let mut taken = FREED.wait_while(taken, is_full).unwrap_or_else(PoisonError::into_inner);
            *taken += bytes;
            self.taken = bytes;
        }
        Ok(pixels as usize)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.taken > 0 {
            *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.taken;
            FREED.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn large_images_wait_for_each_other_and_small_ones_do_not() {
        let limits = Limits::default();
        let taken = |room: &mut Room, side: u32, bytes: usize| room.take(side, side, bytes).is_ok();
        assert!(taken(&mut Room::new(&limits), 13_300, 6) && !taken(&mut Room::new(&limits), 13_300, 8));
        assert!(!taken(&mut Room::new(&limits), 14_000, 3) && !taken(&mut Room::new(&limits), 0, 3));
        let mut first = Room::new(&limits);
        assert!(taken(&mut first, 10_000, 6));
        assert!(taken(&mut Room::new(&limits), 4_000, 6));
        thread::scope(|scope| {
            let (tell, told) = channel();
            let limits = &limits;
            scope.spawn(move || {
                let is_taken = taken(&mut Room::new(limits), 10_000, 6);
                tell.send(is_taken)
            });
            assert!(told.recv_timeout(Duration::from_millis(100)).is_err(), "the second waits");
            drop(first);
            assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
        });
    }
}
