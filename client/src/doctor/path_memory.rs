//! What is known of the ways to hosts: after how long idle each forgets a connection.
//!
//! A way is a pair of gateway and host: the NAT at home and the one at work forget differently.
//! Measured by `psess probe`, and learned from each silent cut.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;
use super::state_file::{StateFile, directory};

/// How many ways are kept.
const MOST_WAYS: usize = 500;

/// What is known of one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathKnowledge {
    /// The longest time without a byte that was survived.
    #[serde(with = "seconds::option")]
    pub survives: Option<Duration>,
    /// The shortest time without a byte that was not.
    #[serde(with = "seconds::option")]
    pub forgets: Option<Duration>,
    /// What happens to what comes later.
    pub manner: Option<Manner>,
    /// sshd's ChannelTimeout there, as it said itself.
    #[serde(with = "seconds::option")]
    pub policy: Option<Duration>,
    /// How fast it carried a replay the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// How it became known.
    pub source: Source,
    /// When, in seconds since 1970.
    pub learned_at: u64,
}

/// What a way does with bytes of a connection that it forgot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// It drops them without a word.
    Drop,
    /// It answers with RST.
    Reset,
}

/// How the timeout of a way became known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// From a cut of a link.
    #[default]
    Cut,
    /// By `psess probe`.
    Probe,
}

impl PathKnowledge {
    /// The timeout to reckon with: the longest that is known to be survived where it is close to
    /// what is not, else a little less than what is not.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let forgets = self.forgets?;
        Some(match self.survives {
            Some(survives) if survives < forgets && survives >= forgets / 2 => survives,
            Some(_) | None => forgets,
        })
    }

    /// The shortest time without data that anything at all on the way is known to end a
    /// connection after: a middlebox, or sshd by its ChannelTimeout.
    #[must_use]
    pub fn shortest_limit(&self) -> Option<Duration> {
        self.timeout().into_iter().chain(self.policy).min()
    }

    /// A link survived this time without a byte. What a cut seemed to tell otherwise was wrong, or
    /// holds no more; what was measured stays.
    #[must_use]
    pub fn after_survival(mut self, gap: Duration, now: u64) -> Self {
        if self.survives.is_none_or(|known| gap > known) {
            self.survives = Some(gap);
            self.learned_at = now;
        }
        if self.source == Source::Cut && self.forgets.is_some_and(|forgets| gap >= forgets) {
            self.forgets = None;
            self.manner = None;
        }
        self
    }

    /// A replay came with so many bytes a second.
    #[must_use]
    pub fn after_replay(mut self, bytes_per_second: u64, now: u64) -> Self {
        self.bytes_per_second = Some(bytes_per_second);
        self.learned_at = now;
        self
    }

    /// A link was cut silently after this time without a byte.
    #[must_use]
    pub fn after_cut(mut self, idle: Duration, manner: Manner, now: u64) -> Self {
        if self.forgets.is_none_or(|known| idle < known) {
            self.forgets = Some(idle);
            self.survives = self.survives.filter(|survives| *survives < idle);
            self.manner = Some(manner);
            self.source = Source::Cut;
            self.learned_at = now;
        }
        self
    }
}

/// What is known of all ways.
#[derive(Clone, Debug)]
pub struct PathMemory {
    file: StateFile,
}

impl PathMemory {
    /// This user's; `None` without a home.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        let path = directory()?.join("paths.json");
        Some(Self::in_file(StateFile::new(path)))
    }

    /// One in this file.
    #[must_use]
    pub fn in_file(file: StateFile) -> Self {
        Self { file }
    }

    /// What is known of a way; `None` for nothing, and when the file cannot be read: psess can do
    /// without.
    #[must_use]
    pub fn knowledge(&self, gateway: &str, host: &str) -> Option<PathKnowledge> {
        parse(&self.file.read().ok()?).remove(&key(gateway, host))
    }

    /// Changes what is known of a way.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn learn(
        &self,
        gateway: &str,
        host: &str,
        learn: impl FnOnce(PathKnowledge) -> PathKnowledge,
    ) -> io::Result<()> {
        self.file.change(|content| {
            let mut ways = parse(&content);
            let way = ways.entry(key(gateway, host)).or_default();
            *way = learn(std::mem::take(way));
            while ways.len() > MOST_WAYS {
                let oldest = ways.iter().min_by_key(|(_, way)| way.learned_at);
                let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                    break;
                };
                ways.remove(&oldest);
            }
            // A map of strings to plain values can always be written.
            serde_json::to_string_pretty(&ways).unwrap_or_default() + "\n"
        })
    }
}

fn key(gateway: &str, host: &str) -> String {
    format!("{gateway} {host}")
}

/// A file that is damaged is one that knows nothing.
fn parse(content: &str) -> BTreeMap<String, PathKnowledge> {
    serde_json::from_str(content).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn each_silent_cut_shortens_what_is_reckoned_with() {
        let first = PathKnowledge::default().after_cut(seconds(60), Manner::Drop, 1);
        assert_eq!(first.timeout(), Some(seconds(60)));
        let second = first.after_cut(seconds(20), Manner::Drop, 2);
        assert_eq!(second.timeout(), Some(seconds(20)));
        let longer = second.clone().after_cut(seconds(40), Manner::Drop, 3);
        assert_eq!(longer, second);
        let survived = second.after_survival(seconds(30), 4);
        assert_eq!(
            (survived.timeout(), survived.survives),
            (None, Some(seconds(30)))
        );
    }

    #[test]
    fn a_measured_way_is_reckoned_with_at_what_it_survived() {
        let measured = PathKnowledge {
            survives: Some(seconds(56)),
            forgets: Some(seconds(67)),
            ..PathKnowledge::default()
        };
        assert_eq!(measured.timeout(), Some(seconds(56)));
        let strict = PathKnowledge {
            policy: Some(seconds(40)),
            ..measured.clone()
        };
        assert_eq!(strict.shortest_limit(), Some(seconds(40)));
        assert_eq!(measured.shortest_limit(), Some(seconds(56)));
        let patient = PathKnowledge {
            survives: Some(seconds(3_600)),
            ..PathKnowledge::default()
        };
        assert_eq!(patient.timeout(), None);
    }

    #[test]
    fn ways_are_kept_by_gateway_and_host() {
        let folder = std::env::temp_dir().join(format!("psess-paths-{}", std::process::id()));
        let memory = PathMemory::in_file(StateFile::new(folder.join("paths.json")));
        assert_eq!(memory.knowledge("10.0.0.1", "box"), None);
        let learn = |old: PathKnowledge| old.after_cut(seconds(10), Manner::Reset, 5);
        memory.learn("10.0.0.1", "box", learn).unwrap();
        let known = memory.knowledge("10.0.0.1", "box").unwrap();
        assert_eq!(known.manner, Some(Manner::Reset));
        assert_eq!(memory.knowledge("10.0.0.2", "box"), None);
        std::fs::write(folder.join("paths.json"), "{ damaged").unwrap();
        assert_eq!(memory.knowledge("10.0.0.1", "box"), None);
        memory.learn("10.0.0.1", "box", learn).unwrap();
        assert!(memory.knowledge("10.0.0.1", "box").is_some());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
