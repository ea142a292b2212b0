//! A question to the user that is answered by yes or no.

use std::io::{self, BufRead as _, Write as _};

/// Asks on standard error and waits for a line on standard input: whether it says yes. An empty
/// line and the end of input are a no.
///
/// # Errors
/// When the question cannot be written, or the answer not read.
pub(crate) fn confirmed(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}
