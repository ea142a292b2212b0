//! The golden bytes of version 1. They never change.

use super::*;

const ID: SessionId = SessionId(*b"0123456789abcdef");

fn bytes_of(message: &impl Encoding) -> Vec<u8> {
    let (kind, descriptors) = message.kind();
    let mut bytes = vec![kind, descriptors];
    message.encode(&mut bytes);
    bytes
}

fn spawn() -> Spawn {
    Spawn {
        session: ID,
        argv: vec![b"ls".to_vec(), b"-l".to_vec()],
        argv0: Some(b"-ls".to_vec()),
        environment: vec![b"A=b".to_vec()],
        cwd: b"/tmp".to_vec(),
        umask: Some(0o022),
        size: Size {
            rows: 24,
            columns: 80,
            pixel_width: 640,
            pixel_height: 480,
        },
        journal_bytes: 65_536,
        blob: b"blob".to_vec(),
    }
}

fn to_keeper() -> Vec<(ToKeeper, &'static [u8])> {
    vec![
        (
            ToKeeper::Spawn(spawn()),
            b"\x01\x000123456789abcdef\
              \x02\0\0\0\x02\0\0\0ls\x02\0\0\0-l\
              \x01\x03\0\0\0-ls\
              \x01\0\0\0\x03\0\0\0A=b\
              \x04\0\0\0/tmp\
              \x01\x12\0\
              \x18\0\x50\0\x80\x02\xe0\x01\
              \0\0\x01\0\0\0\0\0\
              \x04\0\0\0blob",
        ),
        (
            ToKeeper::Spawn(Spawn {
                argv: Vec::new(),
                argv0: None,
                environment: Vec::new(),
                cwd: Vec::new(),
                umask: None,
                blob: Vec::new(),
                ..spawn()
            }),
            b"\x01\x000123456789abcdef\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
              \x18\0\x50\0\x80\x02\xe0\x01\0\0\x01\0\0\0\0\0\0\0\0\0",
        ),
        (
            ToKeeper::Signal {
                session: ID,
                signal: 15,
            },
            b"\x02\x000123456789abcdef\x0f",
        ),
        (
            ToKeeper::SetBlob {
                session: ID,
                blob: b"xyz".to_vec(),
            },
            b"\x03\x000123456789abcdef\x03\0\0\0xyz",
        ),
        (
            ToKeeper::Forget { session: ID },
            b"\x04\x000123456789abcdef",
        ),
        (ToKeeper::Idle, b"\x05\0"),
    ]
}

fn to_server() -> Vec<(ToServer, &'static [u8])> {
    let running = HeldSession {
        session: ID,
        pid: 258,
        created: 7,
        finished: None,
        blob: b"xyz".to_vec(),
    };
    vec![
        (ToServer::Listener { version: 1 }, b"\x81\x01\x01\0"),
        (
            ToServer::Session(running.clone()),
            b"\x82\x030123456789abcdef\x02\x01\0\0\x07\0\0\0\0\0\0\0\0\x03\0\0\0xyz",
        ),
        (
            ToServer::Session(HeldSession {
                finished: Some((Outcome::Signaled(9), 8)),
                ..running
            }),
            b"\x82\x030123456789abcdef\x02\x01\0\0\x07\0\0\0\0\0\0\0\
              \x01\x01\x09\x08\0\0\0\0\0\0\0\x03\0\0\0xyz",
        ),
        (ToServer::Ready { restarts: 3 }, b"\x83\0\x03\0\0\0"),
        (
            ToServer::Spawned {
                session: ID,
                pid: 258,
            },
            b"\x84\x030123456789abcdef\x02\x01\0\0",
        ),
        (
            ToServer::SpawnFailed {
                session: ID,
                stage: SpawnStage::Program,
                errno: 2,
                message: "no".to_owned(),
            },
            b"\x85\x000123456789abcdef\x04\x02\0\0\0\x02\0\0\0no",
        ),
        (
            ToServer::Exited {
                session: ID,
                outcome: Outcome::Exited(3),
                time: 9,
            },
            b"\x86\x000123456789abcdef\0\x03\x09\0\0\0\0\0\0\0",
        ),
        (ToServer::Stay, b"\x87\0"),
    ]
}

fn check<M: Encoding + PartialEq + std::fmt::Debug>(messages: Vec<(M, &'static [u8])>) {
    for (message, golden) in messages {
        assert_eq!(
            bytes_of(&message).escape_ascii().to_string(),
            golden.escape_ascii().to_string()
        );
        let (kind, body) = (golden[0], &golden[2..]);
        assert_eq!(M::decode(kind, body), Ok(Some(message)));
        // Cut anywhere, or with something behind, it is refused.
        for end in 0..body.len() {
            assert!(M::decode(kind, &body[..end]).is_err());
        }
        assert!(M::decode(kind, &[body, b"x"].concat()).is_err());
    }
}

#[test]
fn golden_bytes_to_the_keeper_never_change() {
    check(to_keeper());
}

#[test]
fn golden_bytes_to_the_server_never_change() {
    check(to_server());
}

#[test]
fn kinds_of_the_future_are_known_as_such() {
    assert_eq!(ToKeeper::decode(6, b"anything"), Ok(None));
    assert_eq!(ToServer::decode(136, b"anything"), Ok(None));
}

#[test]
fn a_blob_has_a_bound() {
    let message = ToKeeper::SetBlob {
        session: ID,
        blob: vec![0; MAX_BLOB + 1],
    };
    let bytes = bytes_of(&message);
    assert!(ToKeeper::decode(bytes[0], &bytes[2..]).is_err());
}
