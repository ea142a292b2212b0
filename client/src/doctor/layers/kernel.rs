//! The kernels at both ends: what they do with a connection whose peer is silent.

use std::time::Duration;

use super::super::arithmetic::{Activity, Keeper, heartbeat_for};
use super::super::finding::{Effect, End, Finding, Role};
use super::super::kernel_settings::KernelSettings;
use super::super::seconds::span;
use super::Layers;

/// A shorter keepalive than any common NAT forgets after, where the way was not measured.
const KEEPALIVE: Duration = Duration::from_secs(60);

impl Layers {
    pub(super) fn kernels(&self) -> Vec<Finding> {
        // This machine's connection is the one to the nearest hop.
        let ssh = self.hops.first().and_then(|hop| hop.ssh.as_ref());
        let ssh = ssh.or(self.ssh.as_ref());
        let near = ssh.map(|ssh| (ssh.server_alive_interval, ssh.tcp_keepalive));
        let mut rows = self.kernel(End::Here, &self.near.kernel, near);
        if let Some(far) = &self.far {
            let sshd = self.far_sshd();
            let alive = sshd.map(|sshd| (sshd.client_alive_interval, sshd.tcp_keepalive));
            rows.extend(self.kernel(End::There, &far.kernel, alive));
        }
        rows
    }

    /// The kernel at one end. `alive`: how often ssh or sshd sends an alive message there, in
    /// seconds, and whether it asked for TCP keepalive.
    fn kernel(
        &self,
        end: End,
        kernel: &KernelSettings,
        alive: Option<(u32, bool)>,
    ) -> Vec<Finding> {
        let (alive_interval, keepalive) = alive.unwrap_or((0, true));
        [
            retransmission(end, kernel, alive_interval),
            self.keepalive(end, kernel, keepalive),
            conntrack(end, kernel),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn keepalive(&self, end: End, kernel: &KernelSettings, is_on: bool) -> Option<Finding> {
        let (after, first) = (kernel.keepalive()?, kernel.first_probe()?);
        if !is_on {
            let says = "off: the kernel never finds a dead path where nothing is sent";
            let row = Finding::new("kernel", end, "TCPKeepAlive no").read_in(match end {
                End::Here | End::Way => "ssh -G",
                End::There => "sshd -T",
            });
            return Some(row.effect(Effect::CutsDead, says));
        }
        let name = format!(
            "net.ipv4.tcp_keepalive_time = {}, _probes = {}, _intvl = {}",
            kernel.keepalive_time?, kernel.keepalive_probes?, kernel.keepalive_interval?,
        );
        let row = Finding::new("kernel", end, name).read_in("/proc/sys/net/ipv4");
        let says = format!(
            "first probe after {} idle, a dead path is found after {}",
            span(first),
            span(after)
        );
        let keeper = Keeper {
            interval: first,
            sends: Activity::Packets,
        };
        // Probes of the far kernel end at the last hop.
        let role = match end == End::Here || self.is_direct() {
            true => Role::Keeper(keeper),
            false => Role::Bystander,
        };
        let row = row.after(after).effect(Effect::CutsDead, says).role(role);
        let timeout = self.way.as_ref().and_then(|way| way.timeout());
        let better = timeout.map_or(KEEPALIVE, heartbeat_for).min(KEEPALIVE);
        if first <= better {
            return Some(row);
        }
        let name = "net.ipv4.tcp_keepalive_time";
        Some(row.fix(end, SYSCTL, format!("{name} = {}", better.as_secs().max(1))))
    }
}

/// Where settings of the kernel are kept.
const SYSCTL: &str = "/etc/sysctl.d/90-psess.conf";

/// An alive message is data that a dead path leaves unanswered; without them there may be none.
fn retransmission(end: End, kernel: &KernelSettings, alive_interval: u32) -> Option<Finding> {
    let after = kernel.retransmission()?;
    let name = format!("net.ipv4.tcp_retries2 = {}", kernel.retries2?);
    let row = Finding::new("kernel", end, name).read_in("/proc/sys/net/ipv4/tcp_retries2");
    if alive_interval == 0 {
        let says = format!(
            "unanswered data make the kernel give up after about {}",
            span(after)
        );
        return Some(row.after(after).effect(Effect::CutsUnanswered, says));
    }
    let interval = Duration::from_secs(alive_interval.into());
    let says = format!(
        "an unanswered alive message makes the kernel give up about {} later",
        span(after)
    );
    Some(row.after(interval + after).effect(Effect::CutsDead, says))
}

/// A machine that forwards is the NAT or firewall of others.
fn conntrack(end: End, kernel: &KernelSettings) -> Option<Finding> {
    let timeout = kernel.conntrack_established.filter(|_| kernel.forwards)?;
    let after = Duration::from_secs(timeout.into());
    let name = "net.netfilter.nf_conntrack_tcp_timeout_established";
    let row = Finding::new("kernel as NAT", end, format!("{name} = {timeout}"));
    let row = row.read_in("/proc/sys/net/netfilter").after(after).effect(
        Effect::CutsOthers,
        format!(
            "forgets idle connections that go through it after {}",
            span(after)
        ),
    );
    // The kernel's own default, and more than RFC 5382 asks for.
    const DEFAULT: u32 = 432_000;
    Some(match timeout < DEFAULT {
        true => row.fix(end, SYSCTL, format!("{name} = {DEFAULT}")),
        false => row,
    })
}
