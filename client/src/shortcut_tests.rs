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
