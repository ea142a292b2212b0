//! What lies between: NATs and firewalls that forget idle connections.

use super::super::arithmetic::{Activity, Limit, heartbeat_for};
use super::super::finding::{Effect, End, Finding};
use super::super::path_memory::{Manner, Source};
use super::super::seconds::span;
use super::Layers;

impl Layers {
    pub(super) fn way(&self) -> Vec<Finding> {
        let row = Finding::new("NAT or firewall", End::Way, "idle timeout");
        let Some(way) = &self.way else {
            return self.unmeasured(row);
        };
        let Some(timeout) = way.timeout() else {
            return match (way.source, way.survives) {
                (Source::Probe, Some(survives)) => {
                    let says = format!("none below {}, as measured", span(survives));
                    vec![row.read_in("psess probe").effect(Effect::Held, says)]
                }
                (Source::Probe | Source::Cut, _) => self.unmeasured(row),
            };
        };
        let manner = match way.manner {
            Some(Manner::Drop) => "drops what comes later without a word",
            Some(Manner::Reset) => "answers what comes later with RST",
            None => "what comes later is lost",
        };
        let says = format!(
            "forgets an idle connection after {}, and {manner}",
            span(timeout)
        );
        let source = match way.source {
            Source::Probe => "psess probe",
            Source::Cut => "the last cuts",
        };
        let limit = Limit {
            after: timeout,
            needs: Activity::Packets,
        };
        let interval = heartbeat_for(timeout).as_secs().max(1);
        let line = format!("ServerAliveInterval {interval}");
        vec![
            row.read_in(source)
                .limit(limit, says)
                .fix(End::Here, "~/.ssh/config", line),
        ]
    }

    fn unmeasured(&self, row: Finding) -> Vec<Finding> {
        let says = "'psess probe HOST' measures it";
        let row = row.read_in("never measured").effect(Effect::Unknown, says);
        self.ssh.iter().map(|_| row.clone()).collect()
    }
}
