//! Positions in byte streams that outlive a link.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A position in a session's output, in bytes since the session began.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Offset(pub u64);

impl Offset {
    /// The position `bytes` further on; saturates at the end of the world.
    #[must_use]
    pub fn advanced_by(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }

    /// How many bytes lie between `earlier` and this position; 0 when `earlier` is later.
    #[must_use]
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in what one client typed into one session, in bytes since it first attached.
///
/// It goes on across redials of the same client.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct InputOffset(pub u64);

impl InputOffset {
    /// The position `bytes` further on; saturates at the end of the world.
    #[must_use]
    pub fn advanced_by(self, bytes: usize) -> Self {
        Self(self.0.saturating_add(bytes as u64))
    }

    /// How many bytes lie between `earlier` and this position; 0 when `earlier` is later.
    #[must_use]
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for InputOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
