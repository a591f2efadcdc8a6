//! Kinds of file that are known and not read, with what a person can do instead.

use crate::error::Error;

/// The error for a kind of file that is not read, by its usual extension; `None` for every other one.
pub fn unsupported(extension: &str) -> Option<Error> {
    let (what, hint) = match extension {
        "zip" => (
            "a zip archive",
            "unpack it (unzip) and pass the file inside; a spreadsheet's name must end in .xlsx or .ods",
        ),
        "tar" | "tgz" => ("a tar archive", "unpack it (tar -xf) and pass the file inside"),
        "bz2" => ("compressed with bzip2", "decompress it first (bunzip2); .gz and .zst are read as they are"),
        "xz" => ("compressed with xz", "decompress it first (unxz); .gz and .zst are read as they are"),
        "sqlite" | "db" => ("a database", "export the table as CSV and pass that file"),
        _ => return None,
    };
    Some(Error::request(format!("the file is {what}, which is not read")).hint(hint))
}

/// The error for content that is not to be read as a stream of bytes, by its first bytes: archives, and what is only
/// read from a file whose name says what it is.
pub fn unsupported_content(head: &[u8]) -> Option<Error> {
    const SIGNATURES: [(&[u8], &str); 3] = [(b"BZh", "bz2"), (b"\xFD7zXZ\0", "xz"), (b"SQLite format 3\0", "sqlite")];
    const FROM_FILES: [(&[u8], &str, &str); 4] = [
        (b"ARROW1", "an Arrow file", "it is not read from a pipe: name a file that ends in .arrow or .feather"),
        (b"PAR1", "a Parquet file", "it is read from its end, so not from a pipe: name a file that ends in .parquet"),
        (b"\xD0\xCF\x11\xE0", "a workbook of an older Excel", "name a file that ends in .xls"),
        (
            b"PK\x03\x04",
            "a spreadsheet or a zip archive",
            "a spreadsheet is read from a file that ends in .xlsx, .xlsb or .ods; unpack an archive (unzip) first",
        ),
    ];
    if let Some((_, what, hint)) = FROM_FILES.iter().find(|(signature, ..)| head.starts_with(signature)) {
        return Some(Error::request(format!("the content is {what}, not text")).hint(*hint));
    }
    SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)).and_then(|(_, kind)| unsupported(kind))
}
