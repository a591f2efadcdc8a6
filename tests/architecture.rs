//! Holds the sources to `docs/architecture.md`: a room uses only rooms that stand above it in the table there, the
//! table says exactly which, no file is in a circle with another, functions stay short, and long files are listed with
//! their reason.
//!
//! What is read are the paths in the sources (`crate::…`, `super::…`, `self::…`), without comments, strings and unit
//! tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest function, in lines from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 80;
/// The same in the train loop's files.
const TRAIN_LOOP_LINES: usize = 60;
const TRAIN_LOOP: [&str; 7] = [
    "training/fit.rs",
    "training/keeper.rs",
    "training/log.rs",
    "training/optimizer.rs",
    "training/order.rs",
    "training/state.rs",
    "training/step.rs",
];
/// Files longer than this are listed in `docs/architecture.md`.
const FILE_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A source file as the checks see it.
struct Source {
    /// Below `src/`, with `/`.
    file: String,
    /// The module's path: `["training", "fit"]`; none of `lib.rs` and `main.rs`.
    module: Vec<String>,
    /// Without comments and the contents of strings; lines are kept.
    code: String,
    lines: usize,
    reexports: Vec<Import>,
    imports: Vec<Import>,
}

/// A path that a file names, from the crate's root.
#[derive(Clone, Debug)]
struct Import {
    path: Vec<String>,
    /// The name that it goes by in the file.
    name: String,
}

struct Crate {
    sources: Vec<Source>,
    modules: BTreeMap<Vec<String>, usize>,
}

impl Crate {
    fn read() -> Self {
        let mut sources: Vec<Source> = rust_files().iter().map(|file| Source::read(file)).collect();
        let modules: BTreeMap<Vec<String>, usize> = sources
            .iter()
            .enumerate()
            .filter(|(_, source)| source.file != "main.rs")
            .map(|(index, source)| (source.module.clone(), index))
            .collect();
        for source in &mut sources {
            (source.imports, source.reexports) = paths(&source.code, &source.module, &modules);
        }
        Self { sources, modules }
    }

    /// The file in which a path's item is defined, through re-exports.
    fn file_of(&self, path: &[String], depth: usize) -> Option<usize> {
        let mut module: Vec<String> = Vec::new();
        let mut rest = path;
        while let Some((first, tail)) = rest.split_first() {
            let mut next = module.clone();
            next.push(first.clone());
            if !self.modules.contains_key(&next) {
                break;
            }
            (module, rest) = (next, tail);
        }
        let index = *self.modules.get(&module)?;
        if let (Some(name), true) = (rest.first(), depth < 8) {
            let source = &self.sources[index];
            if let Some(import) = source.reexports.iter().find(|import| &import.name == name) {
                let mut path = import.path.clone();
                path.extend_from_slice(&rest[1..]);
                return self.file_of(&path, depth + 1);
            }
        }
        Some(index)
    }

    /// By file: the files that it uses.
    fn uses(&self) -> Vec<BTreeSet<usize>> {
        let of = |(index, source): (usize, &Source)| {
            let files = source.imports.iter().filter_map(|import| self.file_of(&import.path, 0));
            files.filter(|&file| file != index).collect()
        };
        self.sources.iter().enumerate().map(of).collect()
    }
}

/// All sources, those in C++ and CUDA too.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let file = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().replace('\\', "/");
        let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        let code = without_unit_tests(&without_comments(&text));
        Self { file, module, code, lines: text.lines().count(), reexports: Vec::new(), imports: Vec::new() }
    }

    fn room(&self) -> &str {
        self.module.first().map_or("main", String::as_str)
    }
}

/// Comments and the contents of string and character literals become blanks; line breaks stay.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank = |from: usize, to: usize, out: &mut String| {
        out.extend(bytes[from..to].iter().map(|&byte| if byte == b'\n' { '\n' } else { ' ' }));
    };
    while at < bytes.len() {
        let rest = &text[at..];
        let begin = at;
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            blank(begin, at, &mut out);
        } else if rest.starts_with("/*") {
            at += rest.find("*/").map_or(rest.len(), |end| end + 2);
            blank(begin, at, &mut out);
        } else if let Some(hashes) = raw_string(rest, at.checked_sub(1).map(|before| bytes[before])) {
            let open = rest.find('"').unwrap() + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            at += open + rest[open..].find(&close).map_or(rest.len() - open, |end| end + close.len());
            blank(begin, at, &mut out);
        } else if rest.starts_with('"') {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at = (at + 1).min(bytes.len());
            blank(begin, at, &mut out);
        } else if let Some(length) = character(rest) {
            at += length;
            blank(begin, at, &mut out);
        } else {
            let next = rest.chars().next().unwrap();
            out.push(next);
            at += next.len_utf8();
        }
    }
    out
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &str, before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.bytes().take_while(|&byte| byte == b'#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character literal that begins here (a lifetime is none).
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    if let Some(escaped) = inner.strip_prefix('\\') {
        return escaped.get(1..)?.find('\'').map(|end| end + 4);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

/// The unit tests at a file's end become blank.
fn without_unit_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        let inline = lines.peek().is_some_and(|next| next.contains("mod ") && next.contains('{'));
        if !(line.trim() == "#[cfg(test)]" && inline) {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        out.push('\n');
        let mut depth = 0i64;
        for line in lines.by_ref() {
            out.push('\n');
            depth += line.matches('{').count() as i64 - line.matches('}').count() as i64;
            if depth == 0 {
                break;
            }
        }
    }
    out
}

/// What a file imports or names, and what it re-exports.
fn paths(code: &str, module: &[String], modules: &BTreeMap<Vec<String>, usize>) -> (Vec<Import>, Vec<Import>) {
    let (mut imports, mut reexports) = (Vec::new(), Vec::new());
    let mut rest = String::with_capacity(code.len());
    let mut statement: Option<(String, bool)> = None;
    for line in code.lines() {
        let trimmed = line.trim_start();
        if statement.is_none() {
            let public = trimmed.starts_with("pub ") || trimmed.starts_with("pub(");
            let bare = match trimmed.strip_prefix("pub(") {
                Some(scoped) => scoped.split_once(") ").map_or("", |(_, bare)| bare),
                None => trimmed.strip_prefix("pub ").unwrap_or(trimmed),
            };
            match bare.strip_prefix("use ") {
                Some(tree) => statement = Some((tree.to_owned(), public)),
                None => {
                    rest.push_str(line);
                    rest.push('\n');
                    continue;
                }
            }
        } else if let Some((tree, _)) = &mut statement {
            tree.push_str(trimmed);
        }
        if statement.as_ref().is_some_and(|(tree, _)| tree.contains(';')) {
            let (tree, public) = statement.take().unwrap();
            let tree: String = tree.split(';').next().unwrap().to_owned();
            for (path, name) in expand(&tree, &[]) {
                let Some(path) = absolute(&path, module, modules) else { continue };
                let import = Import { path, name };
                if public { reexports.push(import) } else { imports.push(import) }
            }
        }
    }
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in rest.match_indices(start) {
            let before = rest[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let end = rest[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(0);
            let path: Vec<String> =
                rest[at..at + end].split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect();
            if let Some(path) = absolute(&path, module, modules) {
                imports.push(Import { name: path.last().cloned().unwrap_or_default(), path });
            }
        }
    }
    // A file may use by itself what it re-exports.
    let declares = |line: &&str| ["mod ", "pub mod ", "pub(crate) mod "].iter().any(|start| line.starts_with(start));
    let code: String = rest.lines().filter(|line| !declares(line)).collect::<Vec<_>>().join("\n");
    let words: BTreeSet<&str> = code.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    imports.extend(reexports.iter().filter(|import| words.contains(import.name.as_str())).cloned());
    (imports, reexports)
}

/// The paths of a `use` tree with the names that they go by.
fn expand(tree: &str, before: &[String]) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some(open) = tree.find('{') {
        let mut prefix = before.to_vec();
        prefix.extend(tree[..open].split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
        return pieces(inner).iter().flat_map(|piece| expand(piece, &prefix)).collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let mut whole = before.to_vec();
    whole.extend(path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    if before.is_empty() || whole.len() > 1 {
        // `a::{self, b}` names `a`.
        if whole.last().is_some_and(|last| last == "self") && whole.len() > 1 {
            whole.pop();
        }
    }
    let name = alias.unwrap_or_else(|| whole.last().cloned().unwrap_or_default());
    vec![(whole, name)]
}

/// The parts between the commas of the outermost level.
fn pieces(inner: &str) -> Vec<String> {
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// The path from the crate's root; none of other crates'.
fn absolute(path: &[String], module: &[String], modules: &BTreeMap<Vec<String>, usize>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let mut whole = match first.as_str() {
        "crate" | "rehead" => Vec::new(),
        "self" => module.to_vec(),
        "super" => {
            let mut parent = module.to_vec();
            parent.pop();
            let mut rest = rest;
            while let Some((next, tail)) = rest.split_first().filter(|(next, _)| *next == "super") {
                let _ = next;
                parent.pop();
                rest = tail;
            }
            parent.extend_from_slice(rest);
            return Some(parent);
        }
        name => {
            let mut child = module.to_vec();
            child.push(name.to_owned());
            if !modules.contains_key(&child) {
                return None;
            }
            child
        }
    };
    whole.extend_from_slice(rest);
    Some(whole)
}

/// A room of the table: name and the rooms that it uses.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let file = root().join("docs/architecture.md");
    let text = fs::read_to_string(&file).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let room = |cell: &str| cell.trim().trim_matches('`').to_owned();
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let uses = cells.last().unwrap().split_whitespace().map(room).filter(|name| name != "–").collect();
        (room(cells[0]), uses)
    })
    .collect()
}

#[test]
fn rooms_use_what_the_table_says_and_only_what_stands_above() {
    let library = Crate::read();
    let mut used: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for source in &library.sources {
        if source.file == "lib.rs" {
            continue;
        }
        let of_room = used.entry(source.room().to_owned()).or_default();
        for import in source.imports.iter().chain(&source.reexports) {
            let Some(other) = import.path.first().filter(|other| *other != source.room()) else { continue };
            if library.modules.contains_key(&vec![other.clone()]) {
                of_room.entry(other.clone()).or_default().insert(source.file.clone());
            }
        }
    }
    let table = table();
    let order: Vec<&str> = table.iter().map(|(room, _)| room.as_str()).collect();
    let mut wrong = Vec::new();
    for room in used.keys().filter(|room| !order.contains(&room.as_str())) {
        wrong.push(format!("`{room}` is not in the table of docs/architecture.md"));
    }
    for (place, (room, listed)) in table.iter().enumerate() {
        let Some(actual) = used.get(room) else {
            wrong.push(format!("the table has a room `{room}`, the sources have none"));
            continue;
        };
        for (other, files) in actual {
            if !order[..place].contains(&other.as_str()) {
                wrong.push(format!("`{room}` uses `{other}`, which does not stand above it: {files:?}"));
            }
            if !listed.contains(other) {
                wrong.push(format!("`{room}` uses `{other}`, which its row does not say: {files:?}"));
            }
        }
        for other in listed.iter().filter(|other| !actual.contains_key(*other)) {
            wrong.push(format!("the row of `{room}` says that it uses `{other}`; it does not"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_are_in_a_circle() {
    let library = Crate::read();
    let uses = library.uses();
    // What can be reached from each file.
    let reach: Vec<BTreeSet<usize>> = (0..uses.len())
        .map(|start| {
            let (mut seen, mut todo) = (BTreeSet::new(), vec![start]);
            while let Some(file) = todo.pop() {
                todo.extend(uses[file].iter().copied().filter(|&next| seen.insert(next)));
            }
            seen
        })
        .collect();
    let mut circles = BTreeSet::new();
    for (file, reached) in reach.iter().enumerate() {
        if reached.contains(&file) {
            let circle: Vec<&str> = (0..reach.len())
                .filter(|&other| reached.contains(&other) && reach[other].contains(&file))
                .map(|other| library.sources[other].file.as_str())
                .collect();
            circles.insert(circle.join(" "));
        }
    }
    assert!(
        circles.is_empty(),
        "files that use each other, directly or by way of others:\n{}",
        Vec::from_iter(circles).join("\n")
    );
}

#[test]
fn functions_are_short() {
    let library = Crate::read();
    let mut long = Vec::new();
    for source in &library.sources {
        let most = if TRAIN_LOOP.contains(&source.file.as_str()) { TRAIN_LOOP_LINES } else { FUNCTION_LINES };
        let lines: Vec<&str> = source.code.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(at) = words.iter().position(|&word| word == "fn") else { continue };
            if !words[..at].iter().all(|word| {
                ["pub", "const", "unsafe", "extern", "async"].contains(word)
                    || word.starts_with("pub(")
                    || word.is_empty()
            }) {
                continue;
            }
            let mut depth = 0i64;
            for (end, line) in lines.iter().enumerate().skip(start) {
                depth += line.matches('{').count() as i64 - line.matches('}').count() as i64;
                let ended = if line.contains('{') || line.contains('}') {
                    depth == 0
                } else {
                    line.trim_end().ends_with(';') && depth == 0
                };
                if ended {
                    if end + 1 - start > most {
                        let name = words.get(at + 1).copied().unwrap_or_default();
                        long.push(format!("{}:{}: {name}: {} lines", source.file, start + 1, end + 1 - start));
                    }
                    break;
                }
            }
        }
    }
    assert!(long.is_empty(), "functions that are too long:\n{}", long.join("\n"));
}

#[test]
fn long_files_are_listed_with_their_reason() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let listed: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("- `src/")?.split_once('`'))
        .filter(|(_, reason)| reason.trim_start_matches([':', ' ']).len() > 20)
        .map(|(file, _)| file)
        .collect();
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    let long: BTreeSet<String> = files
        .iter()
        .filter(|file| fs::read_to_string(file).is_ok_and(|text| text.lines().count() > FILE_LINES))
        .map(|file| file.strip_prefix(root().join("src")).unwrap().to_string_lossy().replace('\\', "/"))
        .collect();
    let unlisted: Vec<_> = long.iter().filter(|file| !listed.contains(file.as_str())).collect();
    let stale: Vec<_> = listed.iter().filter(|file| !long.contains(**file)).collect();
    assert!(unlisted.is_empty() && stale.is_empty(), "not listed: {unlisted:?}; listed for nothing: {stale:?}");
}

/// What rustfmt leaves as it is: comments and strings.
#[test]
fn lines_stay_within_120_columns() {
    for file in rust_files() {
        for (index, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            assert!(line.chars().count() <= 120, "{}:{}: {line}", file.display(), index + 1);
        }
    }
}

/// The checks themselves find what they look for.
#[test]
fn what_is_no_code_is_not_read() {
    let code = without_comments(
        "use a; // use crate::b\nlet s = \"crate::c\"; let r = r#\"crate::\"d\"#; let c = '\"'; f::<'a>()",
    );
    assert!(code.contains("use a;") && !code.contains("crate") && code.contains("f::<'a>()"), "{code}");
    let tree = expand("crate::a::{self, b::{C, D as E}, f}", &[]);
    let shown: Vec<String> = tree.iter().map(|(path, name)| format!("{} {name}", path.join("::"))).collect();
    assert_eq!(shown, ["crate::a a", "crate::a::b::C C", "crate::a::b::D E", "crate::a::f f"]);
    assert_eq!(without_unit_tests("a\n#[cfg(test)]\nmod tests {\n x {\n }\n}\nb\n"), "a\n\n\n\n\n\nb\n");
    let lines = Crate::read().sources.iter().map(|source| source.lines).sum::<usize>();
    assert!(lines > 10_000, "the sources were not found");
}
