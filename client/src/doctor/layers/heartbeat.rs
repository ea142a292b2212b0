//! psess's own heartbeat.

use psess_protocol::timing::Timing;

use super::super::arithmetic::{Activity, Keeper};
use super::super::finding::{Effect, End, Finding, Role};
use super::super::path_memory::PathKnowledge;
use super::super::seconds::span;
use super::super::sshd_settings::SshdSettings;
use super::Layers;

impl Layers {
    pub(super) fn heartbeat(&self) -> Vec<Finding> {
        let Some(timing) = &self.timing else {
            return Vec::new();
        };
        let way = self.way.as_ref().and_then(PathKnowledge::timeout);
        let sshd = self.far_sshd().and_then(SshdSettings::channel_timeout);
        let known = [timing.path_idle_timeout, way, sshd];
        let heeding = Timing {
            path_idle_timeout: known.into_iter().flatten().min(),
            ..timing.clone()
        };
        let Some(interval) = heeding.heartbeat(false) else {
            return Vec::new();
        };
        let (says, source) = match Some(interval) < timing.heartbeat(false) {
            true => (
                "as often as this way and sshd need",
                "what is known of them",
            ),
            false => ("something goes over the way that often", "config.toml"),
        };
        let keeper = Keeper {
            interval,
            sends: Activity::ChannelData,
        };
        let row = Finding::new("psess", End::Here, format!("heartbeat {}", span(interval)));
        let row = row.read_in(source).after(interval);
        vec![
            row.effect(Effect::Keeps, says)
                .role(Role::Heartbeat(keeper)),
        ]
    }
}
