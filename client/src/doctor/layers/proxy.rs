//! Hosts on the way: each hop is a connection of its own, with limits of its own.

use super::super::finding::{Effect, End, Finding};
use super::Layers;

impl Layers {
    pub(super) fn proxy(&self) -> Vec<Finding> {
        let mut rows = Vec::new();
        for hop in &self.hops {
            let name = format!("ProxyJump {}", hop.name);
            let row = Finding::new("hop", End::Way, name).read_in("ssh -G");
            let says = format!(
                "a connection of its own, with limits of its own: 'psess doctor {}' reads them",
                hop.name
            );
            rows.push(row.effect(Effect::Unknown, says));
            if let Some(ssh) = hop.ssh.as_ref().filter(|ssh| ssh.server_alive_interval > 0) {
                let alive = self.alive_messages("hop", End::Here, ssh);
                rows.extend(alive.into_iter().map(|row| Finding {
                    setting: format!("{} ({})", row.setting, hop.name),
                    ..row
                }));
            }
        }
        let command = self.ssh.as_ref().and_then(|ssh| ssh.proxy_command.as_ref());
        rows.extend(command.map(|command| {
            let row = Finding::new("hop", End::Way, format!("ProxyCommand {command}"));
            let says = "what it connects to has limits of its own, which cannot be read";
            row.read_in("ssh -G").effect(Effect::Unknown, says)
        }));
        rows
    }

    /// Whether the TCP connection of this machine is ssh's own, and ends at the far sshd.
    pub(super) fn is_direct(&self) -> bool {
        let command = self.ssh.as_ref().and_then(|ssh| ssh.proxy_command.as_ref());
        self.hops.is_empty() && command.is_none()
    }
}
