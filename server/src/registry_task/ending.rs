//! The ends of sessions, and of the server: programs that end or are to, finished sessions that
//! are forgotten, and a server that nobody needs.

use std::time::Duration;

use anyhow::Context as _;
use psess_protocol::identity::SessionId;
use psess_protocol::message::{Failure, Target};
use psess_protocol::outcome::Outcome;
use tokio::time::sleep;

use super::{RegistryTask, post};
use crate::clock::unix_time;
use crate::keeper::protocol::ToKeeper;
use crate::listener::Listening;
use crate::registry::{Reply, Request};
use crate::session_event::Event;

/// How long a program that was asked to end may take before the next, harder signal.
const INSIST_AFTER: Duration = Duration::from_secs(2);

impl RegistryTask {
    pub(super) fn handle_exited(
        &mut self,
        session: SessionId,
        outcome: Outcome,
        time: u64,
    ) -> anyhow::Result<()> {
        let Some(entry) = self.entries.get_mut(session) else {
            return self.note_exit(session, outcome, time);
        };
        entry.record.outcome = Some((outcome, time));
        post(entry, Event::Exited(outcome, time));
        if !entry.killers.is_empty() {
            post(entry, Event::Seen);
        }
        if let Some(entry) = self.entries.get(session) {
            self.enter_on_roll(&entry.record);
        }
        self.expire_later(session, time);
        Ok(())
    }

    /// Forgets a session that finished at `time` when nobody has looked at it for so long.
    pub(super) fn expire_later(&self, session: SessionId, time: u64) {
        let keep = self.keep_finished;
        let registry = self.registry.clone();
        tokio::spawn(async move {
            while let Some(pause) = keep.next_look(time, unix_time()) {
                sleep(pause).await;
            }
            registry.send(Request::Expire(session));
        });
    }

    pub(super) fn expire(&mut self, session: SessionId) -> anyhow::Result<()> {
        let finished = self
            .entries
            .get(session)
            .is_some_and(|entry| entry.record.outcome.is_some());
        if finished {
            self.forget(session)?;
        }
        Ok(())
    }

    /// The keeper hangs up on all programs, and ends this server as well.
    pub(super) fn end_all(&self) -> anyhow::Result<()> {
        let keeper = rustix::process::getppid().context("there is no keeper")?;
        // What was ended on purpose was not lost.
        if let Some(roll) = self.roll() {
            for entry in self.entries.iter() {
                roll.strike(entry.record.id);
            }
            for waiting in self.waiting_sessions() {
                roll.strike(waiting);
            }
        }
        rustix::process::kill_process(keeper, rustix::process::Signal::TERM)
            .context("cannot end the keeper")
    }

    pub(super) fn kill(
        &mut self,
        target: &Target,
        signal: u8,
        reply: Reply<Result<(), Failure>>,
    ) -> anyhow::Result<()> {
        if self.waits(target) {
            return self.kill_waiting(target, signal, reply);
        }
        let session = match self.entries.find(target) {
            Ok(entry) => entry.record.id,
            Err(failure) => {
                let _ = reply.send(Err(failure));
                return Ok(());
            }
        };
        let entry = self.entries.get_mut(session).expect("just found");
        if entry.record.outcome.is_some() {
            self.forget(session)?;
            let _ = reply.send(Ok(()));
        } else if signal != 0 {
            self.keeper.send(&ToKeeper::Signal { session, signal })?;
            let _ = reply.send(Ok(()));
        } else {
            entry.killers.push(reply);
            self.keeper.send(&ToKeeper::Signal { session, signal: 0 })?;
            self.insist_later(session, libc::SIGTERM as u8);
        }
        Ok(())
    }

    pub(super) fn insist_later(&self, session: SessionId, signal: u8) {
        let registry = self.registry.clone();
        tokio::spawn(async move {
            sleep(INSIST_AFTER).await;
            registry.send(Request::Insist(session, signal));
        });
    }

    pub(super) fn insist(&mut self, session: SessionId, signal: u8) -> anyhow::Result<()> {
        let Some(entry) = self.entries.get(session) else {
            return match self.is_waited_to_end(session) {
                true => self.insist_with(session, signal),
                false => Ok(()),
            };
        };
        if entry.record.outcome.is_some() {
            // It ended, but a client takes nothing, not even the news of it.
            return if entry.killers.is_empty() {
                Ok(())
            } else {
                self.forget(session)
            };
        }
        self.insist_with(session, signal)
    }

    fn insist_with(&mut self, session: SessionId, signal: u8) -> anyhow::Result<()> {
        self.keeper.send(&ToKeeper::Signal { session, signal })?;
        if i32::from(signal) != libc::SIGKILL {
            self.insist_later(session, libc::SIGKILL as u8);
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, session: SessionId) -> anyhow::Result<()> {
        let Some(entry) = self.entries.remove(session) else {
            return Ok(());
        };
        let told = self.history_budget.forget(session);
        self.share_history(told);
        self.let_go(session)?;
        for killer in entry.killers {
            let _ = killer.send(Ok(()));
        }
        Ok(())
    }

    /// Leaves nothing behind of a session that is not an entry, or not any more.
    pub(super) fn let_go(&mut self, session: SessionId) -> anyhow::Result<()> {
        self.agent_link(session).remove();
        // Before the keeper forgets it: what it does not hold and is on the roll was lost.
        if let Some(roll) = self.roll() {
            roll.strike(session);
        }
        self.keeper.send(&ToKeeper::Forget { session })
    }

    /// Without session and connection the keeper may end all. No connection is accepted from
    /// now on until it has answered, so that none is lost.
    pub(super) fn end_if_idle(&mut self) -> anyhow::Result<()> {
        let idle = self.entries.is_empty() && self.connections == 0 && self.requests.is_empty();
        let listener = match &*self.listeners.borrow() {
            Listening::On(listener) if idle => listener.clone(),
            Listening::On(_) | Listening::Paused(_) | Listening::NotYet => return Ok(()),
        };
        self.listeners.send_replace(Listening::Paused(listener));
        self.keeper.send(&ToKeeper::Idle)
    }
}
