//! Text files that are not UTF-8: what their encoding is, by their beginning, and their bytes as UTF-8. A guess is made
//! only where it can hardly be wrong, and is said; otherwise the first row that is not UTF-8 is an error with its
//! place.

use std::io::{self, Read};

use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::reading_log::{Oddity, ReadingLog};

/// How a stream's bytes are to be read.
pub struct FoundEncoding {
    /// `None` for UTF-8, whose bytes are taken as they are.
    pub decoder: Option<&'static Encoding>,
    /// The length of the byte-order mark.
    pub mark: usize,
    /// How it was found out, where that is worth saying.
    pub reason: Option<&'static str>,
    /// Whether another encoding is possible.
    pub is_guess: bool,
}

/// The encoding of a stream that begins with `head`: the one that is `given`, otherwise what its first bytes say.
pub fn encoding_of(head: &[u8], given: Option<&'static Encoding>) -> FoundEncoding {
    let found = |decoder: &'static Encoding, mark, reason| FoundEncoding {
        decoder: (decoder != UTF_8).then_some(decoder),
        mark,
        reason,
        is_guess: false,
    };
    let is_utf_16 = |encoding| encoding == UTF_16LE || encoding == UTF_16BE;
    match (Encoding::for_bom(head), given) {
        (Some((marked, length)), None) if is_utf_16(marked) => found(marked, length, Some("by its byte-order mark")),
        (Some((marked, length)), Some(given)) if marked == given || is_utf_16(marked) && is_utf_16(given) => {
            found(marked, length, None)
        }
        (_, Some(given)) => found(given, 0, None),
        (Some((_, length)), None) => found(UTF_8, length, None),
        (None, None) => match utf_16_without_mark(head) {
            Some(encoding) => found(encoding, 0, Some("every other byte is 0")),
            None if looks_like_windows_1252(head) => FoundEncoding {
                is_guess: true,
                ..found(
                    WINDOWS_1252,
                    0,
                    Some("not UTF-8, and its accents are as Windows writes them in western Europe"),
                )
            },
            None => found(UTF_8, 0, None),
        },
    }
}

fn utf_16_without_mark(head: &[u8]) -> Option<&'static Encoding> {
    let head = head.get(..head.len().min(4096)).unwrap_or(head);
    let units = head.chunks_exact(2);
    let all = units.len();
    let (mut low_zero, mut high_zero) = (0, 0);
    for unit in units {
        low_zero += usize::from(unit.first() == Some(&0));
        high_zero += usize::from(unit.last() == Some(&0));
    }
    // ASCII characters have one byte that is 0, on the same side throughout.
    match (low_zero, high_zero) {
        _ if all < 4 => None,
        (0, zeros) if zeros * 2 >= all => Some(UTF_16LE),
        (zeros, 0) if zeros * 2 >= all => Some(UTF_16BE),
        _ => None,
    }
}

/// Whether bytes that are not UTF-8 read as a western European language in Windows-1252: a few letters with accents
/// among many without, and none in an unlikely place.
fn looks_like_windows_1252(head: &[u8]) -> bool {
    let (mut valid, mut invalid) = (0usize, 0usize);
    for chunk in head.utf8_chunks() {
        valid += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        invalid += chunk.invalid().len();
    }
    // What the beginning cuts short is no fault.
    let is_cut = head.utf8_chunks().last().is_some_and(|chunk| {
        let bytes = chunk.invalid();
        std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
    });
    if is_cut && invalid <= 3 || invalid == 0 || valid > 0 {
        return false;
    }
    let letters = head.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let high = head.iter().filter(|byte| !byte.is_ascii()).count();
    let unlikely =
        head.windows(3).filter(|three| matches!(three, [before, byte, after] if is_unlikely(*before, *byte, *after)));
    high * 4 <= letters && unlikely.count() * 3 <= high
}

fn is_unlikely(before: u8, byte: u8, after: u8) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    match byte {
        // These mean nothing.
        0x81 | 0x8D | 0x8F | 0x90 | 0x9D => true,
        // Capital letters.
        0x8A | 0x8C | 0x8E | 0x9F | 0xC0..=0xD6 | 0xD8..=0xDE => before.is_ascii_lowercase(),
        // Signs that stand in no word.
        0x80
        | 0x82
        | 0x84
        | 0x86..=0x89
        | 0x8B
        | 0x95
        | 0x98
        | 0x99
        | 0x9B
        | 0xA1..=0xA9
        | 0xAB..=0xAC
        | 0xAE..=0xB4 => is_letter(before) && is_letter(after),
        _ => false,
    }
}

/// Bytes in some encoding, read as UTF-8. What means nothing becomes U+FFFD and is counted.
pub struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    input: Vec<u8>,
    output: Vec<u8>,
    taken: usize,
    ended: bool,
    log: ReadingLog,
}

impl<R: Read> Decoded<R> {
    pub fn new(inner: R, encoding: &'static Encoding, log: ReadingLog) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Self { inner, decoder, input: vec![0; 16 * 1024], output: Vec::new(), taken: 0, ended: false, log }
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = self.inner.read(&mut self.input)?;
        self.ended = read == 0;
        let input = self.input.get(..read).unwrap_or_default();
        self.output.resize(self.decoder.max_utf8_buffer_length(read).unwrap_or(64 * 1024), 0);
        let (_, _, written, had_errors) = self.decoder.decode_to_utf8(input, &mut self.output, self.ended);
        self.output.truncate(written);
        self.taken = 0;
        if had_errors {
            let text = String::from_utf8_lossy(&self.output);
            self.log.notice_many(Oddity::Undecodable, text.matches('\u{FFFD}').count() as u64, 0);
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.output.len() && !self.ended {
            self.fill()?;
        }
        let mut rest = self.output.get(self.taken..).unwrap_or_default();
        let read = rest.read(buffer)?;
        self.taken += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_hardly_be_wrong_is_guessed() {
        let guess = |bytes: &[u8]| encoding_of(bytes, None).decoder.map(Encoding::name);
        assert_eq!(guess(b"text,label\nSch\xF6ne Gr\xFC\xDFe,gut\n"), Some("windows-1252"));
        assert_eq!(guess("text,label\nSchöne Grüße,gut\n".as_bytes()), None);
        // Cut in the middle of a character.
        assert_eq!(guess(b"text,label\nSch\xC3"), None);
        // A bad byte in UTF-8.
        assert_eq!(guess(b"text,label\nSch\xC3\xB6ne Gr\xFC\xDFe,gut\n"), None);
        // Russian in Windows-1251, German as DOS wrote it.
        assert_eq!(guess(b"text,label\n\xD5\xEE\xF0\xEE\xF8\xE8\xE9 \xF4\xE8\xEB\xFC\xEC,good\n"), None);
        assert_eq!(guess(b"text,label\nSch\x94ne Gr\x81\xE1e, s\x81\xE1,gut\n"), None);
        assert_eq!(guess(b"t\0e\0x\0t\0\n\0"), Some("UTF-16LE"));
        assert_eq!(guess(b"\0t\0e\0x\0t\0\n"), Some("UTF-16BE"));
        assert_eq!(guess(b"\xFF\xFEt\0e\0"), Some("UTF-16LE"));
    }

    #[test]
    fn bytes_are_decoded_across_reads() {
        let log = ReadingLog::default();
        let text = "é, 😎 und ü\n".repeat(5000);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut read = String::new();
        Decoded::new(bytes.as_slice(), UTF_16LE, log.clone()).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        assert!(log.take_warnings().is_empty());
        Decoded::new(&b"a\0\0"[..], UTF_16LE, log.clone()).read_to_string(&mut read).unwrap();
        assert_eq!(log.take_warnings().len(), 1);
    }
}
