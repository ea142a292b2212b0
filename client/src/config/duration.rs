//! Durations as people write them: `15s`, `500ms`, `1m 30s`, and `off`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use psess_protocol::timing::Timing;
use serde::{Deserialize, Deserializer};

/// A duration, or `None` for `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

impl Interval {
    /// Makes it the heartbeat: no less often while the user is active.
    pub fn set_heartbeat(self, timing: &mut Timing) {
        timing.heartbeat_idle = self.0;
        if let Some(interval) = self.0 {
            timing.heartbeat_active = timing.heartbeat_active.min(interval);
            timing.heartbeat_shortest = timing.heartbeat_shortest.min(interval);
        }
    }
}

impl FromStr for Interval {
    type Err = BadDuration;

    fn from_str(text: &str) -> Result<Self, BadDuration> {
        if text == "off" {
            return Ok(Self(None));
        }
        let bad = || BadDuration(text.to_owned());
        let duration: SignedDuration = text.parse().map_err(|_| bad())?;
        let duration = Duration::try_from(duration).map_err(|_| bad())?;
        Ok(Self(Some(duration)))
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_text(deserializer)
    }
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDuration(String);

impl fmt::Display for BadDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.escape_default();
        write!(
            f,
            "'{text}' is no duration: use '15s', '500ms', '1m 30s' or 'off'"
        )
    }
}

impl std::error::Error for BadDuration {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_their_unit() {
        for (text, millis) in [
            ("15s", 15_000),
            ("500ms", 500),
            ("1m 30s", 90_000),
            ("2h", 7_200_000),
        ] {
            let expected = Interval(Some(Duration::from_millis(millis)));
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!("off".parse(), Ok(Interval(None)));
        for bad in ["15", "", "-3s", "soon"] {
            assert!(bad.parse::<Interval>().is_err(), "{bad}");
        }
    }
}
