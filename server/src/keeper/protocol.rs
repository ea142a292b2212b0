//! Every message between keeper and server, on one page.
//!
//! Frozen: a keeper started months ago works with today's server. The keeper says its version in
//! [`ToServer::Listener`], and the server sends nothing that this version does not know. A kind
//! that is not known is skipped, its descriptors closed. Encoded by hand in `encoding`, carried
//! with their descriptors by [`Channel`](super::channel::Channel), pinned by golden bytes.
//!
//! A server that starts is told what there is: `Listener`, one `Session` for each, `Ready`.
//! From then on both sides send when they have something to say.

use psess_protocol::identity::SessionId;
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;

/// The version of this protocol that this build's keeper speaks.
pub const VERSION: u16 = 1;

/// The largest blob of metadata that a session may have, in bytes.
pub const MAX_BLOB: usize = 64 * 1024;

/// From the server to the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToKeeper {
    /// Starts a program on a new pty. Answered by `Spawned` or `SpawnFailed`. A duplicate (same
    /// id) starts nothing and is answered `Spawned` again.
    Spawn(Spawn),
    /// Sends a signal to the program's process group, and to the foreground process group of
    /// its terminal. No answer; without effect once the program ended or on an unknown session.
    Signal {
        /// Which session.
        session: SessionId,
        /// The signal's number; 0 means SIGHUP. SIGHUP and SIGTERM are followed by SIGCONT, so
        /// that stopped programs end as well (as on closing a terminal).
        signal: u8,
    },
    /// Replaces what the keeper passes on to the next server about a session. No answer; the
    /// last one counts. At most [`MAX_BLOB`].
    SetBlob {
        /// Which session.
        session: SessionId,
        /// Opaque to the keeper.
        blob: Vec<u8>,
    },
    /// Lets go of a session: its pty and journals are closed, and a program that still runs is hung
    /// up on. No answer; nothing is reported of it any more. Harmless when repeated.
    Forget {
        /// Which session.
        session: SessionId,
    },
    /// The server has no session and no client, and accepts no connection until it is
    /// answered: by `Stay`, or by the end of the channel, upon which it exits.
    Idle,
}

/// From the keeper to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToServer {
    /// With one descriptor: the listening socket, not blocking. The first message of all; a
    /// later one replaces the socket (its file had vanished): the server accepts what still
    /// waits on the old one, then closes it.
    Listener {
        /// [`VERSION`] of the keeper.
        version: u16,
    },
    /// With [`SESSION_DESCRIPTORS`]: a session that was there before this server.
    Session(HeldSession),
    /// All sessions were told.
    Ready {
        /// How many servers this keeper started before.
        restarts: u32,
    },
    /// With [`SESSION_DESCRIPTORS`]: the program runs.
    Spawned {
        /// Which session.
        session: SessionId,
        /// Process id of the program, which leads a session and process group of its own.
        pid: u32,
    },
    /// Nothing was started, nothing is left behind.
    SpawnFailed {
        /// Which session.
        session: SessionId,
        /// What failed.
        stage: SpawnStage,
        /// The error number (errno(3)), 0 where there is none.
        errno: i32,
        /// What failed, on what: a sentence for people.
        message: String,
    },
    /// The program ended. Its output may not be read to the end yet. Sent once; a later server
    /// finds it in `Session`.
    Exited {
        /// Which session.
        session: SessionId,
        /// How it ended.
        outcome: Outcome,
        /// When, in seconds since 1970.
        time: u64,
    },
    /// Answers `Idle`: somebody waits to be accepted, or there is a session after all. Go on.
    Stay,
}

/// How many descriptors go with a session, in this order: the pty's master (not blocking), the
/// journal's memory, the input's memory.
pub const SESSION_DESCRIPTORS: usize = 3;

/// A program to start.
#[derive(Clone, PartialEq, Eq)]
pub struct Spawn {
    /// Drawn by the client.
    pub session: SessionId,
    /// Program and arguments; empty: the login shell (`$SHELL` of `environment`, else that of
    /// the password file). A program without a slash is looked for in `environment`'s PATH.
    pub argv: Vec<Vec<u8>>,
    /// What the program sees as its name, where that is not `argv[0]`.
    pub argv0: Option<Vec<u8>>,
    /// All of its environment, as `K=V`.
    pub environment: Vec<Vec<u8>>,
    /// Its working directory.
    pub cwd: Vec<u8>,
    /// Its file mode creation mask; `None`: the keeper's own.
    pub umask: Option<u16>,
    /// The size that its terminal begins with.
    pub size: Size,
    /// How large the journal's memory is to be.
    pub journal_bytes: u64,
    /// As of `SetBlob`, so that no server ever finds a session without it.
    pub blob: Vec<u8>,
}

impl std::fmt::Debug for Spawn {
    /// Leaves out the environment and the arguments: they hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawn")
            .field("session", &self.session)
            .field("size", &self.size)
            .field("journal_bytes", &self.journal_bytes)
            .finish_non_exhaustive()
    }
}

/// What the keeper knows of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// Which session.
    pub session: SessionId,
    /// Process id of its program, also of one that ended.
    pub pid: u32,
    /// When it was started, in seconds since 1970.
    pub created: u64,
    /// How its program ended and when, in seconds since 1970; `None` while it runs.
    pub finished: Option<(Outcome, u64)>,
    /// As the last `SetBlob` or the `Spawn` gave it.
    pub blob: Vec<u8>,
}

/// What failed when a program was to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnStage {
    /// The request itself: a NUL byte, say.
    Request = 0,
    /// Its working directory.
    Directory = 1,
    /// Opening a pty.
    Pty = 2,
    /// Getting memory for its journals.
    Journal = 3,
    /// Executing the program.
    Program = 4,
}

impl SpawnStage {
    pub(super) fn from_wire(byte: u8) -> Option<Self> {
        [
            Self::Request,
            Self::Directory,
            Self::Pty,
            Self::Journal,
            Self::Program,
        ]
        .into_iter()
        .find(|stage| *stage as u8 == byte)
    }
}
