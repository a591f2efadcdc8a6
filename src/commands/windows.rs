//! Where windows of rows begin and end. A default window grows with the rows before it, so that the first rows are soon
//! written and kept, and the others are computed in large numbers. It depends on nothing else: an output that is
//! resumed has the windows that it would have had. Rows that take more memory than a window may end it early, and the
//! next one has the rest of its rows.

use crate::transform::Transform;

/// Rows of the first window and of the largest, by default.
const TEXTS: [u64; 2] = [512, 8192];
/// Images are large and slow: fewer of them are held at once.
const IMAGES: [u64; 2] = [64, 512];

/// Rows take about this much memory in a window, and one row more.
pub const MOST_BYTES: usize = 64 << 20;

/// How many rows are computed together.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    first: u64,
    most: u64,
}

impl Windows {
    /// Of constant size where one is given, growing where not.
    pub fn new(given: Option<usize>, transform: &Transform) -> Self {
        let [first, most] = match transform {
            Transform::Text(_) => TEXTS,
            Transform::Image(_) => IMAGES,
        };
        match given.map(|given| given as u64) {
            Some(given) if matches!(transform, Transform::Image(_)) => Self::constant(given.min(most)),
            Some(given) => Self::constant(given),
            None => Self { first, most },
        }
    }

    fn constant(rows: u64) -> Self {
        Self { first: rows, most: rows }
    }

    /// Rows of the window that begins after `begin` rows: as many as are before it, and one window more.
    pub fn size_at(self, begin: u64) -> usize {
        (begin + self.first).min(self.most) as usize
    }

    /// How many rows there are from the row after `done` rows to the end of its window.
    pub fn rest_at(self, done: u64) -> usize {
        let begin = self.begin_of(done);
        self.size_at(begin) - (done - begin) as usize
    }

    /// The rows before the window in which the row after `done` rows is.
    pub fn begin_of(self, done: u64) -> u64 {
        let mut begin = 0;
        // Doubling is soon over.
        while begin + self.first < self.most {
            let next = begin + self.size_at(begin) as u64;
            if next > done {
                return begin;
            }
            begin = next;
        }
        done - (done - begin) % self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_double_up_to_the_largest_and_are_found_again() {
        for (windows, expected) in [
            (Windows { first: 512, most: 8192 }, [512, 1024, 2048, 4096, 8192, 8192, 8192]),
            (Windows { first: 64, most: 512 }, [64, 128, 256, 512, 512, 512, 512]),
            (Windows::constant(7), [7; 7]),
        ] {
            let mut begin = 0;
            for size in expected {
                assert_eq!(windows.size_at(begin), size);
                let end = begin + size as u64;
                for done in [begin, begin + 1, end - 1] {
                    assert_eq!(windows.begin_of(done), begin, "{windows:?} after {done} rows");
                    assert_eq!(windows.rest_at(done) as u64, end - done, "{windows:?} after {done} rows");
                }
                begin = end;
            }
        }
    }
}
