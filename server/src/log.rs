//! The server's log: its standard error, which the keeper made a file beside the socket. Bounded,
//! and without anything that a program printed, a user typed or an environment holds.

use std::io::{self, Write};

use rustix::fs::{fstat, ftruncate};
use tracing::level_filters::LevelFilter;

/// The file begins anew when it exceeds this: the keeper's bound, too.
const MAX_BYTES: i64 = 256 * 1024;

/// `error`, `warn`, `info`, `debug` or `trace`, in the environment of whoever started the keeper.
const VARIABLE: &str = "PSESS_LOG";

/// From now on events are written, and a panic ends the process: it is in a state that nobody
/// thought of, and its successor recovers every session.
pub(crate) fn begin() {
    let level = std::env::var(VARIABLE).ok();
    let level = level.and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::WARN))
        .with_writer(|| BoundedLog)
        .with_ansi(false)
        .init();
    std::panic::set_hook(Box::new(|panic| {
        // The message may hold what a program printed: the place has to do.
        match panic.location() {
            Some(place) => tracing::error!("the server panicked at {place}"),
            None => tracing::error!("the server panicked"),
        }
        std::process::abort();
    }));
}

struct BoundedLog;

impl Write for BoundedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = rustix::stdio::stderr();
        if fstat(file).is_ok_and(|file| file.st_size > MAX_BYTES) {
            // Appending goes on at the new end. What is no file cannot be cut, and has no size.
            let _ = ftruncate(file, 0);
        }
        // On a full disk nobody can be told, and it is no reason to fail: whoever logs an event
        // would say so on standard error too, and panic when that is full as well.
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
