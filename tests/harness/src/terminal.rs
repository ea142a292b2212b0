//! A user in front of a terminal: a pty whose keys the test types and whose screen it reads.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::patience::{PATIENCE, eventually};
use crate::processes::{Process, Signal};
use crate::screen::Screen;

/// A pty with a screen, on which programs run one after the other.
///
/// A thread reads it all the time, as a terminal emulator does, unless it is told to stall.
pub struct Terminal {
    master: Arc<OwnedFd>,
    /// Kept open between programs, so that the pty does not hang up.
    slave: OwnedFd,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    /// Closed to wake the reader for the last time.
    awake: Option<PipeWriter>,
    child: Option<Child>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    screen: Screen,
    received: Vec<u8>,
    fences: usize,
    stalled: bool,
    closed: bool,
}

/// What the test itself writes to the screen to know that all before it was read: an OSC that
/// no terminal knows.
const FENCE: &[u8] = b"\x1b]7777;psess-test-fence\x07";

impl Terminal {
    /// A terminal of 24 rows and 80 columns on which nothing runs.
    #[must_use]
    pub fn new() -> Self {
        Self::sized(24, 80)
    }

    /// A terminal of that many rows and columns.
    ///
    /// # Panics
    /// When the system has no pty left.
    #[must_use]
    pub fn sized(rows: u16, columns: u16) -> Self {
        let (master, slave) = open_pty().expect("the system gives a pty");
        set_size(&master, rows, columns);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                screen: Screen::new(rows, columns),
                received: Vec::new(),
                fences: 0,
                stalled: false,
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let master = Arc::new(master);
        let (end, awake) = std::io::pipe().expect("the system gives a pipe");
        let reader = std::thread::spawn({
            let (shared, master) = (shared.clone(), master.clone());
            move || read_all(&master, &end, &shared)
        });
        Self {
            master,
            slave,
            shared,
            reader: Some(reader),
            awake: Some(awake),
            child: None,
        }
    }

    /// The device by which other processes open it.
    ///
    /// # Panics
    /// Where there is no /proc.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let descriptor = format!("/proc/self/fd/{}", self.slave.as_raw_fd());
        std::fs::read_link(descriptor).expect("procfs links open descriptors")
    }

    /// Starts a program on the terminal, as the leader of a session of its own.
    ///
    /// # Panics
    /// When one runs on it already, or this one cannot be started.
    pub fn run(&mut self, mut command: Command) -> Process {
        assert!(
            self.child.is_none(),
            "a program runs on this terminal already"
        );
        let slave = || self.slave.try_clone().expect("a descriptor is left");
        command.stdin(slave()).stdout(slave()).stderr(slave());
        // SAFETY: between fork and exec only two system calls are made, which allocate nothing
        // and take no lock.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(io::stdin())?;
                Ok(())
            });
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let process = Process::new(child.id().cast_signed());
        self.child = Some(child);
        process
    }

    /// Types bytes.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_keys(&self, keys: impl AsRef<[u8]>) {
        let mut keys = keys.as_ref();
        while !keys.is_empty() {
            let written = rustix::io::write(&self.master, keys).expect("the pty takes keys");
            keys = &keys[written..];
        }
    }

    /// Waits until `check` gives something about the screen, and returns that.
    ///
    /// # Panics
    /// When it gave nothing for [`PATIENCE`]; the message has the screen.
    pub fn wait_for<T>(&self, what: &str, check: impl FnMut(&mut Screen) -> Option<T>) -> T {
        self.wait_within(PATIENCE, what, check)
    }

    /// The same with another limit.
    ///
    /// # Panics
    /// When `check` gave nothing in that time; the message has the screen.
    pub fn wait_within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut check: impl FnMut(&mut Screen) -> Option<T>,
    ) -> T {
        let start = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(found) = check(&mut state.screen) {
                return found;
            }
            let left = limit.saturating_sub(start.elapsed());
            assert!(
                !left.is_zero(),
                "not in {limit:?}: {what}. The screen:\n{}\nThe last bytes: {}",
                state.screen.text(),
                state.received[state.received.len().saturating_sub(400)..].escape_ascii(),
            );
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until a row of the screen has this text.
    ///
    /// # Panics
    /// When none has for [`PATIENCE`].
    pub fn wait_for_text(&self, text: &str) {
        self.wait_for(&format!("the screen shows {text:?}"), |screen| {
            screen.shows(text).then_some(())
        });
    }

    /// Waits until a row of the screen matches this text from end to end.
    ///
    /// # Panics
    /// When none does for [`PATIENCE`].
    pub fn wait_for_row(&self, text: &str) {
        self.wait_for(&format!("the screen has the row {text:?}"), |screen| {
            screen.rows().iter().any(|row| row == text).then_some(())
        });
    }

    /// Looks at the screen as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&mut Screen) -> T) -> T {
        look(&mut self.state().screen)
    }

    /// Every byte that came so far.
    #[must_use]
    pub fn received(&self) -> Vec<u8> {
        self.state().received.clone()
    }

    /// Waits until all that was written to the terminal before is on the screen.
    ///
    /// # Panics
    /// When the terminal does not take it.
    pub fn settle(&self) {
        let fences = self.state().fences;
        rustix::io::write(&self.slave, FENCE).expect("the pty takes output");
        eventually("the fence comes through", || {
            (self.state().fences > fences).then_some(())
        });
    }

    /// Changes the terminal's size, as a window's edge does.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.state().screen.resize(rows, columns);
        set_size(&self.master, rows, columns);
    }

    /// Stops reading, as a terminal on which Ctrl-S was pressed, until told otherwise.
    pub fn stall(&self, stalled: bool) {
        self.state().stalled = stalled;
        self.shared.changed.notify_all();
    }

    /// Whether the terminal is in the mode that shells expect: lines, echo, signals.
    #[must_use]
    pub fn is_cooked(&self) -> bool {
        let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcgetattr(&self.slave).is_ok_and(|modes| modes.local_modes.contains(cooked))
    }

    /// The program that was started last.
    ///
    /// # Panics
    /// When none was, or its end was waited for.
    #[must_use]
    pub fn process(&self) -> Process {
        let child = self.child.as_ref().expect("a program was started");
        Process::new(child.id().cast_signed())
    }

    /// Waits for the program's end, and for all of its output.
    ///
    /// # Panics
    /// When it does not end for [`PATIENCE`].
    pub fn wait_exit(&mut self) -> ExitStatus {
        let status = self.wait_child();
        self.settle();
        status
    }

    /// Closes the window: the pty hangs up, and the program on it gets SIGHUP. How it ended.
    ///
    /// # Panics
    /// When it does not end for [`PATIENCE`].
    pub fn close(mut self) -> ExitStatus {
        self.hang_up();
        self.wait_child()
    }

    fn wait_child(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("a program was started");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                break status;
            }
            if start.elapsed() > PATIENCE {
                let screen = self.look(|screen| screen.text());
                panic!("the program does not end. The screen:\n{screen}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.child = None;
        status
    }

    fn hang_up(&mut self) {
        self.state().closed = true;
        self.shared.changed.notify_all();
        self.awake = None;
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has failed its test by that.
            let _ = reader.join();
        }
        // The reader's share is gone: with this one the pty's last master closes.
        let (master, _) = open_pty().expect("the system gives a pty");
        self.master = Arc::new(master);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Terminal {
    fn write(&mut self, keys: &[u8]) -> io::Result<usize> {
        self.type_keys(keys);
        Ok(keys.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            Process::new(child.id().cast_signed()).signal(Signal::KILL);
            // Its status is of no interest any more.
            let _ = child.wait();
        }
        if self.reader.is_some() {
            self.hang_up();
        }
    }
}

fn open_pty() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(path.as_c_str(), flags, Mode::empty())?;
    Ok((master, slave))
}

fn set_size(pty: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(pty, size).expect("a pty takes any size");
}

/// Reads the pty until it is closed, feeds the screen, types its answers.
fn read_all(master: &OwnedFd, end: &PipeReader, shared: &Shared) {
    let mut buffer = [0; 16384];
    loop {
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.stalled && !state.closed {
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return;
        }
        drop(state);
        let mut ready = [
            PollFd::new(master, PollFlags::IN),
            PollFd::new(end, PollFlags::IN),
        ];
        if poll(&mut ready, None).is_err() {
            continue;
        }
        if !ready[1].revents().is_empty() {
            return;
        }
        let Ok(length) = rustix::io::read(master, &mut buffer) else {
            return;
        };
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.received.len().saturating_sub(FENCE.len() - 1);
        state.received.extend_from_slice(&buffer[..length]);
        state.fences += state.received[before..]
            .windows(FENCE.len())
            .filter(|window| *window == FENCE)
            .count();
        let answer = state.screen.feed(&buffer[..length]);
        drop(state);
        shared.changed.notify_all();
        if !answer.is_empty() {
            // A program that asked and went away needs no answer.
            let _ = rustix::io::write(master, &answer);
        }
    }
}
