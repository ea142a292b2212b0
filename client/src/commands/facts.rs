//! `psess facts`: what this machine's settings say, for the psess of another machine.

use std::io::Write as _;
use std::process::ExitCode;

use crate::broken_pipe;
use crate::doctor::facts::Facts;
use crate::standard_output::StandardOutput;

/// Runs it.
///
/// # Errors
/// When standard output is closed.
pub fn run() -> anyhow::Result<ExitCode> {
    broken_pipe::end_silently();
    let facts = Facts::of_this_machine();
    StandardOutput::of_this_process().write_all(facts.print().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
