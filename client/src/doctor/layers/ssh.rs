//! ssh on this machine: its alive messages, and masters that connections share.

use std::time::Duration;

use super::super::arithmetic::{Activity, Keeper, server_alive};
use super::super::control_master::ControlMaster;
use super::super::finding::{Effect, End, Finding, Role};
use super::super::seconds::span;
use super::super::ssh_settings::SshSettings;
use super::Layers;

const READ: &str = "ssh -G";

impl Layers {
    pub(super) fn ssh(&self) -> Vec<Finding> {
        let Some(ssh) = &self.ssh else {
            return Vec::new();
        };
        if ssh.server_alive_interval == 0 {
            let row = Finding::new("ssh", End::Here, "ServerAliveInterval 0").read_in(READ);
            let says = "off: ssh never finds a dead path by itself";
            return vec![row.effect(Effect::CutsDead, says).fix(
                End::Here,
                "~/.ssh/config",
                "ServerAliveInterval 60",
            )];
        }
        self.alive_messages("ssh", End::Here, ssh)
    }

    /// What the alive messages of an ssh do: they keep the way open, and find it dead.
    pub(super) fn alive_messages(
        &self,
        layer: &'static str,
        end: End,
        ssh: &SshSettings,
    ) -> Vec<Finding> {
        let interval = Duration::from_secs(ssh.server_alive_interval.into());
        let name = format!("ServerAliveInterval {}", ssh.server_alive_interval);
        let count = format!(
            "{name} × ServerAliveCountMax {}",
            ssh.server_alive_count_max
        );
        let dies = server_alive(interval, ssh.server_alive_count_max).map(|after| {
            let says = format!(
                "gives up a dead path about {} after the last byte",
                span(after)
            );
            let row = Finding::new(layer, end, count).read_in(READ);
            row.after(after).effect(Effect::CutsDead, says)
        });
        let keeps = self.keeps(Finding::new(layer, end, name).read_in(READ), interval);
        dies.into_iter().chain([keeps]).collect()
    }

    /// A row of something that sends alive messages.
    pub(super) fn keeps(&self, row: Finding, interval: Duration) -> Finding {
        let timeout = self.way.as_ref().and_then(|way| way.timeout());
        let says = match timeout {
            Some(timeout) if interval >= timeout => {
                format!(
                    "too rare for this way, which forgets after {}",
                    span(timeout)
                )
            }
            Some(_) | None => format!("something goes over the way every {}", span(interval)),
        };
        let keeper = Keeper {
            interval,
            sends: Activity::Packets,
        };
        row.after(interval)
            .effect(Effect::Keeps, says)
            .role(Role::Keeper(keeper))
    }

    pub(super) fn control_master(&self) -> Vec<Finding> {
        let (Some(ssh), Some(master)) = (&self.ssh, &self.master) else {
            return Vec::new();
        };
        let path = ssh.control_path.as_deref().unwrap_or_default();
        let name = format!(
            "ControlMaster {}, ControlPersist {}",
            ssh.control_master.as_deref().unwrap_or("no"),
            ssh.control_persist.as_deref().unwrap_or("no")
        );
        let row = Finding::new("ssh", End::Here, name);
        let row = match master {
            ControlMaster::Absent => row.read_in(READ).effect(
                Effect::Hinders,
                "no master runs now; once one's path is dead, a dial through it hangs whatever \
                 ConnectTimeout says. psess's redials use none",
            ),
            ControlMaster::Works => row.read_in(format!("a dial through {path}")).effect(
                Effect::Hinders,
                "the master works now; once its path is dead, a dial through it hangs whatever \
                 ConnectTimeout says. psess's redials use none",
            ),
            ControlMaster::Hangs(waited) => row.read_in(format!("a dial through {path}")).effect(
                Effect::Hinders,
                format!(
                    "STALE: nothing has come through the master for {}, and every ssh that uses it \
                     hangs. psess's redials use none",
                    span(*waited)
                ),
            ),
        };
        let line = format!("ssh -O exit -S {path} HOST");
        vec![row.fix_by_running(End::Here, line)]
    }
}
