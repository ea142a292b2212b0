//! The bytes of every message of protocol version 1. They never change: another version of
//! psess, on the other side, was built with them.

use psess_protocol::codec::{decode, encode};
use psess_protocol::identity::{ClientId, Generation, SessionId};
use psess_protocol::message::{
    Attach, Attached, ByteString, ClientMessage, Created, DetachReason, Ending, EndingManner,
    Failure, FailureKind, History, NewSession, ProcessUsage, Replay, ReplayPurpose, ServerMessage,
    ServerStatus, SessionSummary, SessionUsage, Target, Usage,
};
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;

const SESSION: SessionId = SessionId([0xaa; 16]);
const CLIENT: ClientId = ClientId([0xbb; 16]);

fn client_messages() -> Vec<ClientMessage> {
    let size = Size {
        rows: 24,
        columns: 300,
        pixel_width: 0,
        pixel_height: 70,
    };
    let attach = Attach {
        session: Target::Name("work".to_owned()),
        client: CLIENT,
        generation: Generation(3),
        size,
        position: Some(Offset(70_000)),
        history: History::Lines(10_000),
        read_only: true,
        heartbeat_ms: 15_000,
        detach_others: false,
    };
    vec![
        ClientMessage::Environment(vec!["A=1".into(), ByteString(vec![0xff])]),
        ClientMessage::New(NewSession {
            id: SESSION,
            name: Some("work".parse().unwrap()),
            command: vec!["make".into(), "-j8".into()],
            cwd: Some("/src".into()),
            environment: vec!["TERM=xterm".into()],
            size,
        }),
        ClientMessage::Attach(attach.clone()),
        ClientMessage::Attach(Attach {
            session: Target::Id(SESSION),
            position: None,
            history: History::None,
            ..attach.clone()
        }),
        ClientMessage::Attach(Attach {
            session: Target::Latest,
            history: History::All,
            ..attach.clone()
        }),
        ClientMessage::List,
        ClientMessage::DetachAll(Target::Latest),
        ClientMessage::Kill {
            session: Target::Latest,
            signal: 9,
        },
        ClientMessage::Rename {
            session: Target::Latest,
            name: "play".parse().unwrap(),
        },
        ClientMessage::Resize(size),
        ClientMessage::Written(1 << 40),
        ClientMessage::Detach,
        ClientMessage::Redraw,
        ClientMessage::Ping(7),
        ClientMessage::Pong(7),
        ClientMessage::Status,
        ClientMessage::AskEnvironment(Target::Latest),
        ClientMessage::RestartServer,
        ClientMessage::EndAll,
        ClientMessage::AskUsage,
        ClientMessage::AskEnding,
        ClientMessage::Unwritten(300_000),
        ClientMessage::Lend,
        ClientMessage::Typed { stops: true },
        ClientMessage::Attach(Attach {
            position: None,
            history: History::Since {
                offset: Offset(70_000),
                taken_back: 300,
            },
            ..attach
        }),
        ClientMessage::Show {
            session: Target::Latest,
            history: History::Lines(300),
        },
    ]
}

fn server_messages() -> Vec<ServerMessage> {
    let size = Size::new(24, 80);
    let replay = Replay {
        length: 4000,
        position: Some(Offset(9)),
        purpose: ReplayPurpose::CatchUp { skipped_lines: 300 },
    };
    let kinds = [
        FailureKind::NoSuchSession,
        FailureKind::NameTaken,
        FailureKind::Ambiguous,
        FailureKind::NotFound,
        FailureKind::NotExecutable,
        FailureKind::Superseded,
        FailureKind::Protocol,
        FailureKind::Limit,
        FailureKind::Internal,
    ];
    let mut messages = vec![
        ServerMessage::Done,
        ServerMessage::Created(Created {
            id: SESSION,
            name: "work".parse().unwrap(),
            warnings: vec!["w".to_owned()],
        }),
        ServerMessage::Sessions {
            sessions: vec![SessionSummary {
                id: SESSION,
                name: "work".parse().unwrap(),
                command: "make".to_owned(),
                title: "t".to_owned(),
                created: 1_700_000_000,
                finished: Some((Outcome::Signaled(9), 1_700_000_001)),
                clients: 2,
                lost: Some(1_700_000_002),
                active: 1_700_000_003,
                size,
                pid: 4321,
            }],
            more: true,
        },
        ServerMessage::Attached(Attached {
            id: SESSION,
            name: "work".parse().unwrap(),
            resumed: true,
            input: InputOffset(5),
            size,
        }),
        ServerMessage::Replay(replay),
        ServerMessage::Replay(Replay {
            position: None,
            purpose: ReplayPurpose::Attach,
            ..replay
        }),
        ServerMessage::Replay(Replay {
            purpose: ReplayPurpose::Update,
            ..replay
        }),
        ServerMessage::InputWritten(InputOffset(300)),
        ServerMessage::Finished(Outcome::Exited(2)),
        ServerMessage::Detached(DetachReason::Requested),
        ServerMessage::Detached(DetachReason::ByOther),
        ServerMessage::Detached(DetachReason::Superseded),
        ServerMessage::Ping(7),
        ServerMessage::Pong(7),
        ServerMessage::Server(ServerStatus {
            build: "0.1.0".to_owned(),
            pid: 1,
            keeper_pid: 2,
            started: 3,
            restarts: 4,
            boot_id: "b".to_owned(),
            sessions: 5,
        }),
    ];
    messages.extend(kinds.map(|kind| {
        ServerMessage::Failed(Failure {
            kind,
            message: "m".to_owned(),
        })
    }));
    messages.push(ServerMessage::ClientEnvironment(vec!["DISPLAY=:0".into()]));
    let process = ProcessUsage {
        build: "0.1.0".to_owned(),
        started: 1_700_000_000,
        pss: Some(1 << 20),
    };
    messages.push(ServerMessage::Usage(Usage {
        server: process.clone(),
        keeper: ProcessUsage {
            pss: None,
            ..process
        },
        sessions: vec![SessionUsage {
            id: SESSION,
            name: "work".parse().unwrap(),
            log: 1,
            history: 300,
            journal: 70_000,
        }],
        more: false,
    }));
    let ending = Ending {
        manner: EndingManner::Closed,
        ended_ago_ms: 200,
        received_ago_ms: 300,
        sent_ago_ms: 70_000,
    };
    messages.push(ServerMessage::Ending(None));
    for manner in [
        EndingManner::Closed,
        EndingManner::Silent,
        EndingManner::Replaced,
    ] {
        messages.push(ServerMessage::Ending(Some(Ending { manner, ..ending })));
    }
    messages.push(ServerMessage::Renamed("play".parse().unwrap()));
    messages.push(ServerMessage::Detached(DetachReason::ByCommand));
    messages.push(ServerMessage::Shown {
        size,
        length: 70_000,
        gone_lines: 9_977,
    });
    messages
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes_of_all_messages() {
    let mut lines = String::new();
    for message in client_messages() {
        let bytes = encode(&message).unwrap();
        assert_eq!(decode::<ClientMessage>(&bytes).unwrap(), message);
        lines += &format!("{}\n", hex(&bytes));
    }
    for message in server_messages() {
        let bytes = encode(&message).unwrap();
        assert_eq!(decode::<ServerMessage>(&bytes).unwrap(), message);
        lines += &format!("{}\n", hex(&bytes));
    }
    let golden = include_str!("golden/version-1.hex");
    for (number, (line, golden)) in lines.lines().zip(golden.lines()).enumerate() {
        assert_eq!(
            line, golden,
            "message {number} has other bytes than version 1 has"
        );
    }
    assert_eq!(
        lines.lines().count(),
        golden.lines().count(),
        "actual bytes:\n{lines}"
    );
}

#[test]
fn every_cut_and_every_changed_byte_is_an_error_or_another_message_but_never_a_panic() {
    for message in client_messages() {
        let bytes = encode(&message).unwrap();
        for cut in 0..bytes.len() {
            assert!(decode::<ClientMessage>(&bytes[..cut]).is_err());
        }
        for place in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xfb, 0xfd, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                let _ = decode::<ClientMessage>(&changed);
            }
        }
    }
}

#[test]
fn bytes_behind_a_message_are_refused() {
    let mut bytes = encode(&ClientMessage::List).unwrap();
    bytes.push(0);
    assert!(decode::<ClientMessage>(&bytes).is_err());
}
