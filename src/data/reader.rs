//! Reading a data file row by row, whatever its format: the name or the first line says which of [`super::formats`] it
//! has, and that format's [`RowSource`] gives the rows. After an error the rows end.

use std::path::Path;

use super::DetectedSetting;
use super::bounded_lines::{MOST_COLUMNS, too_many_columns};
use super::compression::Compression;
use super::format::{FileFormat, FileLayout, OpenedRows, RowSource};
use super::format_choice::chosen_format;
use super::formats::FORMATS;
use super::header::Header;
use super::options::ReadOptions;
use super::reading_log::ReadingLog;
use super::row::Row;
use super::stream::{BytesRead, RawStream, is_standard_stream};
use super::unsupported::unsupported;
use crate::error::{Error, Result};
use crate::interrupt;

/// What a file's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedType {
    /// `None` when the name has no extension that says it.
    pub format: Option<FileFormat>,
    /// By the last extension; none for a stream without a name.
    pub compression: Compression,
}

impl NamedType {
    /// What is known of a stream without a name.
    fn unknown() -> Self {
        Self { format: None, compression: Compression::None }
    }

    /// Whether the name says that the file is compressed.
    pub fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    /// Reads format and compression off a file's name.
    ///
    /// # Errors
    /// For kinds of file that are known and not supported, with how to convert them.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let (stem, compression) = match name.rsplit_once('.') {
            Some((stem, last)) if Compression::of_extension(last) != Compression::None => {
                (stem, Compression::of_extension(last))
            }
            _ => (name.as_str(), Compression::None),
        };
        let extension = stem.rsplit_once('.').map_or("", |(_, extension)| extension);
        let format = FORMATS.into_iter().find(|format| format.extensions().contains(&extension));
        match unsupported(extension) {
            Some(error) if format.is_none() => Err(error.file(path)),
            _ => Ok(Self { format, compression }),
        }
    }
}

/// An iterator over a file's rows. After an error it ends.
pub struct RowReader {
    layout: FileLayout,
    header: Header,
    source: Box<dyn RowSource>,
    /// Rows that were given out.
    rows: u64,
    /// Rows of the file up to here, those that cannot be read included.
    numbered: u64,
    failed: bool,
    /// Whether rows that cannot be read are left out.
    skip: bool,
    log: ReadingLog,
    choices: Vec<DetectedSetting>,
    encoding: Option<&'static str>,
    bytes_read: BytesRead,
    /// Whether nobody knows how much is still to come.
    is_pipe: bool,
}

impl RowReader {
    /// Opens a file (`-`: standard input) and reads its header, or the first object's keys.
    ///
    /// # Errors
    /// The file cannot be opened, is empty, or has a header that cannot be used.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self> {
        for format in FORMATS {
            if let Some(opened) = format.open_path(path, options)? {
                return Self::of_opened(opened, options, ReadingLog::default());
            }
        }
        let named = if is_standard_stream(path) { NamedType::unknown() } else { NamedType::of(path)? };
        Self::of_stream(RawStream::open(path)?, named, options)
    }

    /// Reads a stream; its first line decides what `named` leaves open.
    fn of_stream(stream: RawStream, named: NamedType, options: &ReadOptions) -> Result<Self> {
        let (stream, bytes_read) = stream.decompressed(named.compression, options.encoding)?;
        let (format, mut choices) = chosen_format(&stream, named.format, options)?;
        choices.extend(stream.choices.iter().cloned());
        let (log, encoding) = (stream.log.clone(), stream.encoding);
        let mut reader = Self::of_opened(format.open_stream(stream, options)?, options, log)?;
        choices.append(&mut reader.choices);
        Ok(Self { choices, encoding, is_pipe: bytes_read.total.is_none(), bytes_read, ..reader })
    }

    fn of_opened(opened: OpenedRows, options: &ReadOptions, log: ReadingLog) -> Result<Self> {
        let OpenedRows { layout, rows: source, choices } = opened;
        if layout.columns.len() > MOST_COLUMNS {
            return Err(too_many_columns(&layout.file));
        }
        if let Some(doubt) = &layout.style.header_doubt {
            log.say(doubt.clone());
        }
        Ok(Self {
            header: Header::of(&layout.columns, layout.style.no_header),
            layout,
            source,
            rows: 0,
            numbered: 0,
            failed: false,
            skip: options.skip_bad_rows,
            log,
            choices,
            encoding: None,
            bytes_read: BytesRead::default(),
            is_pipe: false,
        })
    }

    /// The columns' names, as in [`FileLayout::columns`].
    pub fn columns(&self) -> &[String] {
        &self.layout.columns
    }

    /// By the path, the file's name or its first line.
    pub fn format(&self) -> FileFormat {
        self.layout.format
    }

    /// What a writer must know to write the rows again.
    pub fn layout(&self) -> &FileLayout {
        &self.layout
    }

    /// What was found out about the file rather than given, with reasons.
    pub fn choices(&self) -> &[DetectedSetting] {
        &self.choices
    }

    /// The name of the encoding that a text file has, where that is not UTF-8.
    pub fn encoding(&self) -> Option<&'static str> {
        self.encoding
    }

    /// How many rows there are, where that is known without reading them.
    pub fn row_count(&self) -> Option<u64> {
        self.source.remaining().map(|remaining| self.rows + remaining)
    }

    /// How far reading has come; may be watched while another thread reads.
    pub fn bytes_read(&self) -> BytesRead {
        self.bytes_read.clone()
    }

    /// Skips `count` rows, to continue where an earlier run stopped; fewer when the file ends before.
    pub fn skip_rows(&mut self, count: u64) -> Result<u64> {
        for skipped in 0..count {
            if self.read()?.is_none() {
                return Ok(skipped);
            }
        }
        Ok(count)
    }

    /// What is noticed while the rows are read; may be asked while another thread reads.
    pub fn log(&self) -> ReadingLog {
        self.log.clone()
    }

    /// How many rows were read, those that cannot be used included.
    pub fn rows_read(&self) -> u64 {
        self.numbered
    }

    fn read(&mut self) -> Result<Option<Row>> {
        loop {
            match self.next_row() {
                Err((error, true)) => {
                    self.numbered += 1;
                    self.log.bad_row(error);
                    if !self.skip {
                        return self.refusal().map_or(Ok(None), Err);
                    }
                }
                Err((error, false)) => return Err(error),
                Ok(row) => {
                    self.rows += u64::from(row.is_some());
                    self.numbered += u64::from(row.is_some());
                    return Ok(row);
                }
            }
        }
    }

    /// The next row; or why it cannot be used, with whether the one after it can be read all the same.
    fn next_row(&mut self) -> Result<Option<Row>, (Error, bool)> {
        let row = self.source.next_row(self.numbered + 1).map_err(|error| (error, self.source.goes_on()))?;
        match row {
            Some(row) if self.header.is_again(&row) => {
                let error = Error::request("the header comes again here, in the middle of the rows")
                    .hint("were files joined? Remove the line");
                Err((error.file(&self.layout.file).row(row.number).line(row.line), true))
            }
            row => Ok(row),
        }
    }

    /// The error of a row that cannot be read, with how many others there are; the rest of a file is read for that.
    fn refusal(&mut self) -> Option<Error> {
        while !self.is_pipe && !interrupt::requested() {
            match self.next_row() {
                Ok(Some(_)) => {}
                Err((error, true)) => self.log.bad_row(error),
                _ => break,
            }
            self.numbered += 1;
        }
        self.log.take_refusal(self.numbered)
    }
}

impl Iterator for RowReader {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.read();
        self.failed = row.is_err();
        row.transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::io::{Cursor, Write};

    use super::super::format_choice::sniffed;
    use super::super::options::TextColumns;
    use super::super::row::Record;
    use super::*;

    fn reader(name: &str, bytes: &[u8], options: &ReadOptions) -> Result<RowReader> {
        let named = if name == "-" { NamedType::unknown() } else { NamedType::of(Path::new(name))? };
        let bytes = Box::new(Cursor::new(bytes.to_owned()));
        RowReader::of_stream(RawStream { bytes, total: None, name: name.into() }, named, options)
    }

    fn sniff(first_line: &str, text: Option<&str>) -> String {
        let text = text.map(|name| TextColumns::new([name]));
        sniffed(first_line.as_bytes(), &ReadOptions { text, ..ReadOptions::default() }).unwrap().0.to_string()
    }

    #[test]
    fn names_say_format_and_compression() {
        let read = |name: &str| {
            let named = NamedType::of(Path::new(name))?;
            Ok::<_, Error>((named.format.map(super::super::format::Format::name), named.compression))
        };
        assert_eq!(read("a/B.CSV").unwrap(), (Some("csv"), Compression::None));
        assert_eq!(read("x.tsv.gz").unwrap(), (Some("tsv"), Compression::Gzip));
        assert_eq!(read("x.ndjson.zst").unwrap(), (Some("jsonl"), Compression::Zstd));
        assert_eq!(read("reviews").unwrap(), (None, Compression::None));
        assert_eq!(read("x.feather").unwrap(), (Some("arrow"), Compression::None));
        let error = read("x.sqlite").unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(error.hint_text().unwrap().contains("as CSV"));
    }

    #[test]
    fn no_extension_belongs_to_two_formats() {
        let mut extensions: Vec<&str> = FORMATS.iter().flat_map(|format| format.extensions()).copied().collect();
        let all = extensions.len();
        extensions.sort_unstable();
        extensions.dedup();
        assert_eq!(extensions.len(), all);
    }

    #[test]
    fn first_line_tells_the_format_of_a_pipe() {
        assert_eq!(sniff("{\"text\": \"a\"}", None), "jsonl");
        assert_eq!(sniff("id,text\r", None), "csv");
        assert_eq!(sniff("id\tsentence", None), "tsv");
        assert_eq!(sniff("What a film, what a text", None), "plain lines");
        assert_eq!(sniff("id,Beschreibung", None), "plain lines");
        assert_eq!(sniff("id;\"Beschreibung\"", Some("Beschreibung")), "csv");
        assert_eq!(sniff("", None), "plain lines");
        assert_eq!(sniff("[", None), "jsonl");
    }

    /// Rows as lists of texts.
    fn read(name: &str, bytes: &[u8]) -> Result<Vec<Vec<String>>> {
        let reader = reader(name, bytes, &ReadOptions::default())?;
        let columns = reader.columns().to_vec();
        reader
            .map(|row| {
                let row = row?;
                Ok(columns
                    .iter()
                    .enumerate()
                    .filter_map(|(index, name)| row.text(name, index))
                    .map(Cow::into_owned)
                    .collect())
            })
            .collect()
    }

    fn refusal(name: &str, bytes: &[u8]) -> String {
        let error = read(name, bytes).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        error.to_string()
    }

    #[test]
    fn reads_what_people_have() {
        let table = [["1", "é"], ["2", ""]];
        assert_eq!(read("x.csv", "id,text\n1,é\n2,\n".as_bytes()).unwrap(), table);
        assert_eq!(read("x.csv", "\u{feff}id,text\r\n\r\n1,é\r\n2,".as_bytes()).unwrap(), table);
        assert_eq!(read("x.csv", "id;text\n1;é\n2;\n".as_bytes()).unwrap(), table);
        assert_eq!(read("x.tsv", "id\ttext\n1\té\n2\t\n".as_bytes()).unwrap(), table);
        assert_eq!(
            read("x.jsonl", "{\"id\":1,\"text\":\"é\"}\n\n{\"text\":\"\",\"id\":\"2\"}".as_bytes()).unwrap(),
            table
        );
        assert_eq!(read("x.txt", b"a\n\n b \r\nc").unwrap(), [["a"], [""], [" b "], ["c"]]);
        assert_eq!(read("-", b"one line, and\nanother\n").unwrap(), [["one line, and"], ["another"]]);
        assert_eq!(read("-", b"id\ttext\n1\tx\n").unwrap(), [["1", "x"]]);
        assert_eq!(read("x.csv", b"text,label\n").unwrap(), Vec::<Vec<String>>::new());
    }

    #[test]
    fn decompresses_by_content() {
        let plain = b"id,text\n1,x\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(plain).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for (name, bytes) in [("x.csv.gz", &gzip), ("x.csv.zst", &zstd), ("-", &gzip), ("-", &zstd)] {
            assert_eq!(read(name, bytes).unwrap(), [["1", "x"]], "{name}");
            let cut = &bytes[..bytes.len() - 5];
            assert!(read(name, cut).unwrap_err().to_string().contains("damaged or cut short"), "{name}");
        }
        assert!(refusal("x.csv.gz", plain).contains("the name says compressed"));
        // Members one after another are one file.
        let mut more = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        more.write_all(b"2,y\n").unwrap();
        let two = [gzip, more.finish().unwrap()].concat();
        assert_eq!(read("x.csv.gz", &two).unwrap(), [["1", "x"], ["2", "y"]]);
    }

    #[test]
    fn places_of_faults_are_exact() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("x.csv", b"", "the file is empty"),
            ("x.csv", b"\n\n", "the file is empty"),
            ("x.jsonl", b"\n", "the file is empty"),
            ("x.txt", b"", "the file is empty"),
            ("x.csv", b"a,b\n1,2\n\n\"x\ny\",1\n1,2,3\n", "row 3 (line 6): 3 fields where the header has 2"),
            ("x.csv", b"a,b\n1,2\n1,\"x\n\n", "row 2 (line 3): the quote opened on line 3 is not closed"),
            ("x.csv", b"a,b\n1,2\n1,\"x\"y\n", "row 2 (line 3): text after the closing quote of field 2"),
            (
                "x.csv",
                b"a,b\n\xC3\xA9,x\xE9\n",
                "row 1 (line 2): column `b`: not UTF-8: byte 0xE9 at offset 8 of the file",
            ),
            ("x.csv", b"\xEF\xBB\xBFa,b\n1,x\0\n", "row 1 (line 2): column `b`: a NUL byte at offset 10"),
            ("x.csv", b"a,b\n1,2\na,b\n", "row 2 (line 3): the header comes again here"),
            (
                "x.jsonl",
                b"{\"a\":1}\n{\"a\":1,\"a\":2}\n",
                "row 2 (line 2): not a JSON object: the key `a` appears twice",
            ),
            ("x.csv", b"a,b\r1,2\r", "the lines end in a carriage return alone"),
            (
                "x.jsonl",
                b"{\"a\":1}\n{\"a\":}\n",
                "row 2 (line 2): not a JSON object: expected value (character 6 of the line)",
            ),
            ("x.json", b"[\n[1]]", "row 1 (line 2): not a JSON object"),
            ("x.txt", b"a\n\xC3(\n", "row 2 (line 2): not UTF-8: byte 0xC3 at offset 2"),
            ("x.csv", b"PAR1\x15", "the content is a Parquet file, not text"),
        ];
        for &(name, bytes, expected) in cases {
            assert!(refusal(name, bytes).contains(expected), "{}", refusal(name, bytes));
        }
        assert!(read("x.json", b"[7]").unwrap_err().hint_text().unwrap().contains("each element"));
    }

    #[test]
    fn memory_is_bounded_and_an_error_ends_the_rows() {
        let options = ReadOptions { max_row_bytes: Some(1000), ..ReadOptions::default() };
        for name in ["x.csv", "x.txt", "x.jsonl"] {
            let bytes = [b"{\"text\":1}\n".as_slice(), &[b'a'; 5000], b"\nb\n"].concat();
            let rows: Vec<Result<Row>> = reader(name, &bytes, &options).unwrap().collect();
            let error = rows.last().unwrap().as_ref().unwrap_err();
            assert!(error.to_string().contains("longer than 1000 bytes"), "{error}");
            assert!(rows.len() <= 2);
        }
    }

    #[test]
    fn rows_can_be_skipped_and_progress_watched() {
        let mut reader = reader("x.txt", b"a\nb\nc\n", &ReadOptions::default()).unwrap();
        assert_eq!(reader.skip_rows(2).unwrap(), 2);
        assert_eq!(reader.next().unwrap().unwrap(), Row::new(3, 3, Record::Line("c".into())));
        assert_eq!(reader.skip_rows(2).unwrap(), 0);
        assert_eq!(reader.bytes_read().so_far(), 6);
    }

    #[test]
    fn the_share_of_a_file_grows_with_its_rows() {
        let text: String = (0..50_000).map(|row| format!("{row},text number {}\n", row * 7919 % 10_007)).collect();
        let plain = format!("id,text\n{text}").into_bytes();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&plain).unwrap();
        let packed = [("x.csv.gz", gzip.finish().unwrap()), ("x.csv.zst", zstd::encode_all(&plain[..], 1).unwrap())];
        for (name, bytes) in [("x.csv", plain.clone())].into_iter().chain(packed) {
            let total = Some(bytes.len() as u64);
            let stream = RawStream { bytes: Box::new(Cursor::new(bytes)), total, name: name.into() };
            let named = NamedType::of(Path::new(name)).unwrap();
            let mut reader = RowReader::of_stream(stream, named, &ReadOptions::default()).unwrap();
            let watched = reader.bytes_read();
            // What is decompressed ahead is a few per cent of so small a file.
            let tolerance = if name == "x.csv" { 1e-3 } else { 0.2 };
            for tenth in 1..=10 {
                assert_eq!(reader.skip_rows(5_000).unwrap(), 5_000);
                let (share, expected) = (watched.share().unwrap(), f64::from(tenth) / 10.0);
                assert!((share - expected).abs() < 0.01 + tolerance, "{name}: {share} after {expected}");
            }
            assert!(reader.next().is_none());
            assert_eq!(watched.share(), Some(1.0), "{name}");
        }
    }

    #[test]
    fn any_bytes_are_rows_or_an_error() {
        let mut random = crate::random::Random::new(2);
        let parts: [&[u8]; 14] = [
            b"text",
            b",",
            b"\"",
            b"\n",
            b"\r",
            b"{\"a\":1}",
            b"{",
            b"[",
            b"\xC3\xA9",
            b"\xFF",
            b"\0",
            b"\t",
            b"\x1F\x8B",
            b"\xEF\xBB\xBF",
        ];
        for _ in 0..5_000 {
            let bytes: Vec<u8> =
                (0..random.below(12)).flat_map(|_| parts[random.below(parts.len() as u64) as usize]).copied().collect();
            for name in ["x.csv", "x.tsv", "x.jsonl", "x.txt", "x.csv.gz", "-"] {
                if let Err(error) = read(name, &bytes) {
                    assert_eq!(error.exit_status(), 2, "{error} on {name} {bytes:?}");
                }
            }
        }
    }
}
