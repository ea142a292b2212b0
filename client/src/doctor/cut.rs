//! One cut of one link, as it is kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::evidence::Evidence;
use super::seconds::span;
use super::verdict::{Confidence, Verdict, classify};

/// One cut of one link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// Tells it from every other one. What is learned later is logged under the same number, and
    /// the last entry counts.
    pub id: String,
    /// When it was noticed, in milliseconds since 1970.
    pub noticed_at: u64,
    /// The host as the user wrote it; `None`: this machine.
    pub host: Option<String>,
    /// The session's name.
    pub session: String,
    /// The gateway that this machine used, with the gateway's hardware address where known.
    pub gateway: Option<String>,
    /// What is known of it.
    pub evidence: Evidence,
}

impl Cut {
    /// One that is noticed now.
    #[must_use]
    pub fn new(now: SystemTime, host: Option<String>, session: String, evidence: Evidence) -> Self {
        let noticed_at = now
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let noticed_at = u64::try_from(noticed_at).unwrap_or(u64::MAX);
        Self {
            id: format!("{noticed_at:x}-{:x}", std::process::id()),
            noticed_at,
            host,
            session,
            gateway: None,
            evidence,
        }
    }

    /// When it was noticed.
    #[must_use]
    pub fn noticed_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.noticed_at)
    }

    /// The likeliest cause.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        classify(&self.evidence)
    }

    /// The likeliest cause in one short phrase, for a line that has room for no more: `probably a
    /// NAT or firewall forgot it after 10 min idle`. `None` when nothing is known.
    #[must_use]
    pub fn phrase(&self) -> Option<String> {
        let Verdict {
            cause, confidence, ..
        } = self.verdict();
        let sure = match confidence {
            Confidence::Certain => "",
            Confidence::Likely => "probably ",
            Confidence::Possible => "possibly ",
        };
        let idle = span(self.evidence.idle);
        match cause {
            Cause::Unknown => None,
            Cause::IdleTimeout => Some(format!(
                "{sure}a NAT or firewall forgot it after {idle} idle"
            )),
            Cause::IdleReset => Some(format!(
                "{sure}a NAT or firewall reset it after {idle} idle"
            )),
            Cause::Reset
            | Cause::ClientAlive
            | Cause::ServerAlive
            | Cause::ChannelTimeout
            | Cause::UnusedConnectionTimeout
            | Cause::SshdEnded
            | Cause::Rebooted
            | Cause::ServerRestarted
            | Cause::ShellTimeout
            | Cause::Slept
            | Cause::NetworkChanged
            | Cause::Offline
            | Cause::Outage
            | Cause::KernelGaveUp
            | Cause::ControlMaster
            | Cause::RedialRefused
            | Cause::User => Some(format!("{sure}{}", cause.words())),
        }
    }
}
