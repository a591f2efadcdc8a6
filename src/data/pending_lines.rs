//! Lines that were read from a stream and given back, to be read again: one piece of memory, in which going on and
//! going back cost no more than the lines that are passed. What a line means is the business of [`super::delimited`].

/// The lines that come before those of the stream.
#[derive(Default)]
pub struct PendingLines {
    /// As they are in the file. Those that were taken last are kept, as they may come back.
    bytes: Vec<u8>,
    taken: usize,
    /// How many are not taken.
    pub count: u64,
}

impl PendingLines {
    /// How many bytes are not taken.
    pub fn byte_count(&self) -> u64 {
        self.rest().len() as u64
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// The next line with its line end, if it has one.
    pub fn next(&self) -> Option<&[u8]> {
        self.rest().split_inclusive(|&byte| byte == b'\n').next()
    }

    /// Appends the next line to `buffer`; false where none is left.
    pub fn append_to(&mut self, buffer: &mut Vec<u8>) -> bool {
        let Some(line) = self.next() else { return false };
        let length = line.len();
        buffer.extend_from_slice(line);
        self.taken += length;
        self.count -= 1;
        true
    }

    /// Puts the lines that were read last, from here and then from the stream, before the others.
    pub fn give_back(&mut self, lines: &[u8]) {
        self.count += memchr::memchr_iter(b'\n', lines).count() as u64 + u64::from(!lines.ends_with(b"\n"));
        match self.rest().is_empty() {
            true => *self = Self { bytes: lines.to_owned(), taken: 0, count: self.count },
            // They all came from here.
            false => self.taken -= lines.len().min(self.taken),
        }
    }

    /// Puts the line that follows in the stream here.
    pub fn push(&mut self, line: Vec<u8>) {
        *self = Self { bytes: line, taken: 0, count: 1 };
    }
}
