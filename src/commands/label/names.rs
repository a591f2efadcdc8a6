//! Names of sorted images and their folders, which any file system takes.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

/// Longer names of labels are cut; file systems have a limit of 255 bytes.
const LONGEST_NAME: usize = 100;

/// A name for the folder of a label that any file system takes and no other label has: what separates paths or is
/// special somewhere becomes `_`.
pub fn folder_name(label: &str, used: &mut HashSet<String>) -> String {
    let is_special = |char: char| char.is_control() || "/\\:*?\"<>|".contains(char);
    let plain: String = label.trim().chars().map(|char| if is_special(char) { '_' } else { char }).collect();
    let mut name = plain.trim_end_matches(['.', ' ']).to_owned();
    while name.len() > LONGEST_NAME {
        name.pop();
    }
    // Hidden folders are not read as classes.
    if name.starts_with('.') || name.is_empty() {
        name.insert(0, '_');
    }
    let free = (1..).map(|number| if number == 1 { name.clone() } else { format!("{name}-{number}") });
    // Some file systems do not tell capitals apart.
    free.into_iter().find(|name| used.insert(name.to_lowercase())).unwrap_or_default()
}

/// A file's name; from the second on with the number before its extension: `a.jpg`, `a-2.jpg`.
pub fn numbered(file: &Path, number: usize) -> OsString {
    let name = file.file_name().unwrap_or_default();
    if number == 1 {
        return name.to_owned();
    }
    let mut numbered = file.file_stem().unwrap_or_default().to_owned();
    numbered.push(format!("-{number}"));
    if let Some(extension) = file.extension() {
        numbered.push(".");
        numbered.push(extension);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_safe_names_of_their_own() {
        let mut used = HashSet::new();
        let mut name = |label: &str| folder_name(label, &mut used);
        assert_eq!(name("cats"), "cats");
        assert_eq!(name("Cats"), "Cats-2");
        assert_eq!(name("a/b"), "a_b");
        assert_eq!(name("a_b"), "a_b-2");
        assert_eq!(name(".."), "_");
        assert_eq!(name(".hidden"), "_.hidden");
        assert_eq!(name("what?."), "what_");
        assert!(name(&"é".repeat(300)).len() <= LONGEST_NAME);
    }

    #[test]
    fn files_of_one_name_are_numbered() {
        assert_eq!(numbered(Path::new("x/a.jpg"), 1), "a.jpg");
        assert_eq!(numbered(Path::new("x/a.b.jpg"), 2), "a.b-2.jpg");
        assert_eq!(numbered(Path::new("a"), 3), "a-3");
    }
}
