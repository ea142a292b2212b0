//! Servers of other versions, which the tests play: what a client says of them to its user.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;

use psess_harness::World;
use psess_protocol::codec;
use psess_protocol::frame::{self, Kind};
use psess_protocol::hello::Hello;
use psess_protocol::message::{ServerMessage, ServerStatus};

use crate::world;

/// Plays a server for one connection: says this hello, and this when it is asked something.
/// Gives what the client sent after its own hello.
fn play(world: &World, hello: Hello, answer: Option<ServerMessage>) -> JoinHandle<Vec<u8>> {
    let listener = UnixListener::bind(world.path("psess/socket")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let nonce = nonce_of(&mut stream);
        stream
            .write_all(&Hello { nonce, ..hello }.encode())
            .unwrap();
        let mut request = vec![0; 1024];
        let read = stream.read(&mut request).unwrap();
        request.truncate(read);
        if let Some(answer) = answer {
            let mut bytes = Vec::new();
            frame::encode(
                Kind::Message,
                &[&codec::encode(&answer).unwrap()],
                &mut bytes,
            );
            stream.write_all(&bytes).unwrap();
        }
        // The client may have gone.
        let _ = stream.read_to_end(&mut Vec::new());
        request
    })
}

fn nonce_of(stream: &mut UnixStream) -> [u8; 16] {
    let mut seen = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
        if let Some((hello, _)) = Hello::decode(&seen).unwrap() {
            return hello.nonce;
        }
    }
}

fn hello(lowest: u16, highest: u16) -> Hello {
    Hello {
        nonce: [0; 16],
        lowest,
        highest,
        capabilities: 0,
        build: "0.0.9".to_owned(),
    }
}

#[test]
fn an_older_server_is_named_and_not_asked_what_it_does_not_know() {
    for arguments in [
        &["server", "restart"][..],
        &["server", "stop", "--yes"],
        &["env", "build"],
        &["show", "build"],
    ] {
        let world = world();
        let server = play(&world, hello(1, 1), None);
        let finished = world.run(arguments);
        assert_eq!(finished.status, Some(4), "{finished:?}");
        for words in ["is older (psess 0.0.9)", "upgrade psess there"] {
            assert!(finished.stderr.contains(words), "{finished:?}");
        }
        assert_eq!(server.join().unwrap(), []);
    }
}

#[test]
fn an_older_server_says_of_itself_what_it_can() {
    let world = world();
    let status = ServerMessage::Server(ServerStatus {
        build: "0.0.9".to_owned(),
        pid: 17,
        keeper_pid: 16,
        started: 1_700_000_000,
        restarts: 2,
        boot_id: String::new(),
        sessions: 5,
    });
    let server = play(&world, hello(1, 1), Some(status));
    let text = world.succeed(["server", "status"]);
    for words in ["psess 0.0.9, pid 17", "sessions   5", "memory     unknown"] {
        assert!(text.contains(words), "{text}");
    }
    server.join().unwrap();
}

#[test]
fn without_a_common_version_the_side_to_upgrade_is_named() {
    for (theirs, side) in [
        (hello(0, 0), "upgrade psess there"),
        (hello(900, 901), "upgrade psess here"),
    ] {
        for arguments in [&["list"][..], &["detach", "x"], &["server", "status"]] {
            let world = world();
            let server = play(&world, theirs.clone(), None);
            let finished = world.run(arguments);
            assert_eq!(finished.status, Some(4), "{finished:?}");
            assert!(finished.stderr.contains(side), "{finished:?}");
            assert_eq!(server.join().unwrap(), []);
        }
    }
}
