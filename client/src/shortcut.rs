//! The shortcut that keys take while nothing else is going on: a thread that waits for nothing but
//! the terminal, and writes what is typed to the session's pty, where that is lent to us.
//!
//! Whoever types feels how long a process that slept takes from a key to its write, and most of
//! that are caches gone cold: the main loop of a client touches several times as much memory on
//! its way as this does. What is no plain key, or may not pass, the thread hands to the main loop,
//! and leaves the terminal to that: see [`attach`](crate::attach).

use std::future::pending;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use psess_protocol::size::Size;
use psess_protocol::stop_keys;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};
use tokio::sync::Notify;

use crate::detach_key::DetachKey;
use crate::keys::KeyScanner;
use crate::lending::LentPty;
use crate::tty;

/// What is read from the terminal at once: more than a tty ever gives.
pub const TYPED_BYTES: usize = 4096;

/// After so long at the latest the main loop knows that somebody typed.
const TOLD_AFTER: Duration = Duration::from_millis(100);

/// The thread's stack: it calls next to nothing.
const STACK: usize = 64 << 10;

/// A passage from the terminal to the pty, closed at first. Its thread begins when it opens.
#[derive(Debug, Default)]
pub struct Shortcut(Option<Arc<Shared>>);

/// Where keys may go.
#[derive(Debug)]
pub struct Passage {
    /// The pty that they are written to, while it takes them.
    pub pty: Arc<LentPty>,
    /// The size that the program knows its terminal to have: it is to know another before a key.
    pub size: Size,
    /// The key that is for us.
    pub detach_key: DetachKey,
}

/// What the main loop is told.
#[derive(Debug)]
pub enum Told {
    /// Keys were written to the pty; whether one of them was to stop the program.
    Passed {
        /// One was.
        stops: bool,
    },
    /// This was read and goes another way, or nothing can be read any more. The passage is closed.
    Typed(io::Result<Vec<u8>>),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    bell: OwnedFd,
    /// Wakes the main loop.
    told: Notify,
}

#[derive(Debug, Default)]
struct State {
    passage: Option<Passage>,
    passed: Option<Passed>,
    typed: Option<io::Result<Vec<u8>>>,
    is_over: bool,
}

/// Keys that passed, and that the main loop has not taken note of.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// When the first of them did.
    since: Instant,
    /// One is to stop the program.
    stops: bool,
    /// The main loop has been woken for them.
    is_told: bool,
}

impl Shortcut {
    /// From now on the thread alone reads the terminal, until the passage is closed. It stays
    /// closed while something that was read is still to be told.
    ///
    /// # Errors
    /// When there can be no thread, or descriptors run out. The passage stays closed then.
    pub fn open(&mut self, terminal: BorrowedFd<'_>, passage: Passage) -> io::Result<()> {
        let shared = match &self.0 {
            Some(shared) => shared,
            None => self.0.insert(Shared::begin(terminal)?),
        };
        let mut state = shared.state();
        if state.typed.is_none() {
            state.passage = Some(passage);
        }
        drop(state);
        shared.ring();
        Ok(())
    }

    /// Closes the passage: once this returns the thread reads nothing, and what it read is told.
    pub fn close(&mut self) {
        if let Some(shared) = &self.0 {
            shared.state().passage = None;
        }
    }

    /// Whether the thread reads the terminal.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let shared = self.0.as_ref();
        shared.is_some_and(|shared| shared.state().passage.is_some())
    }

    /// What there is to tell now.
    pub fn poll(&mut self) -> Option<Told> {
        self.0.as_ref()?.poll()
    }

    /// Waits until there is something to tell. May be dropped without loss.
    pub async fn next(&mut self) -> Told {
        match &self.0 {
            Some(shared) => shared.next().await,
            None => pending().await,
        }
    }
}

impl Drop for Shortcut {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            let mut state = shared.state();
            (state.passage, state.is_over) = (None, true);
            drop(state);
            shared.ring();
        }
    }
}

impl Shared {
    /// Starts a thread that reads the terminal.
    fn begin(terminal: BorrowedFd<'_>) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Self {
            state: Mutex::default(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            told: Notify::new(),
        });
        let terminal = terminal.try_clone_to_owned()?;
        thread::Builder::new()
            .name("psess-keys".to_owned())
            .stack_size(STACK)
            .spawn({
                let shared = shared.clone();
                move || shared.run(&terminal)
            })?;
        Ok(shared)
    }

    fn poll(&self) -> Option<Told> {
        let mut state = self.state();
        if let Some(Passed { stops, .. }) = state.passed.take() {
            return Some(Told::Passed { stops });
        }
        state.typed.take().map(Told::Typed)
    }

    async fn next(&self) -> Told {
        loop {
            self.told.notified().await;
            if let Some(told) = self.poll() {
                return told;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // Full, it rings already.
        let _ = write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// The thread.
    fn run(&self, terminal: &OwnedFd) {
        let _end = ThreadEnd(self);
        let mut typed = [0; TYPED_BYTES];
        let (mut listens, mut due) = (false, None);
        loop {
            let [rang, came] = self.wait(terminal, listens, due);
            if rang {
                let _ = read(&self.bell, &mut [0; 8]);
            }
            let mut state = self.state();
            if state.is_over {
                return;
            }
            if came {
                state.handle_readable(terminal, &mut typed);
            }
            let news = state.poll_news(Instant::now());
            listens = state.passage.is_some();
            due = state.due();
            drop(state);
            if news {
                self.told.notify_one();
            }
        }
    }

    /// Waits: whether the bell rang, and whether the terminal has something.
    fn wait(&self, terminal: &OwnedFd, listens: bool, due: Option<Instant>) -> [bool; 2] {
        let mut polled = [
            PollFd::new(&self.bell, PollFlags::IN),
            PollFd::new(terminal, PollFlags::IN),
        ];
        let count = if listens { 2 } else { 1 };
        let timeout = due.map(|due| {
            let rest = due.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: 0,
                tv_nsec: rest.subsec_nanos().into(),
            }
        });
        let ready = poll(&mut polled[..count], timeout.as_ref());
        polled.map(|polled| ready.is_ok() && !polled.revents().is_empty())
    }
}

impl Passed {
    /// One key, then.
    fn at(since: Instant) -> Self {
        Self {
            since,
            stops: false,
            is_told: false,
        }
    }
}

/// However the thread ends, the main loop does not leave the terminal to it.
struct ThreadEnd<'a>(&'a Shared);

impl Drop for ThreadEnd<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if !state.is_over {
            state.hand_over(Err(io::Error::other("the thread that reads keys ended")));
            drop(state);
            self.0.told.notify_one();
        }
    }
}

impl State {
    /// The terminal has something, for us or for the main loop.
    fn handle_readable(&mut self, terminal: &OwnedFd, typed: &mut [u8]) {
        let Some(passage) = &self.passage else {
            return;
        };
        let count = match read(terminal, &mut *typed) {
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(error) => return self.hand_over(Err(error.into())),
        };
        let typed = &typed[..count];
        let is_plain = KeyScanner::only_passes(passage.detach_key, typed);
        let passed = match is_plain && tty::size(terminal.as_fd()) == passage.size {
            true => passage.pty.type_in(typed),
            false => 0,
        };
        if passed > 0 {
            let stops = stop_keys::are_in(&typed[..passed]);
            let first = || Passed::at(Instant::now());
            self.passed.get_or_insert_with(first).stops |= stops;
        }
        if passed < count || count == 0 {
            self.hand_over(Ok(typed[passed..].to_vec()));
        }
    }

    fn hand_over(&mut self, typed: io::Result<Vec<u8>>) {
        self.passage = None;
        self.typed = Some(typed);
    }

    /// When the main loop is to be told.
    fn due(&self) -> Option<Instant> {
        let passed = self.passed.filter(|passed| !passed.is_told)?;
        Some(passed.since + TOLD_AFTER)
    }

    /// Whether the main loop is to be woken now.
    fn poll_news(&mut self, now: Instant) -> bool {
        let due = self.due();
        let mut is_due = false;
        if let Some(passed) = &mut self.passed {
            is_due = due.is_some_and(|due| passed.stops || due <= now);
            passed.is_told |= is_due;
        }
        is_due || self.typed.is_some()
    }
}

#[cfg(test)]
#[path = "shortcut_tests.rs"]
mod tests;
