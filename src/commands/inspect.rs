//! `rehead inspect`: what is in a data file or a model directory, and what looks wrong.

use crate::cli::InspectArgs;
use crate::error::{Error, Result};

pub fn run(args: &InspectArgs) -> Result<()> {
    let _ = args;
    Err(Error::failure("inspect"))
}
