//! sshd on the far machine.

use std::time::Duration;

use super::super::arithmetic::{Activity, Limit};
use super::super::finding::{Effect, End, Finding};
use super::super::seconds::span;
use super::super::sshd_settings::SshdSettings;
use super::Layers;

impl Layers {
    pub(super) fn sshd(&self) -> Vec<Finding> {
        if self.ssh.is_some() && self.far.is_none() {
            let says = format!("the far side did not tell its settings: {}", self.far_said);
            let row = Finding::new("all", End::There, "settings").read_in("psess facts");
            return vec![row.effect(Effect::Unknown, says)];
        }
        let Some(sshd) = self.far_sshd() else {
            return Vec::new();
        };
        if sshd.source.is_empty() {
            let says = "neither sshd -T nor its files may be read there";
            let row = Finding::new("sshd", End::There, "settings").read_in(&sshd.file);
            return vec![row.effect(Effect::Unknown, says)];
        }
        let mut rows = self.client_alive(sshd);
        rows.extend(channel_timeout(sshd));
        rows.extend(unused_connection_timeout(sshd));
        rows.extend(login_grace_time(sshd));
        rows.extend(penalties(sshd));
        rows
    }

    fn client_alive(&self, sshd: &SshdSettings) -> Vec<Finding> {
        let interval = sshd.client_alive_interval;
        let name = format!("ClientAliveInterval {interval}");
        if interval == 0 {
            let says = "off: sshd never finds by itself that a client is gone";
            let row = row(sshd, name).effect(Effect::CutsDead, says);
            return vec![row];
        }
        let count = sshd.client_alive_count_max;
        let counted = row(sshd, format!("{name} × ClientAliveCountMax {count}"));
        let dies = match sshd.client_alive() {
            Some(limit) => counted
                .after(limit.earliest)
                .effect(
                    Effect::CutsDead,
                    format!(
                        "gives up a dead path after {} to {}, and ends what runs without psess",
                        span(limit.earliest),
                        span(limit.latest)
                    ),
                )
                .fix(
                    End::There,
                    &sshd.file,
                    format!("ClientAliveCountMax {}", count.max(3) * 10),
                ),
            None => counted.effect(Effect::CutsDead, "with a count of 0 it never gives up"),
        };
        let keeps = self.keeps(row(sshd, name), Duration::from_secs(interval.into()));
        vec![dies, keeps]
    }
}

fn channel_timeout(sshd: &SshdSettings) -> Option<Finding> {
    let timeout = sshd.channel_timeout()?;
    let limit = Limit {
        after: timeout,
        needs: Activity::ChannelData,
    };
    let says = format!(
        "closes a session without data after {}; alive messages do not count",
        span(timeout)
    );
    let row = row(sshd, in_seconds("ChannelTimeout", timeout)).limit(limit, says);
    Some(row.fix(End::There, &sshd.file, "ChannelTimeout session:*=none"))
}

/// A connection with a session on it is not unused.
fn unused_connection_timeout(sshd: &SshdSettings) -> Option<Finding> {
    let timeout = sshd.unused_connection_timeout()?;
    let row = row(sshd, in_seconds("UnusedConnectionTimeout", timeout)).after(timeout);
    Some(row.effect(Effect::Held, "ends masters without a session, not sessions"))
}

fn login_grace_time(sshd: &SshdSettings) -> Option<Finding> {
    let time = Duration::from_secs(sshd.login_grace_time.into());
    let row = row(sshd, in_seconds("LoginGraceTime", time)).after(time);
    let says = "ends a login that takes longer, say while a password is looked for";
    (!time.is_zero()).then(|| row.effect(Effect::CutsLogin, says))
}

fn penalties(sshd: &SshdSettings) -> Option<Finding> {
    let penalties = sshd.per_source_penalties.as_ref()?;
    let row = row(sshd, format!("PerSourcePenalties {penalties}"));
    let says = "refuses sources whose dials fail too fast; psess's stay 5 s apart";
    Some(row.effect(Effect::Hinders, says))
}

fn row(sshd: &SshdSettings, setting: impl Into<String>) -> Finding {
    Finding::new("sshd", End::There, setting).read_in(&sshd.source)
}

fn in_seconds(name: &str, value: Duration) -> String {
    format!("{name} {} s", value.as_secs())
}
