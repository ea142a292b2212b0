//! Who cuts a connection first, and the table of all that may, worst first. Pure.

use std::time::Duration;

use serde::Serialize;

use super::arithmetic::{Activity, Keeper};
use super::finding::{Effect, Finding, Role};
use super::layers::Layers;
use super::measured::{Bound, BoundManner};
use super::seconds;
use super::ssh_settings::SshSettings;

/// Who ends a connection first, and after how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstCut {
    /// The row's layer and setting.
    pub by: String,
    /// After how long.
    #[serde(with = "seconds", rename = "after_seconds")]
    pub after: Duration,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What would end an idle plain ssh first; `None`: nothing that is known.
    pub plain_ssh: Option<FirstCut>,
    /// The same for psess with its heartbeat.
    pub psess: Option<FirstCut>,
    /// What would find first that the path is dead, with nothing on its way; `None`: nothing.
    pub dead_path: Option<FirstCut>,
    /// The table, worst first.
    pub findings: Vec<Finding>,
}

/// Judges what was read.
#[must_use]
pub fn report(layers: &Layers) -> Report {
    let mut findings = layers.findings();
    let plain: Vec<Keeper> = findings.iter().filter_map(Finding::keeper).collect();
    let with_heartbeat: Vec<Keeper> = findings
        .iter()
        .filter_map(Finding::heartbeat)
        .chain(plain.iter().copied())
        .collect();
    for finding in &mut findings {
        if let Role::Limit(limit) = finding.role
            && limit.cuts_after(&plain).is_none()
        {
            finding.effect = Effect::Held;
        }
    }
    findings.sort_by_key(|finding| (finding.effect, finding.after.unwrap_or(Duration::MAX)));
    Report {
        plain_ssh: first(&findings, |finding| finding.cuts_idle_after(&plain)),
        psess: first(&findings, |finding| {
            finding.cuts_idle_after(&with_heartbeat)
        }),
        dead_path: first(&findings, Finding::finds_dead_after),
        findings,
    }
}

/// What hides the way from a measurement, whose own ssh sends nothing by itself.
#[must_use]
pub fn bounds(layers: &Layers) -> Vec<Bound> {
    let silent = Layers {
        ssh: layers.ssh.as_ref().map(|ssh| SshSettings {
            server_alive_interval: 0,
            tcp_keepalive: false,
            ..ssh.clone()
        }),
        way: None,
        ..layers.clone()
    };
    let bound = |finding: Finding| {
        let (manner, after) = match finding.role {
            Role::Keeper(keeper) => (BoundManner::KeepsAlive, keeper.interval),
            Role::Limit(limit) if limit.needs == Activity::ChannelData => {
                (BoundManner::Closes, limit.after)
            }
            Role::Limit(_) | Role::Heartbeat(_) | Role::Bystander => return None,
        };
        Some(Bound {
            manner,
            by: format!("{}: {}", finding.layer, finding.setting),
            after,
        })
    };
    let mut bounds: Vec<Bound> = silent.findings().into_iter().filter_map(bound).collect();
    bounds.sort_by_key(|bound| bound.after);
    bounds
}

/// The row with the shortest time.
fn first(findings: &[Finding], after: impl Fn(&Finding) -> Option<Duration>) -> Option<FirstCut> {
    let cuts = findings.iter().filter_map(|finding| {
        Some(FirstCut {
            by: format!("{}: {}", finding.layer, finding.setting),
            after: after(finding)?,
        })
    });
    cuts.min_by_key(|cut| cut.after)
}

impl Finding {
    fn keeper(&self) -> Option<Keeper> {
        match self.role {
            Role::Keeper(keeper) => Some(keeper),
            Role::Bystander | Role::Limit(_) | Role::Heartbeat(_) => None,
        }
    }

    fn heartbeat(&self) -> Option<Keeper> {
        match self.role {
            Role::Heartbeat(keeper) => Some(keeper),
            Role::Bystander | Role::Limit(_) | Role::Keeper(_) => None,
        }
    }

    fn cuts_idle_after(&self, keepers: &[Keeper]) -> Option<Duration> {
        match self.role {
            Role::Limit(limit) => limit.cuts_after(keepers),
            Role::Bystander | Role::Keeper(_) | Role::Heartbeat(_) => None,
        }
    }

    fn finds_dead_after(&self) -> Option<Duration> {
        self.after.filter(|_| self.effect == Effect::CutsDead)
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
