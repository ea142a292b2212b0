//! Sessions that were lost with a keeper that was killed: their programs were hung up on by the
//! kernel, or are now, and their screens are gone. They are listed as finished until somebody has
//! seen it, so that nobody looks for them in vain, and no name starts its job a second time
//! unnoticed.

use std::os::fd::OwnedFd;

use anyhow::Context as _;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use rustix::process::{Pid, Signal};

use super::RegistryTask;
use crate::clock::unix_time;
use crate::journal::Journal;
use crate::process_group;
use crate::process_start;
use crate::pty::Pty;
use crate::record::Record;
use crate::roll::Roll;

/// What stands on the screen of such a session, and in its title.
const WORDS: &[u8] = b"\x1b]2;lost: its keeper was killed\x1b\\\
    psess lost this session: its keeper was killed, or the machine went down.\r\n";

/// A session is entered so many seconds after its program began, at most.
const START_APART: u64 = 5;

impl RegistryTask {
    /// Enters a session on the roll, or what is new of it.
    pub(super) fn enter_on_roll(&self, record: &Record) {
        if let Some(roll) = self.roll()
            && let Err(error) = roll.enter(record)
        {
            tracing::debug!("session '{}' is not on the roll: {error}", record.name);
        }
    }

    /// Enters all sessions on a roll that has none of them.
    pub(super) fn write_roll(&self) {
        for entry in self.entries.iter() {
            self.enter_on_roll(&entry.record);
        }
    }

    /// The roll beside the socket.
    pub(super) fn roll(&self) -> Option<Roll> {
        let directory = self.listeners.borrow().directory()?;
        Some(Roll::new(&directory))
    }

    /// Takes up what is on the roll and what no keeper holds.
    pub(super) fn take_up_lost(&mut self) {
        let Some(roll) = self.roll() else {
            return;
        };
        for mut record in roll.all() {
            let waits = self.waiting_sessions().any(|waiting| waiting == record.id);
            if waits || self.entries.get(record.id).is_some() {
                continue;
            }
            let name = record.name.clone();
            let is_taken = self.entries.check_free(&name).is_err();
            if is_taken {
                roll.strike(record.id);
                continue;
            }
            tracing::error!("session '{name}' was lost with its keeper");
            if record.outcome.is_none() {
                hang_up(&record);
            }
            // What the kernel does to programs whose terminal goes (tty(4)).
            let hung_up = Outcome::Signaled(libc::SIGHUP as u8);
            record.outcome = record.outcome.or(Some((hung_up, unix_time())));
            self.enter_on_roll(&record);
            let remains = remains(record.size);
            if let Err(error) = remains.and_then(|fds| self.run_session(record, &fds, None)) {
                tracing::error!("session '{name}' cannot be shown: {error:#}");
            }
        }
    }
}

/// Does what the kernel did when the keeper and its server were gone, unless a client that is stopped
/// has the pty open still: its program would go on unseen.
fn hang_up(record: &Record) {
    let began = process_start::of(record.pid);
    // The number may be another's by now.
    let is_it = began.is_some_and(|began| began.abs_diff(record.created) <= START_APART);
    let pid = i32::try_from(record.pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| is_it) {
        process_group::signal(pid, Signal::HUP);
    }
}

/// A pty without a program, and a journal with no more in it than what happened.
fn remains(size: Size) -> anyhow::Result<Vec<OwnedFd>> {
    let mut journal = Journal::unshared().context("no memory for a journal")?;
    journal.log_spare()[..WORDS.len()].copy_from_slice(WORDS);
    journal.commit_output(WORDS.len());
    let (journal, input) = journal.descriptors()?;
    Ok(vec![Pty::open(size.clamped())?.master, journal, input])
}
