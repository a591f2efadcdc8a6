//! The pages that people read: commands in them are commands of the program, their links lead somewhere, and lines stay
//! within 120 columns.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// README, CHANGELOG, CONTRIBUTING and everything in `docs/`.
fn pages() -> Vec<(PathBuf, String)> {
    let folder = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|name| root().join(name));
    let pages = pages.into_iter().chain(folder.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines of shell in a page that run rehead, whole, as words.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let shell = page.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```"));
    for (block, _) in shell {
        for line in block.replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap().split(" > ").next().unwrap();
            let words = line.split('|').map(str::trim).find(|part| part.starts_with("rehead "));
            if let Some(words) = words {
                commands.push(words.split_whitespace().map(str::to_owned).collect());
            }
        }
    }
    commands
}

#[test]
fn commands_are_commands_of_the_program() {
    let mut seen = 0;
    for (path, page) in pages() {
        for words in commands(&page) {
            let shown = words.join(" ");
            let parsed = rehead::cli::definition().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{}: {shown}\n{}", path.display(), parsed.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 15, "only {seen} commands were found");
}

#[test]
fn links_lead_somewhere() {
    for (path, page) in pages() {
        for (_, rest) in page.match_indices("](").map(|(at, _)| page.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(linked.exists(), "{}: {target}", path.display());
            assert!(anchor.is_empty() || anchors(&linked).iter().any(|known| known == anchor), "{target}");
        }
    }
}

/// The headings of a page as GitHub links to them.
fn anchors(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        heading.chars().filter(|char| char.is_alphanumeric() || *char == '-').collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn prose_stays_within_120_columns() {
    for (path, page) in pages() {
        let mut code = false;
        for line in page.lines() {
            code ^= line.starts_with("```");
            let is_prose = !code && !line.starts_with('|') && !line.contains("](");
            assert!(!is_prose || line.chars().count() <= 120, "{}: {line}", path.display());
        }
    }
}
