//! The login shell's own timeout.

use std::time::Duration;

use super::super::arithmetic::{Activity, Limit};
use super::super::finding::Finding;
use super::Layers;

impl Layers {
    pub(super) fn shell(&self) -> Vec<Finding> {
        let Some((end, facts)) = self.host() else {
            return Vec::new();
        };
        let shell = &facts.shell;
        let Some(timeout) = shell.timeout else {
            return Vec::new();
        };
        let (name, says) = match shell.is_readonly {
            true => (
                format!("TMOUT={timeout}, readonly"),
                "logs an idle prompt out, however well the connection is; being readonly, it \
                 cannot be unset in the session",
            ),
            false => (
                format!("TMOUT={timeout}"),
                "logs an idle prompt out, however well the connection is",
            ),
        };
        let limit = Limit {
            after: Duration::from_secs(timeout.into()),
            needs: Activity::Typing,
        };
        let row = Finding::new("shell", end, name).read_in(&shell.source);
        let row = row.limit(limit, says);
        vec![match shell.source.rsplit_once(':') {
            Some((file, line)) if shell.is_readonly => {
                row.fix(end, file, format!("(delete line {line})"))
            }
            Some(_) | None => row.fix(end, "~/.bashrc", "unset TMOUT"),
        }]
    }
}
