//! Accepts connections: of clients on this machine, and of relays that hand over the
//! descriptors of clients elsewhere.

use std::ffi::OsStr;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use psess_descriptor::{Sink, Source};
use psess_protocol::message::ByteString;
use rustix::net::{RecvFlags, SocketFlags, accept_with, sockopt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::connection::Connection;
use crate::registry::{Open, Registry};
use crate::relay;
use crate::rights;
use crate::session::ConnectionId;

/// A relay that has not said all by then is closed.
const RELAY_TIMEOUT: Duration = Duration::from_secs(10);

/// When descriptors have run out, accepting is tried again after this.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(200);

/// Descriptors that clients do not get: for sessions that start, and for what is under way.
const KEPT_FREE: u64 = 32;

/// The listening socket.
#[derive(Debug)]
pub(crate) struct Listener(Source);

impl Listener {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        Source::new(fd).map(Self)
    }

    /// The directory that the socket is in.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let name = rustix::net::getsockname(&self.0).ok()?;
        let name = rustix::net::SocketAddrUnix::try_from(name).ok()?;
        let path = Path::new(OsStr::from_bytes(name.path_bytes()?));
        path.parent().map(Path::to_owned)
    }

    async fn accept(&self) -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        poll_fn(|cx| self.0.poll_io(cx, |fd| Ok(accept_with(fd, flags)?))).await
    }
}

/// What the task that accepts connections is to do.
pub(crate) enum Listening {
    /// Accept on this socket. A new one replaces it.
    On(Arc<Listener>),
    /// Leave connections waiting: the server may be about to end.
    Paused(Arc<Listener>),
    /// There is no socket yet.
    NotYet,
}

impl Listening {
    /// The directory that the socket is in.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        match self {
            Self::On(listener) | Self::Paused(listener) => listener.directory(),
            Self::NotYet => None,
        }
    }
}

/// Accepts connections for as long as the registry wants some.
pub(crate) async fn run(mut listening: watch::Receiver<Listening>, registry: Registry) {
    let mut ids = (1..).map(ConnectionId);
    loop {
        let listener = match &*listening.borrow_and_update() {
            Listening::On(listener) => Some(listener.clone()),
            Listening::Paused(_) | Listening::NotYet => None,
        };
        let accepted = tokio::select! {
            biased;
            changed = listening.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            accepted = async { listener.as_ref().expect("asked below").accept().await },
                if listener.is_some() => accepted,
        };
        match accepted {
            Ok(socket) if !leaves_room(&socket) => {
                tracing::warn!("a connection is refused: too many files are open");
                drop(socket);
                sleep(OUT_OF_DESCRIPTORS).await;
            }
            Ok(socket) => {
                let id = ids.next().expect("2^64 connections are never reached");
                let open = Open::new(registry.clone());
                let registry = registry.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve(id, socket, open, registry).await {
                        tracing::debug!("connection {}: {error}", id.0);
                    }
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
}

/// Whether there are descriptors left beside this one, of which the kernel gives the lowest that
/// is free: sessions must not be lost to clients.
fn leaves_room(socket: &OwnedFd) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let used = u64::from(socket.as_raw_fd().cast_unsigned());
    limit.is_none_or(|limit| used + KEPT_FREE < limit)
}

async fn serve(
    id: ConnectionId,
    socket: OwnedFd,
    open: Open,
    registry: Registry,
) -> io::Result<()> {
    check_peer(socket.as_fd())?;
    let socket = Source::new(socket)?;
    let connection = match timeout(RELAY_TIMEOUT, first_words(&socket)).await?? {
        FirstWords::Client => Connection {
            id,
            output: Sink::new(socket.as_fd().try_clone_to_owned()?)?,
            input: socket,
            relay: None,
            environment: Vec::new(),
            open,
            registry,
        },
        FirstWords::Relay {
            input,
            output,
            environment,
        } => Connection {
            id,
            input: Source::new(input)?,
            output: Sink::new(output)?,
            relay: Some(socket),
            environment,
            open,
            registry,
        },
    };
    connection.serve().await;
    Ok(())
}

/// Refuses other users: the directory's mode keeps them out, this makes sure.
fn check_peer(socket: BorrowedFd<'_>) -> io::Result<()> {
    let peer = sockopt::socket_peercred(socket)?.uid;
    let allowed = peer == rustix::process::geteuid() || peer.is_root();
    if allowed {
        Ok(())
    } else {
        Err(io::Error::other(format!("user {peer:?} is refused")))
    }
}

enum FirstWords {
    /// A client's hello; it is still unread.
    Client,
    /// A relay, with the client's descriptors.
    Relay {
        input: OwnedFd,
        output: OwnedFd,
        environment: Vec<ByteString>,
    },
}

async fn first_words(socket: &Source) -> io::Result<FirstWords> {
    let mut magic = [0; relay::MAGIC.len()];
    let seen = poll_fn(|cx| {
        socket.poll_io(cx, |fd| {
            let (seen, _) = rustix::net::recv(fd, &mut magic, RecvFlags::PEEK)?;
            Ok(seen)
        })
    })
    .await?;
    if seen < magic.len() || magic != relay::MAGIC {
        return Ok(FirstWords::Client);
    }
    let mut descriptors = Vec::new();
    let mut body = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    loop {
        let read =
            poll_fn(|cx| rights::poll_receive(socket, cx, &mut chunk, &mut descriptors)).await?;
        body.extend_from_slice(&chunk[..read]);
        if read == 0 || body.len() > relay::MAX_PREAMBLE {
            return Err(io::Error::other(
                "a relay that breaks off, or says too much",
            ));
        }
        if let Some(environment) = relay::decode(&body) {
            let [input, output] = <[OwnedFd; 2]>::try_from(descriptors)
                .map_err(|_| io::Error::other("a relay without descriptors"))?;
            return Ok(FirstWords::Relay {
                input,
                output,
                environment,
            });
        }
    }
}
