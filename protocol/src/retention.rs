//! How much is kept of sessions, as the environment says of whoever starts the keeper. The server goes
//! by it; who starts a keeper, or looks at what is configured, is told what makes no sense.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

/// The most history that a session keeps, as it was printed: what a server can leave to the one after it.
pub const MAX_HISTORY_BYTES: usize = 16 << 20;

const DAY: u64 = 24 * 60 * 60;

/// What is configured; `None` where nothing is, or it makes no sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// `PSESS_HISTORY_LINES`: lines of each session.
    pub history_lines: Option<u32>,
    /// `PSESS_HISTORY_BYTES`: bytes of each session, as they were printed: `512K`, `8M`. Packed they
    /// take less memory. At most [`MAX_HISTORY_BYTES`].
    pub history_bytes: Option<usize>,
    /// `PSESS_HISTORY_BUDGET`: memory of all sessions together: `256M`, `1G`. The copies in the
    /// journals, which are not packed, are not counted.
    pub history_budget: Option<usize>,
    /// `PSESS_KEEP_FINISHED`: how long a finished session is kept that nobody has looked at: `30s`,
    /// `20m`, `12h` or `7d`.
    pub finished: Option<Duration>,
}

/// A variable that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// Its name.
    pub variable: &'static str,
    /// What it is to be.
    pub form: &'static str,
    value: OsString,
}

impl Retention {
    /// As this process's environment says, and what of it makes no sense.
    #[must_use]
    pub fn of_this_process() -> (Self, Vec<BadSetting>) {
        Self::of(|variable| std::env::var_os(variable))
    }

    /// The same, where all must make sense.
    ///
    /// # Errors
    /// The first that makes none.
    pub fn check() -> Result<(), BadSetting> {
        let (_, bad) = Self::of_this_process();
        bad.into_iter().next().map_or(Ok(()), Err)
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> (Self, Vec<BadSetting>) {
        let mut bad = Vec::new();
        let mut read = Reader {
            variable,
            bad: &mut bad,
        };
        let retention = Self {
            history_lines: read.setting("PSESS_HISTORY_LINES", "a number of lines", lines),
            history_bytes: read.setting(
                "PSESS_HISTORY_BYTES",
                "a size such as 512K or 8M, at most 16M",
                |text| bytes(text).filter(|bytes| *bytes <= MAX_HISTORY_BYTES),
            ),
            history_budget: read.setting(
                "PSESS_HISTORY_BUDGET",
                "a size such as 256M or 1G",
                bytes,
            ),
            finished: read.setting(
                "PSESS_KEEP_FINISHED",
                "a time such as 30s, 20m, 12h or 7d",
                time,
            ),
        };
        (retention, bad)
    }
}

struct Reader<'a, V> {
    variable: V,
    bad: &'a mut Vec<BadSetting>,
}

impl<V: Fn(&str) -> Option<OsString>> Reader<'_, V> {
    /// One that is empty is as good as none.
    fn setting<T>(
        &mut self,
        variable: &'static str,
        form: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = (self.variable)(variable).filter(|value| !value.is_empty())?;
        let setting = value.to_str().and_then(parse);
        if setting.is_none() {
            self.bad.push(BadSetting {
                variable,
                form,
                value,
            });
        }
        setting
    }
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variable,
            form,
            value,
        } = self;
        let value = value.to_string_lossy();
        write!(f, "in {variable}: '{}' is not {form}", value.escape_debug())
    }
}

impl std::error::Error for BadSetting {}

fn lines(text: &str) -> Option<u32> {
    text.parse().ok()
}

/// A number, and `K`, `M` or `G`.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}

fn time(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => DAY,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &[(&str, &str)]) -> (Retention, Vec<String>) {
        let (retention, bad) = Retention::of(|variable| {
            let (_, value) = settings.iter().find(|(name, _)| *name == variable)?;
            Some(value.into())
        });
        (retention, bad.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_makes_sense_is_taken_and_what_makes_none_is_named() {
        assert_eq!(of(&[]), (Retention::default(), vec![]));
        assert_eq!(of(&[("PSESS_KEEP_FINISHED", "")]), of(&[]));
        let (retention, bad) = of(&[
            ("PSESS_HISTORY_LINES", "100"),
            ("PSESS_HISTORY_BYTES", "16M"),
            ("PSESS_KEEP_FINISHED", "1d"),
        ]);
        assert_eq!(retention.history_lines, Some(100));
        assert_eq!(retention.history_bytes, Some(MAX_HISTORY_BYTES));
        assert_eq!(retention.history_budget, None);
        assert_eq!(retention.finished, Some(Duration::from_secs(DAY)));
        assert_eq!(bad, [""; 0]);
        let (retention, bad) = of(&[
            ("PSESS_HISTORY_LINES", "abc"),
            ("PSESS_HISTORY_BYTES", "100M"),
            ("PSESS_HISTORY_BUDGET", "1G"),
            ("PSESS_KEEP_FINISHED", "banana"),
        ]);
        let budget = Retention {
            history_budget: Some(1 << 30),
            ..Retention::default()
        };
        assert_eq!(retention, budget);
        let words = [
            "in PSESS_HISTORY_LINES: 'abc' is not a number of lines",
            "in PSESS_HISTORY_BYTES: '100M' is not a size such as 512K or 8M, at most 16M",
            "in PSESS_KEEP_FINISHED: 'banana' is not a time such as 30s, 20m, 12h or 7d",
        ];
        assert_eq!(bad, words);
    }

    #[test]
    fn sizes_are_a_number_and_a_unit() {
        assert_eq!(bytes("0"), Some(0));
        assert_eq!(bytes("4096"), Some(4096));
        assert_eq!(bytes("512K"), Some(512 << 10));
        assert_eq!(bytes("256M"), Some(256 << 20));
        assert_eq!(bytes("2G"), Some(2 << 30));
        for wrong in [
            "",
            "M",
            "8MB",
            "8MM",
            "8m",
            "-1M",
            "1.5G",
            "8 M",
            "99999999999999G",
        ] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_a_number_and_a_unit() {
        assert_eq!(time("90s"), Some(Duration::from_secs(90)));
        assert_eq!(time("7d"), Some(Duration::from_secs(7 * DAY)));
        for wrong in ["", "d", "7", "-1d", "1w", "1 d", "99999999999999999d", "7ü"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
