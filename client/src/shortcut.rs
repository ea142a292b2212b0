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
mod tests {
    use std::os::fd::AsFd;

    use psess_harness::eventually;
    use psess_protocol::lending::PASS;
    use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
    use rustix::io::pwrite;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

    use super::*;
    use crate::lending::KEY_BYTES;
    use crate::note::Note;

    /// A pty in raw mode: both its ends.
    fn raw_pty() -> [OwnedFd; 2] {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let master = openpt(flags).expect("a pty");
        grantpt(&master).expect("its terminal");
        unlockpt(&master).expect("its terminal");
        let path = ptsname(&master, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
        let slave = open(&path, flags, Mode::empty()).expect("its terminal");
        let mut modes = tcgetattr(&slave).expect("its modes");
        modes.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &modes).expect("raw");
        [master, slave]
    }

    /// A user's window, and the terminal of a program that the keys go to.
    struct Desk {
        window: OwnedFd,
        terminal: OwnedFd,
        program: OwnedFd,
        pty: Arc<LentPty>,
        note: OwnedFd,
        shortcut: Shortcut,
        /// What the program read.
        got: Vec<u8>,
    }

    impl Desk {
        fn new() -> Self {
            let [window, terminal] = raw_pty();
            let [pty, program] = raw_pty();
            let note = memfd_create("note", MemfdFlags::CLOEXEC).expect("memory");
            pwrite(&note, &[0; 8], 0).expect("a file");
            let mapped = Note::new(note.try_clone().expect("a descriptor")).expect("a note");
            let pty = Arc::new(LentPty::new(pty, Arc::new(mapped)));
            let mut desk = Self {
                window,
                terminal,
                program,
                pty,
                note,
                shortcut: Shortcut::default(),
                got: Vec::new(),
            };
            desk.resize(80);
            desk.let_pass(true);
            desk.open();
            desk
        }

        fn open(&mut self) {
            let passage = Passage {
                pty: self.pty.clone(),
                size: Size::new(24, 80),
                detach_key: DetachKey::default(),
            };
            let terminal = self.terminal.as_fd();
            self.shortcut.open(terminal, passage).expect("a thread");
        }

        fn let_pass(&self, lets_pass: bool) {
            pwrite(&self.note, &[u8::from(lets_pass)], PASS).expect("a file");
        }

        fn resize(&self, columns: u16) {
            let size = Winsize {
                ws_row: 24,
                ws_col: columns,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            tcsetwinsize(&self.window, size).expect("a terminal");
        }

        fn press(&self, keys: &[u8]) {
            assert_eq!(write(&self.window, keys), Ok(keys.len()));
        }

        /// Waits until the program has read this in all.
        fn expect(&mut self, keys: &[u8]) {
            let mut buffer = [0; 256];
            eventually("the program gets it", || {
                if let Ok(count) = read(&self.program, &mut buffer) {
                    self.got.extend(&buffer[..count]);
                }
                (self.got.len() >= keys.len()).then_some(())
            });
            assert_eq!(
                self.got.escape_ascii().to_string(),
                keys.escape_ascii().to_string()
            );
        }

        /// What is handed over, all keys that passed aside.
        fn expect_typed(&mut self) -> io::Result<Vec<u8>> {
            eventually("it is handed over", || match self.shortcut.poll()? {
                Told::Passed { .. } => None,
                Told::Typed(typed) => Some(typed),
            })
        }
    }

    #[test]
    fn keys_pass_and_the_main_loop_hears_of_them() {
        let mut desk = Desk::new();
        desk.press(b"a");
        desk.expect(b"a");
        desk.press(b"\x1b[A");
        desk.expect(b"a\x1b[A");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let told = runtime.expect("a runtime").block_on(desk.shortcut.next());
        assert!(matches!(told, Told::Passed { stops: false }), "{told:?}");
        assert!(desk.shortcut.is_open());
        desk.press(b"\x03");
        desk.expect(b"a\x1b[A\x03");
        let told = eventually("it is told", || desk.shortcut.poll());
        assert!(matches!(told, Told::Passed { stops: true }), "{told:?}");
    }

    #[test]
    fn the_main_loop_is_woken_once_and_at_once_where_a_program_is_to_stop() {
        let now = Instant::now();
        let later = now + TOLD_AFTER;
        let mut state = State::default();
        assert!(!state.poll_news(now));
        state.passed = Some(Passed::at(now));
        assert_eq!(state.due(), Some(later));
        assert!(!state.poll_news(now));
        assert!(state.poll_news(later));
        assert!(!state.poll_news(later));
        assert_eq!(state.due(), None);
        let mut state = State {
            passed: Some(Passed {
                stops: true,
                ..Passed::at(now)
            }),
            ..State::default()
        };
        assert!(state.poll_news(now));
        assert!(!state.poll_news(now));
    }

    #[test]
    fn it_stays_closed_until_what_it_read_was_taken() {
        let mut desk = Desk::new();
        desk.press(b"a\x1b");
        eventually("it is read", || (!desk.shortcut.is_open()).then_some(()));
        desk.open();
        assert!(!desk.shortcut.is_open());
        assert_eq!(desk.expect_typed().expect("it was read"), b"a\x1b");
        desk.open();
        assert!(desk.shortcut.is_open());
    }

    #[test]
    fn what_is_no_plain_key_is_handed_over_and_what_follows_it_left() {
        let pasted = [b'x'; KEY_BYTES + 1];
        for typed in [&b"\x1b"[..], b"\x1c", b"k\x1c", b"\x1b[200~", &pasted] {
            let mut desk = Desk::new();
            desk.press(b"a");
            desk.expect(b"a");
            desk.press(typed);
            let came = desk.expect_typed().expect("it was read");
            assert_eq!(came, typed);
            assert!(!desk.shortcut.is_open());
            desk.press(b"b");
            // Whoever may read it next finds it.
            let mut buffer = [0; 8];
            let count = eventually("it comes", || read(&desk.terminal, &mut buffer).ok());
            assert_eq!(&buffer[..count], b"b");
            desk.open();
            desk.press(b"c");
            desk.expect(b"ac");
        }
    }

    #[test]
    fn a_key_overtakes_neither_a_new_size_nor_what_the_server_holds() {
        let mut desk = Desk::new();
        desk.resize(81);
        desk.press(b"a");
        assert_eq!(desk.expect_typed().expect("it was read"), b"a");
        desk.resize(80);
        desk.open();
        desk.press(b"b");
        desk.expect(b"b");
        desk.let_pass(false);
        desk.press(b"c");
        assert_eq!(desk.expect_typed().expect("it was read"), b"c");
    }

    #[test]
    fn once_it_is_closed_nothing_is_read() {
        for _ in 0..100 {
            let mut desk = Desk::new();
            desk.press(b"a");
            desk.shortcut.close();
            let passed = desk.shortcut.poll().is_some();
            desk.press(b"b");
            let mut came: Vec<u8> = Vec::new();
            let expected: &[u8] = if passed { b"b" } else { b"ab" };
            eventually("it is left to others", || {
                let mut buffer = [0; 8];
                let count = read(&desk.terminal, &mut buffer).unwrap_or_default();
                came.extend(&buffer[..count]);
                (came.len() >= expected.len()).then_some(())
            });
            assert_eq!(came, expected);
            assert!(desk.shortcut.poll().is_none());
        }
    }

    #[test]
    fn a_window_that_is_gone_is_told() {
        let mut desk = Desk::new();
        desk.press(b"a");
        desk.expect(b"a");
        let [other, _] = raw_pty();
        drop(std::mem::replace(&mut desk.window, other));
        let typed = desk.expect_typed();
        assert!(
            !matches!(&typed, Ok(typed) if !typed.is_empty()),
            "{typed:?}"
        );
        assert!(!desk.shortcut.is_open());
    }
}
