//! The time of day: for showing only, as it may jump. Everything else goes by `Instant`.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in seconds since 1970; 0 before.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
