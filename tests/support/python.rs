//! Python beside the tests: its packages stand in `.python` (`make test` puts them there). Where they are not, a test
//! that needs them says so and passes; under continuous integration it fails ([`ci::skip`]).

#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

#[path = "ci.rs"]
pub mod ci;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Whether `.python` has this package.
///
/// # Panics
/// Under continuous integration, when it has not.
pub fn has_python(package: &str) -> bool {
    let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(".python").join(package).is_dir();
    if !there {
        ci::skip(&format!(".python has no {package} (make test sets it up)"));
    }
    there
}

/// Runs a script of `tests/python`, which must succeed, and gives what it printed; `None` where [`has_python`] says so.
pub fn python(package: &str, script: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Option<String> {
    if !has_python(package) {
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new("python3")
        .env("PYTHONPATH", root.join(".python"))
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_MODULES_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules"))
        .arg(root.join("tests/python").join(script))
        .args(arguments)
        .output()
        .expect("python3 runs");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{script}:\n{out}\n{err}");
    Some(out.into_owned())
}
