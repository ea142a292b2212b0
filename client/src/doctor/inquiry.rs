//! What is found out about a cut after it is over: how ssh ended, what the far side knows. It is
//! logged as it comes, and what it tells of the way is remembered.

use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use psess_protocol::message::Ending;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::cause::Cause;
use super::cut::Cut;
use super::cut_log::CutLog;
use super::evidence::{FarEnd, FarEvidence, SshEnd, TcpState};
use super::facts::Facts;
use super::path_memory::{Manner, PathKnowledge, PathMemory};

/// How long the server may take to say how it saw the connection end: an older one never does.
const ENDING_WITHIN: Duration = Duration::from_secs(5);

/// What is found out about a cut after it is over.
#[derive(Debug)]
pub(super) struct Inquiry {
    pub(super) ssh_end: Option<JoinHandle<SshEnd>>,
    pub(super) tcp: Option<JoinHandle<Option<TcpState>>>,
    pub(super) ending: Option<oneshot::Receiver<Option<Ending>>>,
    pub(super) facts_argv: Option<Vec<OsString>>,
    pub(super) log: Option<CutLog>,
    pub(super) memory: Option<PathMemory>,
}

impl Inquiry {
    /// Gives the cut with all that was found out.
    pub(super) async fn run(mut self, mut cut: Cut) -> Cut {
        if let Some(ending) = self.ssh_end.take()
            && let Ok(end) = ending.await
        {
            cut.evidence.ssh = Some(end);
        }
        if let Some(reading) = self.tcp.take() {
            // A reading that panicked is none.
            cut.evidence.tcp = reading.await.ok().flatten();
        }
        if let (Some(ending), Some(back)) = (self.ending.take(), cut.evidence.back_after)
            && let Ok(Ok(Some(ending))) = tokio::time::timeout(ENDING_WITHIN, ending).await
        {
            cut.evidence.far_end = Some(FarEnd::of_ending(&ending, back));
        }
        self.log(&cut);
        if let Some(argv) = self.facts_argv.take()
            && let Ok(facts) = Facts::ask(&argv).await
        {
            let since_noticed = cut.noticed_at().elapsed().unwrap_or_default();
            let away = cut.evidence.back_after.unwrap_or_default();
            cut.evidence.far = FarEvidence::of_facts(&facts, away + since_noticed);
            self.log(&cut);
        }
        self.learn(&cut);
        cut
    }

    /// Logging is a convenience: the session goes on without it, and there is no place to
    /// complain but the user's screen.
    pub(super) fn log(&self, cut: &Cut) {
        let _ = self.log.as_ref().map(|log| log.append(cut));
    }

    /// What a cut tells of the way is remembered.
    fn learn(&self, cut: &Cut) {
        let (Some(memory), Some(gateway), Some(host)) = (&self.memory, &cut.gateway, &cut.host)
        else {
            return;
        };
        let cause = cut.verdict().cause;
        let manner = if cause == Cause::IdleTimeout {
            Some(Manner::Drop)
        } else if cause == Cause::IdleReset {
            Some(Manner::Reset)
        } else {
            None
        };
        let policy = cut.evidence.far.channel_timeout;
        if manner.is_none() && policy.is_none() {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let idle = cut.evidence.idle;
        // As with the log.
        let _ = memory.learn(gateway, host, |known| {
            let known = PathKnowledge {
                policy: policy.or(known.policy),
                ..known
            };
            match manner {
                Some(manner) => known.after_cut(idle, manner, now),
                None => known,
            }
        });
    }
}
