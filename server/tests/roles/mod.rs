//! The roles of the test's program.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::exit;

use psess_protocol::identity::SessionId;
use psess_server::keeper::channel::{Channel, KeeperChannel, ServerChannel};
use psess_server::keeper::protocol::{ToKeeper, ToServer};
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;

/// A request to the server of the test: to die without a word.
pub(crate) const DIE: ToKeeper = ToKeeper::Signal {
    session: SessionId([255; 16]),
    signal: 1,
};

/// A request to the server of the test: to break the keeper's protocol.
pub(crate) const SEND_GARBAGE: ToKeeper = ToKeeper::Signal {
    session: SessionId([255; 16]),
    signal: 2,
};

pub(crate) fn keeper() {
    if let Err(error) = psess_server::keeper::run() {
        eprintln!("psess: {error:#}");
        exit(1);
    }
}

/// Connects as a client would, and prints the keeper's process id.
pub(crate) fn connect() {
    let exe = std::env::current_exe().unwrap();
    match psess_protocol::rendezvous::connect_or_start(&exe) {
        Ok(connection) => {
            let peer = rustix::net::sockopt::socket_peercred(&connection.stream).unwrap();
            println!("{}", peer.pid.as_raw_nonzero());
        }
        Err(error) => {
            eprintln!("psess: {error}");
            exit(1);
        }
    }
}

/// A server that passes everything on between the keeper and who connects, one after the other.
pub(crate) fn server() {
    let mut keeper = Channel::from_standard_input().unwrap();
    let mut told: VecDeque<(ToServer, Vec<OwnedFd>)> = VecDeque::new();
    let mut listeners: Vec<UnixListener> = Vec::new();
    let mut client: Option<KeeperChannel> = None;
    loop {
        loop {
            match keeper.receive() {
                Ok(Some((message, descriptors))) => {
                    if let ToServer::Listener { .. } = message {
                        let listener = descriptors[0].try_clone().unwrap();
                        listeners.push(UnixListener::from(listener));
                    }
                    told.push_back((message, descriptors));
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        client = match client.take() {
            Some(client) => serve(client, &mut keeper, &mut told),
            None => listeners.iter().find_map(|listener| {
                let (stream, _) = listener.accept().ok()?;
                Some(Channel::new(OwnedFd::from(stream)))
            }),
        };
        wait(&keeper, client.as_ref(), &listeners, &told);
    }
}

fn serve(
    mut client: KeeperChannel,
    keeper: &mut ServerChannel,
    told: &mut VecDeque<(ToServer, Vec<OwnedFd>)>,
) -> Option<KeeperChannel> {
    client.flush().ok()?;
    while !client.wants_write()
        && let Some((message, descriptors)) = told.pop_front()
    {
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        client.send(&message, &borrowed).ok()?;
    }
    while let Some((message, _)) = client.receive().ok()? {
        if message == DIE {
            rustix::process::kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
        } else if message == SEND_GARBAGE {
            rustix::io::write(&*keeper, &[255; 6]).unwrap();
        } else {
            keeper.send(&message, &[]).unwrap();
        }
    }
    Some(client)
}

fn wait(
    keeper: &ServerChannel,
    client: Option<&KeeperChannel>,
    listeners: &[UnixListener],
    told: &VecDeque<(ToServer, Vec<OwnedFd>)>,
) {
    let interest = |wants_write| match wants_write {
        true => PollFlags::IN | PollFlags::OUT,
        false => PollFlags::IN,
    };
    let mut fds = vec![PollFd::new(keeper, interest(keeper.wants_write()))];
    match client {
        Some(client) => {
            let more = client.wants_write() || !told.is_empty();
            fds.push(PollFd::new(client, interest(more)));
        }
        None => fds.extend(listeners.iter().map(|fd| PollFd::new(fd, PollFlags::IN))),
    }
    rustix::event::poll(&mut fds, None).unwrap();
}
