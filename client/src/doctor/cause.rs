//! Who or what can cut a connection: the names, and what helps.

use serde::{Deserialize, Serialize};

/// Who or what cut a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A NAT or firewall forgot the idle connection and drops what comes for it.
    IdleTimeout,
    /// A NAT or firewall forgot the idle connection and answers with RST.
    IdleReset,
    /// Somebody on the way sent RST, and not because of idleness.
    Reset,
    /// sshd gave up: ClientAliveInterval × ClientAliveCountMax.
    ClientAlive,
    /// ssh gave up: ServerAliveInterval × ServerAliveCountMax.
    ServerAlive,
    /// sshd's ChannelTimeout.
    ChannelTimeout,
    /// sshd's UnusedConnectionTimeout.
    UnusedConnectionTimeout,
    /// The sshd behind the connection was killed or restarted.
    SshdEnded,
    /// The far machine rebooted.
    Rebooted,
    /// The psess server was restarted.
    ServerRestarted,
    /// The shell logged out after TMOUT.
    ShellTimeout,
    /// This machine, or psess on it, slept.
    Slept,
    /// This machine's address or route changed.
    NetworkChanged,
    /// This machine had no network.
    Offline,
    /// The way to the far machine, or that machine, was down for a while.
    Outage,
    /// A kernel gave up: tcp_retries2, or TCP keepalive.
    KernelGaveUp,
    /// The ControlMaster that the connection went through ended.
    ControlMaster,
    /// It was cut for another reason, and authentication or the host key kept it from coming back.
    RedialRefused,
    /// Somebody on this machine ended it: the user, or a signal to ssh.
    User,
    /// The evidence fits nothing known.
    Unknown,
}

impl Cause {
    /// Every cause, for tables.
    pub const ALL: [Self; 20] = [
        Self::IdleTimeout,
        Self::IdleReset,
        Self::Reset,
        Self::ClientAlive,
        Self::ServerAlive,
        Self::ChannelTimeout,
        Self::UnusedConnectionTimeout,
        Self::SshdEnded,
        Self::Rebooted,
        Self::ServerRestarted,
        Self::ShellTimeout,
        Self::Slept,
        Self::NetworkChanged,
        Self::Offline,
        Self::Outage,
        Self::KernelGaveUp,
        Self::ControlMaster,
        Self::RedialRefused,
        Self::User,
        Self::Unknown,
    ];

    /// A few words, as in a list.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::IdleTimeout => "a NAT or firewall forgot the idle connection",
            Self::IdleReset => "a NAT or firewall reset the idle connection",
            Self::Reset => "somebody on the way reset the connection",
            Self::ClientAlive => "sshd's ClientAlive gave up",
            Self::ServerAlive => "ssh's ServerAlive gave up",
            Self::ChannelTimeout => "sshd's ChannelTimeout closed it",
            Self::UnusedConnectionTimeout => "sshd's UnusedConnectionTimeout closed it",
            Self::SshdEnded => "the far sshd ended",
            Self::Rebooted => "the far machine rebooted",
            Self::ServerRestarted => "the psess server restarted",
            Self::ShellTimeout => "the shell logged out by TMOUT",
            Self::Slept => "this machine slept",
            Self::NetworkChanged => "this machine's address or route changed",
            Self::Offline => "this machine had no network",
            Self::Outage => "the way was down for a while",
            Self::KernelGaveUp => "the kernel gave up",
            Self::ControlMaster => "the ControlMaster ended",
            Self::RedialRefused => "the host does not let ssh in any more",
            Self::User => "it was ended on this machine",
            Self::Unknown => "unknown",
        }
    }

    /// What helps those who want no heartbeats of psess, where something does.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::IdleTimeout | Self::IdleReset => Some(
                "'psess probe HOST' measures after how long; ServerAliveInterval in ~/.ssh/config, \
                 below half of that, keeps a plain ssh alive",
            ),
            Self::ClientAlive => Some("ClientAliveCountMax in the far sshd_config"),
            Self::ServerAlive => Some("ServerAliveCountMax in ~/.ssh/config"),
            Self::ChannelTimeout => Some("ChannelTimeout in the far sshd_config"),
            Self::UnusedConnectionTimeout => Some("UnusedConnectionTimeout in the far sshd_config"),
            Self::ShellTimeout => Some("'unset TMOUT' in the session, where it is not readonly"),
            Self::KernelGaveUp => {
                Some("net.ipv4.tcp_retries2, net.ipv4.tcp_keepalive_* on either side")
            }
            Self::ControlMaster => Some("ControlPersist in ~/.ssh/config"),
            Self::RedialRefused => Some("'ssh -v HOST' shows what is refused"),
            Self::Reset
            | Self::SshdEnded
            | Self::Rebooted
            | Self::ServerRestarted
            | Self::Slept
            | Self::NetworkChanged
            | Self::Offline
            | Self::Outage
            | Self::User
            | Self::Unknown => None,
        }
    }
}
