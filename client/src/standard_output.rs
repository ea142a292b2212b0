//! Where commands print. Its errors say so: one such as 'No space left on device' could be of
//! anything.

use std::io::{self, Write};

/// Standard output.
#[derive(Debug)]
pub struct StandardOutput(io::Stdout);

impl StandardOutput {
    /// That of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self(io::stdout())
    }
}

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(named)
    }
}

/// Errors on which `write_all` tries again stay what they are by their kind.
fn named(error: io::Error) -> io::Error {
    let words = format!("cannot write to standard output: {error}");
    io::Error::new(error.kind(), words)
}
