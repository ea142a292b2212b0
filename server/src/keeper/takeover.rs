//! An upgraded keeper takes over from the one that runs: the process executes the new program
//! (execve(2)), and stays the parent of all programs. What it holds goes along as descriptors and
//! a list of them in memory.
//!
//! Only while no server runs, so that nothing is under way. And only when the new program said,
//! asked in a process of its own, that it reads this list: a keeper that does not come up would
//! end every session.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::io::FdFlags;
use rustix::process::Rlimit;

use super::child::Inheritance;
use super::encoding::{Encoding, Reader, encode_bytes};
use super::holding::{BequestedSession, Session};
use super::protocol::ToServer;

/// In the environment of a new keeper: the descriptor of what it takes over.
const STATE: &str = "PSESS_KEEPER_STATE";

/// In the environment of a program that is asked whether it could take over.
const ASKED: &str = "PSESS_KEEPER_ASKED";

/// The version of the list that this build writes and reads.
const VERSION: u16 = 1;

/// How long the new program may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What a keeper hands to its successor.
#[derive(Debug)]
pub(super) struct Bequest<'a> {
    /// Servers started so far.
    pub(super) starts: u32,
    /// The directory of the socket.
    pub(super) directory: &'a Path,
    pub(super) listener: BorrowedFd<'a>,
    pub(super) lock: BorrowedFd<'a>,
    /// What programs are given back.
    pub(super) inheritance: &'a Inheritance,
    pub(super) sessions: Vec<BequestedSession<'a>>,
    /// Programs that only have to be reaped.
    pub(super) forgotten: Vec<BorrowedFd<'a>>,
}

/// What a keeper got from the one before it.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) starts: u32,
    pub(super) directory: PathBuf,
    pub(super) listener: OwnedFd,
    pub(super) lock: OwnedFd,
    pub(super) inheritance: Inheritance,
    pub(super) sessions: Vec<Session>,
    pub(super) forgotten: Vec<OwnedFd>,
}

/// Answers a keeper that asks, by the end of this process; returns when nobody does.
pub(super) fn answer_if_asked() {
    if std::env::var_os(ASKED).is_some() {
        // Whoever asked takes silence as a no.
        let _ = io::stdout().write_all(&answer());
        std::process::exit(0);
    }
}

/// What a keeper before this program left to it, if it did.
///
/// # Errors
/// When it cannot be read, which was made sure of before.
pub(super) fn inherited() -> anyhow::Result<Option<Estate>> {
    let Some(state) = std::env::var_os(STATE) else {
        return Ok(None);
    };
    let state: RawFd = state
        .to_str()
        .and_then(|state| state.parse().ok())
        .context("the state to take over is no descriptor")?;
    // SAFETY: called once, first thing by the keeper's role: nothing owns this descriptor yet.
    let state = unsafe { OwnedFd::from_raw_fd(state) };
    let mut bytes = Vec::new();
    std::fs::File::from(state)
        .read_to_end(&mut bytes)
        .context("cannot read the state to take over")?;
    let estate =
        decode(&bytes).map_err(|what| anyhow::anyhow!("the state to take over: {what}"))?;
    Ok(Some(estate))
}

/// Whether another program than the one that runs is installed at this path now.
pub(super) fn is_upgraded(program: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let installed = identity(program);
    installed.is_some() && installed != identity(Path::new("/proc/self/exe"))
}

/// Becomes the new program.
///
/// # Errors
/// When the new program does not know how to take over, or cannot be executed: nothing changed.
pub(super) fn hand_over(program: &Path, bequest: &Bequest<'_>) -> anyhow::Result<()> {
    ask(program)?;
    let state = rustix::fs::memfd_create("psess-keeper", MemfdFlags::CLOEXEC)
        .context("cannot get memory")?;
    let mut bytes = &encode(bequest)[..];
    while !bytes.is_empty() {
        let written = rustix::io::write(&state, bytes).context("cannot get memory")?;
        bytes = &bytes[written..];
    }
    rustix::fs::seek(&state, SeekFrom::Start(0)).context("cannot rewind")?;
    let mut kept: Vec<_> = bequest.descriptors().collect();
    kept.push(state.as_fd());
    inherit(&kept, true).context("cannot hand descriptors over")?;
    let error = Command::new(program)
        .arg("keeper")
        .env(STATE, state.as_raw_fd().to_string())
        .exec();
    // Still here.
    inherit(&kept, false).context("cannot keep descriptors from programs")?;
    Err(error).with_context(|| format!("cannot execute {}", program.display()))
}

/// Asks the new program, in a process of its own.
fn ask(program: &Path) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .arg("keeper")
        .env(ASKED, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot execute {}", program.display()))?;
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut said = Vec::new();
    let timeout = Timespec::try_from(ANSWER).expect("seconds");
    let mut buffer = [0; 64];
    loop {
        let mut fds = [PollFd::new(&stdout, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        match stdout.read(&mut buffer) {
            Ok(read @ 1..) if said.len() < 1024 => said.extend_from_slice(&buffer[..read]),
            Ok(_) | Err(_) => break,
        }
    }
    // It is our child and not reaped yet: neither can fail.
    drop(child.kill());
    drop(child.wait());
    match said == answer() {
        true => Ok(()),
        false => bail!("{} cannot take over from this keeper", program.display()),
    }
}

fn answer() -> Vec<u8> {
    format!("takes over {VERSION}\n").into_bytes()
}

/// Leaves descriptors open across an exec, or no longer.
fn inherit(descriptors: &[BorrowedFd<'_>], inherited: bool) -> io::Result<()> {
    let flags = match inherited {
        true => FdFlags::empty(),
        false => FdFlags::CLOEXEC,
    };
    for descriptor in descriptors {
        rustix::io::fcntl_setfd(descriptor, flags)?;
    }
    Ok(())
}

impl<'a> Bequest<'a> {
    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'a>> {
        let sessions = self.sessions.iter();
        let sessions =
            sessions.flat_map(|(_, descriptors, end)| descriptors.iter().chain(end).copied());
        [self.listener, self.lock]
            .into_iter()
            .chain(sessions)
            .chain(self.forgotten.iter().copied())
    }
}

fn encode(bequest: &Bequest<'_>) -> Vec<u8> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    let fd = |descriptor: BorrowedFd<'_>, bytes: &mut Vec<u8>| {
        bytes.extend(descriptor.as_raw_fd().cast_unsigned().to_le_bytes());
    };
    bytes.extend(bequest.starts.to_le_bytes());
    encode_bytes(bequest.directory.as_os_str().as_bytes(), &mut bytes);
    fd(bequest.listener, &mut bytes);
    fd(bequest.lock, &mut bytes);
    let limit = bequest.inheritance.descriptors();
    for limit in [limit.current, limit.maximum] {
        bytes.extend(limit.unwrap_or(u64::MAX).to_le_bytes());
    }
    encode_bytes(
        bequest.inheritance.oom_score().unwrap_or_default(),
        &mut bytes,
    );
    bytes.extend((bequest.sessions.len() as u32).to_le_bytes());
    for (held, descriptors, end) in &bequest.sessions {
        let mut session = Vec::new();
        ToServer::Session(held.clone()).encode(&mut session);
        encode_bytes(&session, &mut bytes);
        descriptors.iter().for_each(|one| fd(*one, &mut bytes));
        bytes.push(end.is_some().into());
        end.iter().for_each(|one| fd(*one, &mut bytes));
    }
    bytes.extend((bequest.forgotten.len() as u32).to_le_bytes());
    let forgotten = bequest.forgotten.iter();
    forgotten.for_each(|one| fd(*one, &mut bytes));
    bytes
}

fn decode(bytes: &[u8]) -> Result<Estate, &'static str> {
    let mut reader = Reader(bytes);
    if reader.u16()? != VERSION {
        return Err("another version");
    }
    let estate = Estate {
        starts: reader.u32()?,
        directory: OsString::from_vec(reader.bytes()?.to_vec()).into(),
        listener: descriptor(&mut reader)?,
        lock: descriptor(&mut reader)?,
        inheritance: {
            let mut limit = || Ok(Some(reader.u64()?).filter(|limit| *limit != u64::MAX));
            let descriptors = Rlimit {
                current: limit()?,
                maximum: limit()?,
            };
            let oom_score = Some(reader.bytes()?).filter(|score| !score.is_empty());
            Inheritance::again(descriptors, oom_score)
        },
        sessions: {
            let count = reader.u32()?;
            let sessions = (0..count).map(|_| session(&mut reader));
            sessions.collect::<Result<_, _>>()?
        },
        forgotten: {
            let count = reader.u32()?;
            let forgotten = (0..count).map(|_| descriptor(&mut reader));
            forgotten.collect::<Result<_, _>>()?
        },
    };
    reader.end(())?;
    Ok(estate)
}

fn session(reader: &mut Reader<'_>) -> Result<Session, &'static str> {
    const SESSION: u8 = 130;
    let Some(ToServer::Session(held)) = ToServer::decode(SESSION, reader.bytes()?)? else {
        return Err("a session that is none");
    };
    let descriptors = [
        descriptor(reader)?,
        descriptor(reader)?,
        descriptor(reader)?,
    ];
    let end = match reader.flag()? {
        true => Some(descriptor(reader)?),
        false => None,
    };
    Session::inherited(held, descriptors, end).ok_or("a session that neither runs nor ended")
}

/// Takes a descriptor, close-on-exec from now on.
fn descriptor(reader: &mut Reader<'_>) -> Result<OwnedFd, &'static str> {
    let number = reader.u32()?;
    let raw = RawFd::try_from(number).map_err(|_| "a descriptor that is none")?;
    // SAFETY: only asks for flags.
    if raw < 3 || unsafe { libc::fcntl(raw, libc::F_GETFD) } < 0 {
        return Err("a descriptor that is not open");
    }
    // SAFETY: open, and listed once by the keeper before, for this process to own.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC).map_err(|_| "a descriptor without flags")?;
    Ok(fd)
}
