//! Moments and spans of time, as a person would name them.

use std::cell::OnceCell;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now, and where the user is: shows moments as a person would name them.
#[derive(Debug)]
pub struct Clock {
    now: Timestamp,
    /// Looked up when a moment is named: that reads the folder of all zones, which takes as long
    /// as asking the server for its sessions.
    zone: OnceCell<TimeZone>,
}

impl Clock {
    /// This moment, in the system's zone.
    #[must_use]
    pub fn now() -> Self {
        Self {
            now: Timestamp::now(),
            zone: OnceCell::new(),
        }
    }

    /// That moment, in that zone.
    #[must_use]
    pub fn new(now: Timestamp, zone: TimeZone) -> Self {
        Self {
            now,
            zone: OnceCell::from(zone),
        }
    }

    /// A moment in seconds since 1970: the time of day, with the day unless that is today.
    #[must_use]
    pub fn moment(&self, seconds: u64) -> String {
        let Some(moment) = i64::try_from(seconds)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok())
        else {
            return "?".to_owned();
        };
        let zone = self.zone.get_or_init(TimeZone::system);
        let moment = moment.to_zoned(zone.clone());
        let today = self.now.to_zoned(zone.clone());
        let days = moment
            .date()
            .until(today.date())
            .map_or(i32::MAX, |span| span.get_days());
        let format = match days {
            0 => "%H:%M",
            1..=6 => "%a %H:%M",
            _ if moment.year() == today.year() => "%b %-d %H:%M",
            _ => "%Y-%m-%d",
        };
        moment.strftime(format).to_string()
    }

    /// How long ago a moment in seconds since 1970 was, in seconds.
    #[must_use]
    pub fn seconds_since(&self, seconds: u64) -> u64 {
        u64::try_from(self.now.as_second())
            .unwrap_or(0)
            .saturating_sub(seconds)
    }
}

/// `18m`, `2h 5m`, `3d 4h`: two units are enough.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h {}m", minutes % 60),
        (days, hours, _) => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-04 12:00:00 UTC, a Wednesday.
    const NOON: u64 = 1_772_625_600;

    #[test]
    fn moments_are_named_as_people_do() {
        let noon = Timestamp::from_second(NOON as i64).expect("in range");
        let clock = Clock::new(noon, TimeZone::UTC);
        for (seconds, name) in [
            (NOON - 60, "11:59"),
            (NOON - 86_400, "Tue 12:00"),
            (NOON - 30 * 86_400, "Feb 2 12:00"),
            (NOON - 400 * 86_400, "2025-01-28"),
            (u64::MAX, "?"),
        ] {
            assert_eq!(clock.moment(seconds), name);
        }
        assert_eq!(
            [5, 65, 7_500, 100_000].map(span),
            ["5s", "1m", "2h 5m", "1d 3h"]
        );
    }
}
