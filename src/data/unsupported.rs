//! Kinds of file that are known and not read, with what a person can do instead.

use crate::error::Error;

/// The error for a kind of file that is not read, by its usual extension; `None` for every other one.
pub fn unsupported(extension: &str) -> Option<Error> {
    let (what, hint) = match extension {
        "parquet" | "arrow" | "feather" => (
            "a column store (Parquet or Arrow)",
            "convert it first: python -c \"import pandas; \
             pandas.read_parquet('data.parquet').to_csv('data.csv', index=False)\"",
        ),
        "xlsx" | "xls" | "ods" => ("a spreadsheet", "save it as CSV with UTF-8 encoding and pass that file"),
        "zip" => ("a zip archive", "unpack it (unzip) and pass the file inside"),
        "tar" | "tgz" => ("a tar archive", "unpack it (tar -xf) and pass the file inside"),
        "bz2" => ("compressed with bzip2", "decompress it first (bunzip2); .gz and .zst are read as they are"),
        "xz" => ("compressed with xz", "decompress it first (unxz); .gz and .zst are read as they are"),
        "sqlite" | "db" => ("a database", "export the table as CSV and pass that file"),
        _ => return None,
    };
    Some(Error::request(format!("the file is {what}, which is not supported")).hint(hint))
}

/// The extension whose kind of file begins with the bytes `head`, for [`unsupported`]; empty when none does.
pub fn sniff_magic(head: &[u8]) -> &'static str {
    const SIGNATURES: [(&[u8], &str); 6] = [
        (b"PAR1", "parquet"),
        (b"PK\x03\x04", "zip"),
        (b"\xD0\xCF\x11\xE0", "xls"),
        (b"BZh", "bz2"),
        (b"\xFD7zXZ\0", "xz"),
        (b"SQLite format 3\0", "sqlite"),
    ];
    SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)).map_or("", |(_, extension)| extension)
}
