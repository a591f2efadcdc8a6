//! What a test does where a tool that it needs is missing: it says so and passes, and under continuous integration it
//! fails, so that nothing is left out there unnoticed.

/// Says that a test is skipped for what is missing; the test then returns.
///
/// # Panics
/// Under continuous integration: where `CI` is set, and neither empty nor `false`.
pub fn skip(missing: &str) {
    let ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    assert!(!ci, "{missing}");
    eprintln!("skipped: {missing}");
}
