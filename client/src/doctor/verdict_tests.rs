use psess_protocol::message::Ending;

use super::super::evidence::{FarEnd, FarEvidence, Redial, ServerIdentity};
use super::*;
use Confidence::{Certain, Likely, Possible};

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn ssh(words: &str) -> Option<SshEnd> {
    Some(SshEnd {
        status: Some(255),
        signal: None,
        words: words.to_owned(),
    })
}

fn server(boot_id: &str, pid: u32) -> Option<ServerIdentity> {
    Some(ServerIdentity {
        boot_id: boot_id.to_owned(),
        pid,
        started: 1_700_000_000,
    })
}

/// The far end was closed so many seconds after the last byte that came here, when nothing had
/// come there for so many.
fn closed_there(after: u64, silence: u64) -> Option<FarEnd> {
    Some(FarEnd {
        manner: EndingManner::Closed,
        after: seconds(after),
        silence: seconds(silence),
    })
}

/// A connection of five minutes that stopped answering 15 s after the last byte, and came back
/// with the first redial.
fn silence() -> Evidence {
    Evidence {
        noticed: Noticed::Silence,
        age: seconds(300),
        idle: seconds(15),
        survived_idle: seconds(5),
        unanswered: seconds(8),
        since_sent: Some(seconds(8)),
        redial: Redial {
            succeeded: true,
            ..Redial::default()
        },
        back_after: Some(seconds(24)),
        server_before: server("a", 7),
        server_after: server("a", 7),
        ..Evidence::default()
    }
}

/// The same connection, whose ssh ended with these words 20 ms after the next byte was sent.
fn ended(words: &str) -> Evidence {
    Evidence {
        noticed: Noticed::Closed,
        unanswered: Duration::from_millis(20),
        since_sent: Some(Duration::from_millis(20)),
        ssh: ssh(words),
        ..silence()
    }
}

fn far(far: FarEvidence) -> Evidence {
    Evidence { far, ..ended("") }
}

#[test]
fn every_cause_is_told_from_every_other() {
    let reset = "client_loop: send disconnect: Connection reset by peer";
    let pipe = "client_loop: send disconnect: Broken pipe";
    let remote = "Connection to box closed by remote host.";
    let refused = Redial {
        failed: 1,
        words: "me@box: Permission denied (publickey).".to_owned(),
        needed_user: true,
        succeeded: false,
    };
    let failed = |words: &str| Redial {
        failed: 2,
        words: words.to_owned(),
        needed_user: false,
        succeeded: true,
    };
    for (name, evidence, cause, confidence) in [
        (
            "silent drop after a gap never survived",
            silence(),
            Cause::IdleTimeout,
            Likely,
        ),
        (
            "the same on a way that was measured",
            Evidence {
                known_timeout: Some(seconds(10)),
                survived_idle: seconds(15),
                ..silence()
            },
            Cause::IdleTimeout,
            Certain,
        ),
        (
            "silence after a gap survived before",
            Evidence {
                survived_idle: seconds(15),
                ..silence()
            },
            Cause::Outage,
            Possible,
        ),
        (
            "silence after a gap that an earlier connection survived",
            Evidence {
                known_survived: Some(seconds(15)),
                ..silence()
            },
            Cause::Outage,
            Possible,
        ),
        (
            "silence in the middle of work",
            Evidence {
                idle: Duration::from_millis(300),
                survived_idle: Duration::ZERO,
                ..silence()
            },
            Cause::Outage,
            Possible,
        ),
        (
            "reset at the first packet after the gap",
            ended(reset),
            Cause::IdleReset,
            Likely,
        ),
        (
            "the same in other words",
            ended(pipe),
            Cause::IdleReset,
            Likely,
        ),
        (
            "reset in the middle of work",
            Evidence {
                idle: seconds(1),
                far: FarEvidence {
                    knows_sshd_log: true,
                    sshd_log: vec![SshdRemark::Reset],
                    ..FarEvidence::default()
                },
                ..ended(reset)
            },
            Cause::Reset,
            Likely,
        ),
        (
            "the same where sshd's log is not to be had",
            Evidence {
                idle: seconds(1),
                ..ended(reset)
            },
            Cause::Reset,
            Possible,
        ),
        (
            "the same where it says nothing",
            Evidence {
                idle: seconds(1),
                far: FarEvidence {
                    knows_sshd_log: true,
                    ..FarEvidence::default()
                },
                ..ended(reset)
            },
            Cause::SshdEnded,
            Possible,
        ),
        (
            "the same where it says nothing and the far end closed at the same time",
            Evidence {
                idle: seconds(1),
                far_end: closed_there(1, 1),
                far: FarEvidence {
                    knows_sshd_log: true,
                    ..FarEvidence::default()
                },
                ..ended(pipe)
            },
            Cause::SshdEnded,
            Likely,
        ),
        (
            "the same words after a quarter of an hour",
            Evidence {
                unanswered: seconds(924),
                since_sent: Some(seconds(924)),
                ..ended(pipe)
            },
            Cause::KernelGaveUp,
            Likely,
        ),
        (
            "keepalive of the kernel",
            ended("client_loop: send disconnect: Connection timed out"),
            Cause::KernelGaveUp,
            Likely,
        ),
        (
            "keepalive of the kernel, told by its exact time",
            Evidence {
                idle: seconds(7_876),
                since_sent: Some(seconds(7_876)),
                unanswered: Duration::ZERO,
                keepalive: Some(seconds(7_875)),
                ..ended(pipe)
            },
            Cause::KernelGaveUp,
            Likely,
        ),
        (
            "keepalive of the far kernel",
            far(FarEvidence {
                sshd_log: vec![SshdRemark::TimedOut],
                ..FarEvidence::default()
            }),
            Cause::KernelGaveUp,
            Likely,
        ),
        (
            "a ControlMaster that was told to exit",
            Evidence {
                shares_master: true,
                ..far(FarEvidence {
                    knows_sshd: true,
                    ..FarEvidence::default()
                })
            },
            Cause::ControlMaster,
            Likely,
        ),
        (
            "a SIGTERM to ssh, where sshd has no ChannelTimeout",
            far(FarEvidence {
                knows_sshd: true,
                ..FarEvidence::default()
            }),
            Cause::User,
            Possible,
        ),
        (
            "ServerAlive",
            ended("Timeout, server box not responding."),
            Cause::ServerAlive,
            Certain,
        ),
        (
            "ClientAlive by sshd's log",
            far(FarEvidence {
                sshd_log: vec![SshdRemark::ClientNotResponding],
                ..FarEvidence::default()
            }),
            Cause::ClientAlive,
            Certain,
        ),
        (
            "ClientAlive while this side was stopped",
            Evidence {
                stalled: seconds(40),
                far: FarEvidence {
                    client_alive: Some(seconds(20)),
                    ..FarEvidence::default()
                },
                ..ended(remote)
            },
            Cause::ClientAlive,
            Likely,
        ),
        (
            "ChannelTimeout, which repeats to the second",
            Evidence {
                idle: seconds(20),
                far: FarEvidence {
                    channel_timeout: Some(seconds(20)),
                    ..FarEvidence::default()
                },
                ..ended("")
            },
            Cause::ChannelTimeout,
            Certain,
        ),
        (
            "the same where sshd cannot be asked",
            ended(""),
            Cause::Unknown,
            Possible,
        ),
        (
            "UnusedConnectionTimeout",
            far(FarEvidence {
                sshd_log: vec![SshdRemark::Inactive],
                ..FarEvidence::default()
            }),
            Cause::UnusedConnectionTimeout,
            Certain,
        ),
        (
            "sshd's child killed",
            ended(remote),
            Cause::SshdEnded,
            Likely,
        ),
        (
            "sshd restarted",
            Evidence {
                far: FarEvidence {
                    sshd_restarted: true,
                    ..FarEvidence::default()
                },
                ..ended(remote)
            },
            Cause::SshdEnded,
            Certain,
        ),
        (
            "reboot",
            Evidence {
                server_after: server("b", 3),
                ..ended(remote)
            },
            Cause::Rebooted,
            Certain,
        ),
        (
            "reboot behind a silent way",
            Evidence {
                server_after: server("b", 3),
                ..silence()
            },
            Cause::Rebooted,
            Certain,
        ),
        (
            "server restarted",
            Evidence {
                ssh: Some(SshEnd {
                    status: Some(0),
                    ..SshEnd::default()
                }),
                server_after: server("a", 8),
                ..ended("")
            },
            Cause::ServerRestarted,
            Certain,
        ),
        (
            "TMOUT",
            Evidence {
                noticed: Noticed::Finished,
                auto_logout: true,
                ..silence()
            },
            Cause::ShellTimeout,
            Certain,
        ),
        (
            "the machine slept",
            Evidence {
                slept: seconds(600),
                ..silence()
            },
            Cause::Slept,
            Likely,
        ),
        (
            "psess was stopped",
            Evidence {
                stalled: seconds(30),
                ..silence()
            },
            Cause::Slept,
            Likely,
        ),
        (
            "another network",
            Evidence {
                network_changed: true,
                ..silence()
            },
            Cause::NetworkChanged,
            Certain,
        ),
        (
            "Wi-Fi off",
            Evidence {
                redial: failed("ssh: connect to host box port 22: Network is unreachable"),
                ..silence()
            },
            Cause::Offline,
            Likely,
        ),
        (
            "blackhole",
            Evidence {
                redial: failed("ssh: connect to host box port 22: Connection timed out"),
                ..silence()
            },
            Cause::Outage,
            Likely,
        ),
        (
            "ControlPersist",
            ended("mux_client_read_packet: read header failed: Broken pipe"),
            Cause::ControlMaster,
            Likely,
        ),
        (
            "authentication",
            Evidence {
                redial: refused,
                ..silence()
            },
            Cause::RedialRefused,
            Certain,
        ),
        (
            "a signal to ssh",
            Evidence {
                ssh: Some(SshEnd {
                    signal: Some(9),
                    ..SshEnd::default()
                }),
                ..ended("")
            },
            Cause::User,
            Certain,
        ),
        (
            "the user",
            Evidence {
                leaving: true,
                ..silence()
            },
            Cause::User,
            Certain,
        ),
    ] {
        let verdict = classify(&evidence);
        assert_eq!(
            (verdict.cause, verdict.confidence),
            (cause, confidence),
            "{name}: {verdict:?}"
        );
        assert!(!verdict.because.is_empty(), "{name}");
    }
}

#[test]
fn no_evidence_gives_no_confident_answer() {
    for noticed in [Noticed::Silence, Noticed::Closed, Noticed::Finished] {
        let verdict = classify(&Evidence {
            noticed,
            ..Evidence::default()
        });
        assert_eq!(verdict.confidence, Possible, "{verdict:?}");
    }
}

#[test]
fn an_end_that_only_the_far_side_saw_is_no_middleboxes() {
    let end = |manner, after, silence| {
        Some(FarEnd {
            manner,
            after: seconds(after),
            silence: seconds(silence),
        })
    };
    // The user came back after 20 minutes, and the first key met a RST.
    let reset = |far_end, far| Evidence {
        idle: seconds(1_200),
        far_end,
        far,
        ..ended("client_loop: send disconnect: Broken pipe")
    };
    let known = FarEvidence {
        client_alive: Some(seconds(48)),
        keepalive: Some(seconds(300)),
        ..FarEvidence::default()
    };
    let closed = EndingManner::Closed;
    for (far_end, far, cause, confidence) in [
        (
            end(closed, 96, 96),
            known.clone(),
            Cause::ClientAlive,
            Likely,
        ),
        (
            end(closed, 301, 300),
            known.clone(),
            Cause::KernelGaveUp,
            Likely,
        ),
        (
            end(closed, 900, 900),
            known.clone(),
            Cause::SshdEnded,
            Possible,
        ),
        (
            end(closed, 1_200, 1_200),
            known.clone(),
            Cause::Reset,
            Possible,
        ),
        (
            end(EndingManner::Replaced, 1_201, 1_201),
            known,
            Cause::IdleReset,
            Likely,
        ),
        (None, FarEvidence::default(), Cause::IdleReset, Likely),
    ] {
        let verdict = classify(&reset(far_end, far));
        assert_eq!(
            (verdict.cause, verdict.confidence),
            (cause, confidence),
            "{far_end:?}"
        );
    }
    // While the way was down, ClientAlive is what follows, and not the cause.
    let mut outage = Evidence {
        idle: seconds(1_200),
        far_end: end(closed, 96, 96),
        ..silence()
    };
    outage.redial.failed = 3;
    assert_eq!(classify(&outage).cause, Cause::Outage);
}

#[test]
fn a_sshd_that_gave_up_is_not_blamed_for_the_silence_that_it_met() {
    let gave_up = |evidence: Evidence| Evidence {
        idle: seconds(1_200),
        far_end: closed_there(96, 96),
        far: FarEvidence {
            client_alive: Some(seconds(48)),
            keepalive: Some(seconds(90)),
            knows_sshd: true,
            knows_sshd_log: true,
            sshd_log: vec![SshdRemark::ClientNotResponding],
            ..FarEvidence::default()
        },
        ..evidence
    };
    let failed = |words: &str| Redial {
        failed: 9,
        words: words.to_owned(),
        succeeded: true,
        ..Redial::default()
    };
    for (name, evidence, cause, confidence) in [
        (
            "what lies between forgot the connection, and drops all of it still",
            silence(),
            Cause::IdleTimeout,
            Likely,
        ),
        (
            "the way was down for long",
            Evidence {
                redial: failed("no answer in time"),
                ..silence()
            },
            Cause::Outage,
            Likely,
        ),
        (
            "this machine had no network for long",
            Evidence {
                redial: failed("ssh: connect to host box port 22: Network is unreachable"),
                ..silence()
            },
            Cause::Offline,
            Likely,
        ),
        (
            "this machine went elsewhere",
            Evidence {
                network_changed: true,
                ..silence()
            },
            Cause::NetworkChanged,
            Certain,
        ),
        (
            "this machine slept",
            Evidence {
                slept: seconds(3_600),
                ..silence()
            },
            Cause::Slept,
            Likely,
        ),
        (
            "this side met the end that sshd made",
            ended("client_loop: send disconnect: Broken pipe"),
            Cause::ClientAlive,
            Certain,
        ),
    ] {
        let verdict = classify(&gave_up(evidence));
        assert_eq!(
            (verdict.cause, verdict.confidence),
            (cause, confidence),
            "{name}"
        );
        let words = "log says: client not responding";
        assert!(
            verdict.because.iter().any(|why| why.contains(words)),
            "{name}"
        );
    }
}

#[test]
fn a_remark_on_a_connection_that_was_still_open_is_on_another_one() {
    let mut evidence = far(FarEvidence {
        sshd_log: vec![SshdRemark::ClientNotResponding],
        ..FarEvidence::default()
    });
    evidence.far_end = Some(FarEnd {
        manner: EndingManner::Replaced,
        after: seconds(24),
        silence: seconds(24),
    });
    assert_ne!(classify(&evidence).cause, Cause::ClientAlive);
}

#[test]
fn the_servers_word_is_placed_on_this_sides_time() {
    let ending = Ending {
        manner: EndingManner::Closed,
        ended_ago_ms: 4_000,
        received_ago_ms: 10_000,
        sent_ago_ms: 11_000,
    };
    let end = FarEnd::of_ending(&ending, seconds(24));
    assert_eq!((end.after, end.silence), (seconds(20), seconds(6)));
}
