//! Which files a name stands for: the file of this name, or those that a pattern matches. In a pattern `*` stands for
//! any characters of a name, `?` for one, `[a-z]` for one of these, `[!a-z]` for one of the others, and `**` for any
//! folders. What is read of the files is not known here.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// Names of a folder's files that a message shows.
const SHOWN: usize = 3;

/// The files that are given by name or pattern, in the order in which they are given, those of a pattern in natural
/// order: `part-2` before `part-10`. A name that exists is taken as it is, whatever stands in it, and so is `-`. Of
/// what a pattern matches folders are only taken where it matches no file. A file that is matched again is taken once.
///
/// # Errors
/// A pattern matches nothing, or a folder cannot be read.
pub fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for name in given {
        if !is_pattern(name) {
            seen.insert(name.clone());
            files.push(name.clone());
            continue;
        }
        let found = matching(name)?;
        if found.is_empty() {
            return Err(no_match(name));
        }
        files.extend(found.into_iter().filter(|file| seen.insert(file.clone())));
    }
    Ok(files)
}

/// Whether files are to be looked for that match, rather than one of this name.
pub fn is_pattern(name: &Path) -> bool {
    name.to_string_lossy().contains(['*', '?', '[']) && name.symlink_metadata().is_err()
}

fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![PathBuf::new()];
    let components: Vec<Component<'_>> = pattern.components().collect();
    for (place, component) in components.iter().enumerate() {
        let name = component.as_os_str().to_string_lossy();
        let mut next = Vec::new();
        for folder in &found {
            let is_last = place + 1 == components.len();
            if name == "**" && !is_last {
                add_folders(folder, &mut next)?;
            } else if name.contains(['*', '?', '[']) {
                let entries = entries(folder)?.into_iter().filter(|entry| is_last || entry.is_dir());
                next.extend(entries.filter(|entry| matches(&name, &entry_name(entry))));
            } else {
                next.push(folder.join(component));
            }
        }
        found = next;
    }
    found.retain(|path| path.exists());
    if found.iter().any(|path| !path.is_dir()) {
        found.retain(|path| !path.is_dir());
    }
    found.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    found.dedup();
    Ok(found)
}

/// What is in a folder; nothing where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let read = || fs::read_dir(here)?.map(|entry| Ok(folder.join(entry?.file_name()))).collect::<io::Result<_>>();
    match read() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        read => read.map_err(|error| Error::io(error, here)),
    }
}

/// Adds a folder and all below it, but for hidden ones and those that links lead to.
fn add_folders(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.push(folder.to_owned());
    for entry in entries(folder)? {
        if entry.is_dir() && !entry.is_symlink() && !entry_name(&entry).starts_with('.') {
            add_folders(&entry, found)?;
        }
    }
    Ok(())
}

fn entry_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a pattern matches a name. A hidden one is only matched by a pattern that begins with the dot too.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && rest_matches(&pattern, &name)
}

/// Goes back to the last `*` alone, so that no pattern takes longer than its length times that of the name.
fn rest_matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&char) = name.get(read) {
        let rest = pattern.get(at..).unwrap_or_default();
        match one_of(rest, char) {
            _ if rest.first() == Some(&'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(length) => (at, read) = (at + length, read + 1),
            None => match &mut star {
                None => return false,
                Some((place, end)) => {
                    *end += 1;
                    (at, read) = (*place + 1, *end);
                }
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|&char| char == '*')
}

/// The length of the beginning of a pattern that stands for one character, where it stands for this one.
fn one_of(pattern: &[char], char: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => {
            // A bracket that stands first is one of the characters.
            let negated = matches!(pattern.get(1), Some('!' | '^'));
            let begin = 1 + usize::from(negated);
            let Some(end) = (begin + 1..pattern.len()).find(|&end| pattern.get(end) == Some(&']')) else {
                return (char == '[').then_some(1);
            };
            let set = pattern.get(begin..end).unwrap_or_default();
            (is_in(set, char) != negated).then_some(end + 1)
        }
        literal => (*literal == char).then_some(1),
    }
}

fn is_in(set: &[char], char: char) -> bool {
    let mut rest = set;
    loop {
        rest = match rest {
            [first, '-', last, others @ ..] => {
                if (*first..=*last).contains(&char) {
                    return true;
                }
                others
            }
            [one, others @ ..] => {
                if *one == char {
                    return true;
                }
                others
            }
            [] => return false,
        }
    }
}

/// As people order names: runs of digits by the number that they are.
pub fn natural_order(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one, other);
    while let (Some(first), Some(second)) = (a.chars().next(), b.chars().next()) {
        let (number, other_number) = (digits(a), digits(b));
        let order = match (number, other_number) {
            ("", _) | (_, "") => first.cmp(&second),
            _ => {
                let (number, other) = (number.trim_start_matches('0'), other_number.trim_start_matches('0'));
                number.len().cmp(&other.len()).then(number.cmp(other))
            }
        };
        if order.is_ne() {
            return order;
        }
        a = a.get(number.len().max(first.len_utf8())..).unwrap_or_default();
        b = b.get(other_number.len().max(second.len_utf8())..).unwrap_or_default();
    }
    a.len().cmp(&b.len()).then(one.cmp(other))
}

fn digits(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

fn no_match(pattern: &Path) -> Error {
    let is_plain = |component: &Component<'_>| !component.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    let folder: PathBuf = pattern.components().take_while(is_plain).collect();
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let error = Error::request("no file matches this pattern").file(pattern);
    if !here.is_dir() {
        return error.hint(format!("there is no folder {}", here.display()));
    }
    let mut names: Vec<String> = entries(&folder).unwrap_or_default().iter().map(|entry| entry_name(entry)).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort_by(|a, b| natural_order(a, b));
    let folder = if here == Path::new(".") { "the current folder".to_owned() } else { here.display().to_string() };
    error.hint(match names.len() {
        0 => format!("{folder} is empty"),
        count if count <= SHOWN => format!("in {folder} there is: {}", names.join(", ")),
        count => format!("in {folder} there is: {} and {} more", names[..SHOWN].join(", "), count - SHOWN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*.csv", "a.csv"),
            ("part-?.csv", "part-1.csv"),
            ("part-[0-9]*.csv", "part-12.csv"),
            ("[!a]*", "b"),
            ("[^a]*", "b"),
            ("*a*b*", "xxaxxbxx"),
            ("a[", "a["),
            ("[]]", "]"),
            (".*", ".hidden"),
            ("*é?", "caféx"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.csv", "a.csv.gz"),
            ("part-?.csv", "part-12.csv"),
            ("part-[0-9].csv", "part-x.csv"),
            ("[!a]*", "a"),
            ("*", ".hidden"),
            ("a*b", "abc"),
            ("a", ""),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        // Soon over, though nothing matches.
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn names_are_in_natural_order() {
        let mut names = ["part-10", "part-2", "a", "part-01", "part-1", "B", "part-1b", "part"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["B", "a", "part", "part-01", "part-1", "part-1b", "part-2", "part-10"]);
    }

    #[test]
    fn files_are_found_once_and_folders_only_where_there_are_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["x/1", "x/2/deep", "photos-1", "photos-2"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["b-10.csv", "b-2.csv", "b-[1].csv", "x/c.csv", "x/2/deep/c.csv", ".b-3.csv"] {
            fs::write(at(name), "").unwrap();
        }
        let found = |given: &[&str]| {
            let files = expand(&given.iter().map(|name| at(name)).collect::<Vec<_>>());
            files.map(|files| {
                let names = files.iter().map(|file| file.strip_prefix(folder.path()).unwrap().display().to_string());
                names.collect::<Vec<_>>()
            })
        };
        assert_eq!(found(&["b-?*.csv"]).unwrap(), ["b-2.csv", "b-10.csv", "b-[1].csv"]);
        assert_eq!(found(&["b-10.csv", "b-*.csv"]).unwrap(), ["b-10.csv", "b-2.csv", "b-[1].csv"]);
        assert_eq!(found(&["b-[1].csv"]).unwrap(), ["b-[1].csv"]);
        assert_eq!(found(&["**/c.csv"]).unwrap(), ["x/2/deep/c.csv", "x/c.csv"]);
        assert_eq!(found(&["photos-*"]).unwrap(), ["photos-1", "photos-2"]);
        assert_eq!(found(&["absent.csv"]).unwrap(), ["absent.csv"]);
        let error = found(&["c-*.csv"]).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(error.hint_text().unwrap().ends_with("there is: b-2.csv, b-10.csv, b-[1].csv and 3 more"), "{error:?}");
        assert!(found(&["nowhere/*.csv"]).unwrap_err().hint_text().unwrap().starts_with("there is no folder"));
    }
}
