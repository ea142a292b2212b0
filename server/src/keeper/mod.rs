//! The keeper: owns ptys, programs, journals and the listening socket, starts the server, and
//! starts it again when it dies. It parses none of the bytes it holds.
//!
//! A blocking `poll` loop, one thread, no runtime: nothing in here may fail for what a program
//! prints or a client sends. An idle keeper never wakes.

mod backoff;
pub mod channel;
mod child;
mod encoding;
mod handover;
mod holding;
mod introduction;
mod log;
mod place;
pub mod protocol;
mod server_process;
mod signals;
mod spawn;
mod takeover;

pub(crate) use introduction::Introduction;
pub use introduction::Predecessor;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use psess_protocol::identity::SessionId;
use psess_protocol::rendezvous::{Directory, HELD, READY, Surroundings};
use psess_protocol::retention::Retention;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use child::Inheritance;
use holding::Holding;
use place::Place;
use server_process::ServerProcess;
use signals::Signals;
use takeover::Estate;

/// How long to wait before trying again to find a place for the socket.
const PLACE_PAUSE: Duration = Duration::from_secs(5);

/// The role `psess keeper`: runs until its last session is gone, or TERM ends them all. Says
/// [`READY`] or [`HELD`] on standard output, then lets go of all standard streams.
///
/// # Errors
/// When it cannot begin: no directory for its socket, say, or a setting that makes no sense.
pub fn run() -> anyhow::Result<()> {
    takeover::answer_if_asked();
    let program = std::env::current_exe().context("cannot find psess's own program file")?;
    let program = path_of_successor(program);
    let candidates = Surroundings::of_this_process().candidates();
    let keeper = match takeover::inherited()? {
        Some(estate) => Keeper::after(estate, program, candidates)?,
        None => {
            child::close_inherited();
            Retention::check()?;
            Keeper::first(program, candidates)?
        }
    };
    let Some(mut keeper) = keeper else {
        std::io::stdout().write_all(HELD.as_bytes())?;
        return Ok(());
    };
    announce().context("cannot say that the keeper is ready")?;
    while keeper.turn() == Turn::GoOn {}
    Ok(())
}

/// Where an upgrade puts the program file: Linux marks the path of one that was replaced
/// (proc(5), /proc/PID/exe).
fn path_of_successor(program: PathBuf) -> PathBuf {
    let path = program.as_os_str().as_bytes();
    match path.strip_suffix(b" (deleted)") {
        Some(path) => PathBuf::from(OsStr::from_bytes(path)),
        None => program,
    }
}

/// Tells whoever started this process, and lets go of them.
fn announce() -> anyhow::Result<()> {
    // Whoever started it may be gone: that is no reason to end.
    drop(std::io::stdout().write_all(READY.as_bytes()));
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

struct Keeper {
    signals: Signals,
    inheritance: Inheritance,
    candidates: Vec<Directory>,
    place: Place,
    /// When to look again for a place, while there is none.
    place_due: Option<Instant>,
    server: ServerProcess,
    sessions: Holding,
    /// Sessions that a new server was not told of yet, last one first; `None` once it is ready.
    untold: Option<Vec<SessionId>>,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    GoOn,
    End,
}

/// What a descriptor that is polled stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Signal,
    Place,
    ServerChannel,
    ServerEnd,
    ProgramEnd(SessionId),
    ForgottenEnd,
}

impl Keeper {
    /// One that holds nothing yet; `None` when there is another one.
    fn first(program: PathBuf, candidates: Vec<Directory>) -> anyhow::Result<Option<Self>> {
        let Some(place) = Place::take(&candidates)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            signals: Signals::take().context("cannot take signals")?,
            inheritance: Inheritance::take(),
            candidates,
            place,
            place_due: None,
            server: ServerProcess::new(program, Instant::now()),
            sessions: Holding::default(),
            untold: None,
        }))
    }

    /// One that holds what the keeper before it, in the same process, held.
    fn after(
        estate: Estate,
        program: PathBuf,
        candidates: Vec<Directory>,
    ) -> anyhow::Result<Option<Self>> {
        let now = Instant::now();
        let mut server = ServerProcess::new(program, now);
        server.count_earlier(estate.starts);
        Ok(Some(Self {
            signals: Signals::take().context("cannot take signals")?,
            inheritance: estate.inheritance,
            candidates,
            place: Place::inherited(estate.directory, estate.listener, estate.lock)?,
            place_due: Some(now),
            server,
            sessions: Holding::inherited(estate.sessions, estate.forgotten),
            untold: None,
        }))
    }

    /// Waits for something to happen, and sees to it.
    fn turn(&mut self) -> Turn {
        let now = Instant::now();
        if self.place_due.is_some_and(|due| due <= now) {
            self.renew_place(now);
        }
        if self.server.handle_time(now) && self.start_server(now) == Turn::End {
            return Turn::End;
        }
        let events = match self.wait(now) {
            Ok(events) => events,
            Err(error) => {
                // Out of memory, if anything: a moment later there may be some.
                self.log(&format!("poll failed: {error}"));
                std::thread::sleep(Duration::from_secs(1));
                return Turn::GoOn;
            }
        };
        let now = Instant::now();
        for event in events {
            let turn = match event {
                Event::Signal => self.end_everything(),
                Event::Place => self.renew_place(now),
                Event::ServerChannel => self.handle_channel(),
                Event::ServerEnd => self.handle_server_end(now),
                Event::ProgramEnd(session) => self.handle_program_end(session),
                Event::ForgottenEnd => {
                    self.sessions.reap_forgotten();
                    Turn::GoOn
                }
            };
            if turn == Turn::End {
                return Turn::End;
            }
        }
        Turn::GoOn
    }

    fn wait(&self, now: Instant) -> Result<Vec<Event>, Errno> {
        let mut events = vec![Event::Signal];
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        for watch in self.place.watches() {
            events.push(Event::Place);
            fds.push(watch);
        }
        if let Some(channel) = self.server.channel_to_poll() {
            events.push(Event::ServerChannel);
            let interest = match channel.wants_write() {
                // While answers queue up, no more requests are taken.
                true => PollFlags::OUT,
                false => PollFlags::IN,
            };
            fds.push(PollFd::new(channel, interest));
        }
        if let Some(end) = self.server.end_to_poll() {
            events.push(Event::ServerEnd);
            fds.push(PollFd::new(end, PollFlags::IN));
        }
        for (session, end) in self.sessions.ends() {
            events.push(Event::ProgramEnd(session));
            fds.push(PollFd::new(end, PollFlags::IN));
        }
        for end in self.sessions.forgotten_ends() {
            events.push(Event::ForgottenEnd);
            fds.push(PollFd::new(end, PollFlags::IN));
        }
        let due = [self.server.due(), self.place_due].into_iter().flatten();
        let timeout = due.min().map(|due| {
            let left = due.saturating_duration_since(now);
            Timespec::try_from(left).expect("pauses are seconds, not centuries")
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let happened = events.iter().zip(&fds);
        let happened = happened.filter(|(_, fd)| !fd.revents().is_empty());
        Ok(happened.map(|(event, _)| *event).collect())
    }

    fn renew_place(&mut self, now: Instant) -> Turn {
        match self.place.renew(&self.candidates) {
            Ok(renewed) => {
                self.place_due = None;
                if renewed {
                    self.tell_listener();
                }
            }
            Err(error) => {
                if self.place_due.is_none() {
                    self.log(&format!("the socket vanished: {error:#}"));
                }
                self.place_due = Some(now + PLACE_PAUSE);
            }
        }
        Turn::GoOn
    }

    /// Hangs up on all programs, as a terminal that is closed.
    fn end_everything(&mut self) -> Turn {
        self.place.close();
        self.sessions.hang_up();
        self.server.kill();
        Turn::End
    }

    fn log(&self, line: &str) {
        log::append(&self.place.log(), line);
    }
}
