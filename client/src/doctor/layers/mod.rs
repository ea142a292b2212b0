//! Every layer that may cut or keep a connection: what its settings mean. One file each. Pure.

mod heartbeat;
mod kernel;
mod logout;
mod proxy;
mod shell;
mod ssh;
mod sshd;
mod way;

use psess_protocol::timing::Timing;

use super::control_master::ControlMaster;
use super::facts::Facts;
use super::finding::{End, Finding};
use super::path_memory::PathKnowledge;
use super::proxy_jump::Hop;
use super::ssh_settings::SshSettings;
use super::sshd_settings::SshdSettings;

/// All that was read.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// ssh's settings for the host; `None` where the way is not ssh.
    pub ssh: Option<SshSettings>,
    /// What lies behind ssh's ControlPath, where one is set.
    pub master: Option<ControlMaster>,
    /// The hosts on the way, the nearest first.
    pub hops: Vec<Hop>,
    /// This machine.
    pub near: Facts,
    /// The far machine; `None` when it did not tell.
    pub far: Option<Facts>,
    /// What was said instead, where it did not tell.
    pub far_said: String,
    /// What is known of the way.
    pub way: Option<PathKnowledge>,
    /// How psess keeps time; `None`: it sends no heartbeats there, heeding sshd's ChannelTimeout.
    pub timing: Option<Timing>,
}

impl Layers {
    /// The rows of all layers, in no order.
    pub(super) fn findings(&self) -> Vec<Finding> {
        [
            self.way(),
            self.ssh(),
            self.control_master(),
            self.proxy(),
            self.sshd(),
            self.kernels(),
            self.shell(),
            self.logout(),
            self.heartbeat(),
        ]
        .concat()
    }

    /// Whether ssh knows no machine of that name, or none of one on the way to it.
    #[must_use]
    pub fn names_no_host(&self) -> bool {
        self.far.is_none() && self.far_said.contains("Could not resolve hostname")
    }

    /// The sshd that serves this user there.
    fn far_sshd(&self) -> Option<&SshdSettings> {
        self.far.as_ref()?.sshd.as_ref()
    }

    /// The machine on which the session's program runs, where it told.
    fn host(&self) -> Option<(End, &Facts)> {
        match &self.far {
            Some(far) => Some((End::There, far)),
            None if self.ssh.is_none() => Some((End::Here, &self.near)),
            None => None,
        }
    }
}
