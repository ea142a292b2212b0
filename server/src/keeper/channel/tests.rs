//! Two ends of a channel against each other.

use std::io::Read;
use std::os::unix::net::UnixStream;

use psess_protocol::identity::SessionId;

use super::*;
use crate::keeper::protocol::HeldSession;

fn pair() -> (KeeperChannel, ServerChannel) {
    let (keeper, server) = Channel::pair().unwrap();
    (keeper, Channel::new(server))
}

fn held(number: u8) -> ToServer {
    ToServer::Session(HeldSession {
        session: SessionId([number; 16]),
        pid: 7,
        created: 8,
        finished: None,
        blob: vec![number; 60_000],
    })
}

#[test]
fn queued_messages_keep_their_order_and_their_descriptors() {
    let (mut keeper, mut server) = pair();
    let mut watched = Vec::new();
    for number in 0..50 {
        let (one, two) = UnixStream::pair().unwrap();
        keeper
            .send(&held(number), &[one.as_fd(), one.as_fd(), one.as_fd()])
            .unwrap();
        watched.push(two);
    }
    assert!(keeper.wants_write());
    for (number, mut watched) in (0..).zip(watched) {
        let (message, descriptors) = loop {
            if let Some(received) = server.receive().unwrap() {
                break received;
            }
            keeper.flush().unwrap();
        };
        assert_eq!(message, held(number));
        let mut stream = UnixStream::from(descriptors.into_iter().next().unwrap());
        io::Write::write_all(&mut stream, &[number]).unwrap();
        let mut byte = [0];
        watched.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [number]);
    }
    assert!(!keeper.wants_write());
    drop(keeper);
    // Not at once: another test's child may have its duplicate until it executes.
    let end = loop {
        match server.receive() {
            Ok(received) => assert!(received.is_none()),
            Err(error) => break error,
        }
    };
    assert!(matches!(end, ChannelError::Closed));
}

#[test]
fn an_unknown_kind_is_skipped_with_its_descriptors() {
    let (keeper, mut server) = pair();
    let (one, mut two) = UnixStream::pair().unwrap();
    let sent = send_part(keeper.as_fd(), b"\x03\0\0\0\xfe\x01new", &[one.as_fd()]).unwrap();
    assert_eq!(sent, 9);
    drop(one);
    let mut keeper = keeper;
    keeper.send(&ToServer::Stay, &[]).unwrap();
    let (message, descriptors) = server.receive().unwrap().unwrap();
    assert_eq!((message, descriptors.len()), (ToServer::Stay, 0));
    assert_eq!(two.read(&mut [0]).unwrap(), 0, "the descriptor was closed");
}

#[test]
fn garbage_is_refused_without_a_panic() {
    for garbage in [
        &b"\xff\xff\xff\xff\x01\0"[..],
        b"\x01\0\0\0\x05\0x",
        b"\0\0\0\0\x05\x01",
        b"\x14\0\0\0\x03\x000123456789abcdef\xff\xff\xff\xff",
    ] {
        let (keeper, server) = Channel::pair().unwrap();
        let mut keeper = keeper;
        assert_eq!(
            send_part(server.as_fd(), garbage, &[]).unwrap(),
            garbage.len()
        );
        assert!(matches!(keeper.receive(), Err(ChannelError::Malformed(_))));
    }
}
