//! Many problems as one error, so that a person can fix all of them before the next try.

use crate::error::{Error, Result};

/// One error for all of `problems`; `Ok` where there are none.
pub fn all_problems(mut problems: Vec<Error>) -> Result<()> {
    if problems.len() <= 1 {
        let explained = |problem: Error| Err(problem.hint("`rehead train --help` explains every setting"));
        return problems.pop().map_or(Ok(()), explained);
    }
    let mut message = format!("{} problems:", problems.len());
    for problem in &problems {
        message.push_str(&format!("\n  - {problem}"));
        if let Some(hint) = problem.hint_text() {
            message.push_str(&format!(" ({hint})"));
        }
    }
    Err(Error::request(message).hint("all of them are listed: fix them and run the command again"))
}
