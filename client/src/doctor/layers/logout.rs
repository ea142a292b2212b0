//! What logind does at logout.

use super::super::finding::{Effect, End, Finding};
use super::Layers;

impl Layers {
    pub(super) fn logout(&self) -> Vec<Finding> {
        let Some((end, facts)) = self.host() else {
            return Vec::new();
        };
        let logout = &facts.logout;
        if !logout.has_logind {
            return Vec::new();
        }
        if logout.linger {
            let row = Finding::new("logind", end, "linger").read_in("/var/lib/systemd/linger");
            let says = "what runs, and $XDG_RUNTIME_DIR, outlive the last logout";
            return vec![row.effect(Effect::Keeps, says)];
        }
        let kills = logout.kill_user_processes.as_ref();
        let kills = kills.filter(|(is_on, _)| *is_on).map(|(_, file)| {
            let says = "logout kills what stays behind; psess asks systemd for a scope of its own";
            linger(
                Finding::new("logind", end, "KillUserProcesses yes")
                    .read_in(file)
                    .effect(Effect::CutsAtLogout, says),
                end,
            )
        });
        let directory = logout.runtime_directory.as_ref().map(|directory| {
            let says = "goes at the last logout; psess makes its socket elsewhere then";
            linger(
                Finding::new("logind", end, format!("runtime directory {directory}"))
                    .read_in("$XDG_RUNTIME_DIR")
                    .effect(Effect::Held, says),
                end,
            )
        });
        kills.into_iter().chain(directory).collect()
    }
}

fn linger(row: Finding, end: End) -> Finding {
    row.fix_by_running(end, "loginctl enable-linger")
}
