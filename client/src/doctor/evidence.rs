//! What is known of a cut: what this side saw, and what the far side told afterwards.
//!
//! Everything may be missing. Nothing of it is what a program printed or a user typed, but for
//! ssh's own last words.

use std::fmt;
use std::time::Duration;

use psess_protocol::message::{Ending, EndingManner};
use serde::{Deserialize, Serialize};

use super::seconds;

/// What both ends know of one cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// How this side noticed.
    pub noticed: Noticed,
    /// How long the connection had lived when it was noticed.
    #[serde(with = "seconds")]
    pub age: Duration,
    /// How long nothing had gone either way before the bytes that nobody answered any more; when
    /// it was closed in the middle of nothing, until then.
    #[serde(with = "seconds")]
    pub idle: Duration,
    /// The longest time without a byte that this connection had survived before.
    #[serde(with = "seconds")]
    pub survived_idle: Duration,
    /// The longest time without a byte that this way is known to have survived.
    #[serde(with = "seconds::option")]
    pub known_survived: Option<Duration>,
    /// How long bytes of this side had been unanswered when the cut was noticed.
    #[serde(with = "seconds")]
    pub unanswered: Duration,
    /// How long before the end this side had sent something; `None`: never.
    #[serde(with = "seconds::option")]
    pub since_sent: Option<Duration>,
    /// The ssh process's end; `None` while it still ran, or where there was none.
    pub ssh: Option<SshEnd>,
    /// How long the machine slept during the silence (CLOCK_BOOTTIME against CLOCK_MONOTONIC).
    #[serde(with = "seconds")]
    pub slept: Duration,
    /// How long this process was stopped, or got no processor, during the silence.
    #[serde(with = "seconds")]
    pub stalled: Duration,
    /// Whether this machine's address or gateway was another one afterwards.
    pub network_changed: bool,
    /// The dials that followed.
    pub redial: Redial,
    /// From the last byte that came until the session was attached again.
    #[serde(with = "seconds::option")]
    pub back_after: Option<Duration>,
    /// The server before the cut.
    pub server_before: Option<ServerIdentity>,
    /// The server after it.
    pub server_after: Option<ServerIdentity>,
    /// Whether a shell said farewell as shells do when TMOUT has passed.
    pub auto_logout: bool,
    /// Whether the user had asked to leave.
    pub leaving: bool,
    /// Whether ssh went through another one's connection, a ControlMaster's.
    pub shares_master: bool,
    /// The connection in this kernel's eyes, just before it was given up.
    pub tcp: Option<TcpState>,
    /// What was known of the way's memory before.
    #[serde(with = "seconds::option")]
    pub known_timeout: Option<Duration>,
    /// After how long idle this machine's kernel gives up by TCP keepalive.
    #[serde(with = "seconds::option")]
    pub keepalive: Option<Duration>,
    /// How the far end saw the connection end; `None` where its server does not know.
    pub far_end: Option<FarEnd>,
    /// What the far side told afterwards.
    pub far: FarEvidence,
}

/// How the server saw the connection end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarEnd {
    /// In what way.
    pub manner: EndingManner,
    /// How long after the last byte that came here.
    #[serde(with = "seconds")]
    pub after: Duration,
    /// How long nothing had come there by then.
    #[serde(with = "seconds")]
    pub silence: Duration,
}

impl FarEnd {
    /// What the server's answer means for a connection on which something last came here
    /// `back_after` before.
    #[must_use]
    pub fn of_ending(ending: &Ending, back_after: Duration) -> Self {
        let ended_ago = Duration::from_millis(ending.ended_ago_ms);
        let received_ago = Duration::from_millis(ending.received_ago_ms);
        Self {
            manner: ending.manner,
            after: back_after.saturating_sub(ended_ago),
            silence: received_ago.saturating_sub(ended_ago),
        }
    }
}

/// How this side noticed a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noticed {
    /// Nothing came although something should have; the connection was still open here.
    #[default]
    Silence,
    /// The connection was closed: ssh ended, or the socket closed.
    Closed,
    /// The session's program ended.
    Finished,
}

/// How ssh ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SshEnd {
    /// Its exit status; 255 is its own, everything else the far command's.
    pub status: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last lines that it wrote to its stderr.
    pub words: String,
}

/// What the dials after a cut met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Redial {
    /// How many failed.
    pub failed: u32,
    /// What the first failure said.
    pub words: String,
    /// Whether the user had to act: a password, a key, a host key.
    pub needed_user: bool,
    /// Whether one succeeded in the end.
    pub succeeded: bool,
}

/// Which incarnation of a server, on which boot of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// `/proc/sys/kernel/random/boot_id` there.
    pub boot_id: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub started: u64,
}

/// What `ss -ti` shows of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TcpState {
    /// Whether the kernel is sending the same bytes again and again.
    pub retransmitting: bool,
    /// How often it doubled its waiting time.
    pub backoff: u32,
    /// Bytes that wait to be acknowledged.
    pub send_queue: u64,
}

/// What the far side told after a cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FarEvidence {
    /// Whether sshd's settings could be read, so that a timeout that is not here is not set.
    pub knows_sshd: bool,
    /// After how long sshd gives up a silent client by ClientAlive, at the earliest.
    #[serde(with = "seconds::option")]
    pub client_alive: Option<Duration>,
    /// After how long idle the kernel there gives up by TCP keepalive.
    #[serde(with = "seconds::option")]
    pub keepalive: Option<Duration>,
    /// After how long sshd closes a channel without data.
    #[serde(with = "seconds::option")]
    pub channel_timeout: Option<Duration>,
    /// After how long sshd closes a connection without channels.
    #[serde(with = "seconds::option")]
    pub unused_connection_timeout: Option<Duration>,
    /// Whether sshd's log could be read and speaks of the connection's login, so that silence of
    /// it means something.
    pub knows_sshd_log: bool,
    /// What sshd's log says of the time around the cut, where it may be read.
    pub sshd_log: Vec<SshdRemark>,
    /// Whether the listening sshd was started around the time of the cut.
    pub sshd_restarted: bool,
}

/// A line of sshd's log that says why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshdRemark {
    /// "Timeout, client not responding": ClientAlive.
    ClientNotResponding,
    /// "terminating inactive connection": UnusedConnectionTimeout.
    Inactive,
    /// The kernel there gave up: "Connection timed out".
    TimedOut,
    /// "Connection reset by user …"; "Broken pipe" where sshd was writing.
    Reset,
    /// "Received signal 15; terminating": sshd was stopped.
    Stopped,
}

impl SshdRemark {
    /// Reads a line of the log (OpenSSH 7 to 10).
    #[must_use]
    pub fn of_line(line: &str) -> Option<Self> {
        [
            ("client not responding", Self::ClientNotResponding),
            ("terminating inactive connection", Self::Inactive),
            ("onnection timed out", Self::TimedOut),
            ("onnection reset by", Self::Reset),
            ("roken pipe", Self::Reset),
            ("; terminating.", Self::Stopped),
        ]
        .into_iter()
        .find_map(|(words, remark)| line.contains(words).then_some(remark))
    }
}

impl fmt::Display for SshdRemark {
    /// sshd's own words, the same from all versions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientNotResponding => "client not responding",
            Self::Inactive => "terminating inactive connection",
            Self::TimedOut => "connection timed out",
            Self::Reset => "connection reset",
            Self::Stopped => "terminating",
        })
    }
}
