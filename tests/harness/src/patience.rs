//! Waiting for a condition, with an end.

use std::time::{Duration, Instant};

/// How long a test waits for what ought to happen at once: long, for machines that do much else.
/// Only tests that fail wait so long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `check` until it gives something, and returns that.
///
/// # Panics
/// When `check` gave nothing for [`PATIENCE`]; `what` says what was waited for.
pub fn eventually<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, check)
}

/// Asks `check` until it gives something, for at most `limit`.
///
/// # Panics
/// When `check` gave nothing in that time; `what` says what was waited for.
pub fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut check: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < limit, "not in {limit:?}: {what}");
        // What is waited for happens in another process, which cannot wake this one.
        std::thread::sleep(Duration::from_millis(5));
    }
}
