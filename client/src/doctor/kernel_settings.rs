//! The kernel's timeouts (Linux: ip-sysctl, nf_conntrack-sysctl).

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::arithmetic::{keepalive, retransmission};

/// The kernel's timeouts; `None` where they cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelSettings {
    /// net.ipv4.tcp_keepalive_time, in seconds.
    pub keepalive_time: Option<u32>,
    /// net.ipv4.tcp_keepalive_probes.
    pub keepalive_probes: Option<u32>,
    /// net.ipv4.tcp_keepalive_intvl, in seconds.
    pub keepalive_interval: Option<u32>,
    /// net.ipv4.tcp_retries2.
    pub retries2: Option<u32>,
    /// net.netfilter.nf_conntrack_tcp_timeout_established, in seconds, where this machine
    /// follows connections.
    pub conntrack_established: Option<u32>,
    /// net.ipv4.ip_forward: whether this machine may be the NAT of others.
    pub forwards: bool,
}

impl KernelSettings {
    /// Reads this machine's.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let read = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
            text.trim().parse().ok()
        };
        Self {
            keepalive_time: read("ipv4/tcp_keepalive_time"),
            keepalive_probes: read("ipv4/tcp_keepalive_probes"),
            keepalive_interval: read("ipv4/tcp_keepalive_intvl"),
            retries2: read("ipv4/tcp_retries2"),
            conntrack_established: read("netfilter/nf_conntrack_tcp_timeout_established"),
            forwards: read("ipv4/ip_forward") == Some(1),
        }
    }

    /// When the first keepalive probe is sent on an idle connection.
    #[must_use]
    pub fn first_probe(&self) -> Option<Duration> {
        self.keepalive_time
            .map(|time| Duration::from_secs(time.into()))
    }

    /// After how long idle keepalive finds a connection dead.
    #[must_use]
    pub fn keepalive(&self) -> Option<Duration> {
        let interval = Duration::from_secs(self.keepalive_interval?.into());
        Some(keepalive(
            self.first_probe()?,
            self.keepalive_probes?,
            interval,
        ))
    }

    /// After how long unacknowledged data make the kernel give up.
    #[must_use]
    pub fn retransmission(&self) -> Option<Duration> {
        self.retries2.map(retransmission)
    }
}
