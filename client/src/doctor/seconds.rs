//! Durations in files that people read too: seconds, with a fraction.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Writes a duration as seconds, to the millisecond.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_millis(*duration))
}

/// Reads seconds.
///
/// # Errors
/// Those of the deserializer, and when the number is no length of time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
}

/// The same for a duration that may be unknown.
pub mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, in_millis};

    /// Writes a duration as seconds, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&in_millis(*duration)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads seconds, or null.
    ///
    /// # Errors
    /// Those of the deserializer, and when the number is no length of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(deserializer)?
            .map(|seconds| Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom))
            .transpose()
    }
}

/// For people: `7 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
#[must_use]
pub fn span(duration: Duration) -> String {
    let millis = duration.as_millis();
    if (1..100).contains(&millis) {
        return format!("{millis} ms");
    }
    if duration < Duration::from_secs(10) {
        let tenths = (duration.as_secs_f64() * 10.0).round() / 10.0;
        return format!("{tenths} s");
    }
    let seconds = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2);
    let words: Vec<String> = shown
        .enumerate()
        .filter(|(place, (count, _))| *place == 0 || *count > 0)
        .map(|(_, (count, unit))| format!("{count} {unit}"))
        .collect();
    words.join(" ")
}

fn in_millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        for (millis, words) in [
            (0, "0 s"),
            (7, "7 ms"),
            (420, "0.4 s"),
            (12_300, "12 s"),
            (59_700, "1 min"),
            (185_000, "3 min 5 s"),
            (7_800_000, "2 h 10 min"),
            (432_000_000, "5 d"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), words);
        }
    }
}
