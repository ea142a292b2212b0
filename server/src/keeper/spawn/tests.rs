//! Real programs on real ptys.

use std::collections::BTreeMap;

use psess_protocol::identity::SessionId;
use psess_protocol::size::Size;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::*;
use crate::keeper::server_process::reap;

fn request(argv: &[&str]) -> Spawn {
    Spawn {
        session: SessionId([1; 16]),
        argv: argv
            .iter()
            .map(|argument| argument.as_bytes().to_vec())
            .collect(),
        argv0: None,
        environment: vec![b"PATH=/usr/bin:/bin".to_vec()],
        cwd: b"/".to_vec(),
        umask: None,
        size: Size::default(),
        journal_bytes: 4096,
        blob: Vec::new(),
    }
}

fn start(request: &Spawn) -> Result<Started, SpawnError> {
    let inheritance = Inheritance::none();
    spawn(request, &inheritance)
}

/// All that a shell script prints.
fn output_of(script: &str) -> String {
    output(&request(&["sh", "-c", script]))
}

fn output(request: &Spawn) -> String {
    let started = start(request).unwrap();
    let mut output = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(&started.master, &mut buffer) {
            Ok(length) => output.extend_from_slice(&buffer[..length]),
            Err(Errno::AGAIN) => wait(&started.master),
            // Linux: after the last program closed its end.
            Err(Errno::IO) => break,
            Err(error) => panic!("{error}"),
        }
    }
    wait(&started.pidfd);
    assert!(reap(&started.pidfd).is_some());
    String::from_utf8(output).unwrap().replace("\r\n", "\n")
}

/// Waits for a condition; the time only bounds a test that fails.
fn wait(fd: &OwnedFd) {
    let limit = Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    let ready = rustix::event::poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit));
    assert_ne!(ready, Ok(0), "nothing came for 20 s");
}

#[test]
fn what_cannot_be_executed_says_so() {
    for (program, errno, says) in [
        (
            "psess-nowhere",
            libc::ENOENT,
            "not found in the session's PATH",
        ),
        ("/psess/nowhere", libc::ENOENT, "no such file"),
        ("/etc", libc::EACCES, "Permission denied"),
    ] {
        let error = start(&request(&[program])).unwrap_err();
        assert_eq!((error.stage, error.errno), (SpawnStage::Program, errno));
        assert_eq!(error.message, format!("cannot execute '{program}': {says}"));
    }
}

#[test]
fn a_missing_interpreter_is_told_from_a_missing_program() {
    let name = format!("psess-script-{}", SessionId::random());
    let path = std::env::temp_dir().join(name);
    // Not by this process: what other tests' children have open for writing cannot be executed.
    let script = r#"echo '#!/nowhere/at/all' >"$0"; chmod 700 "$0""#;
    let mut writes = std::process::Command::new("sh");
    let written = writes.args(["-c", script]).arg(&path).status().unwrap();
    assert!(written.success());
    let error = start(&request(&[path.to_str().unwrap()])).unwrap_err();
    std::fs::remove_file(path).unwrap();
    assert!(error.message.contains("interpreter"), "{error}");
}

#[test]
fn a_missing_directory_is_told_from_a_missing_program() {
    let missing = Spawn {
        cwd: b"/psess/nowhere".to_vec(),
        ..request(&["true"])
    };
    let error = start(&missing).unwrap_err();
    assert_eq!(
        (error.stage, error.errno),
        (SpawnStage::Directory, libc::ENOENT)
    );
}

#[test]
fn a_nul_byte_is_refused() {
    let error = start(&request(&["tr\0ue"])).unwrap_err();
    assert_eq!(error.stage, SpawnStage::Request);
}

#[test]
fn a_hostile_journal_is_refused() {
    let huge = Spawn {
        journal_bytes: u64::MAX,
        ..request(&["true"])
    };
    assert_eq!(start(&huge).unwrap_err().stage, SpawnStage::Journal);
}

#[test]
fn the_terminal_is_the_programs_own() {
    let sized = Spawn {
        size: Size::new(33, 99),
        ..request(&[
            "sh",
            "-c",
            "stty size </dev/tty; stty -a | grep -ow -- '-*iutf8'",
        ])
    };
    assert_eq!(output(&sized), "33 99\niutf8\n");
}

#[test]
fn it_leads_a_session_in_the_foreground() {
    // pid, process group, session, controlling terminal, foreground group (proc(5)).
    let stat = output_of("exec cat /proc/self/stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let (group, session, terminal, foreground) = (fields[2], fields[3], fields[4], fields[5]);
    let pid = stat.split(' ').next().unwrap();
    assert_eq!((group, session, foreground), (pid, pid, pid));
    assert_ne!(terminal, "0");
}

#[test]
fn signals_are_at_their_defaults() {
    let status = output_of("exec cat /proc/self/status");
    let masks: BTreeMap<&str, &str> = status
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .filter(|(key, _)| key.starts_with("Sig"))
        .collect();
    for mask in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(masks[mask], "0000000000000000", "{mask}");
    }
}

#[test]
fn no_descriptor_leaks() {
    // One that is inherited, as by a library that forgot O_CLOEXEC.
    let leak = std::fs::File::open("/dev/null").unwrap();
    let leak = rustix::io::dup(&leak).unwrap();
    // 3 is the folder that ls itself reads.
    assert_eq!(output_of("exec ls /proc/self/fd"), "0  1  2  3\n");
    drop(leak);
}

#[test]
fn the_environment_is_the_sessions() {
    let own = Spawn {
        environment: [&b"PATH=/usr/bin:/bin"[..], b"A=b=c", b"bad", b"=bad"]
            .map(<[u8]>::to_vec)
            .to_vec(),
        ..request(&["env"])
    };
    assert_eq!(output(&own), "A=b=c\nPATH=/usr/bin:/bin\n");
}

#[test]
fn the_umask_and_directory_are_as_asked() {
    let own = Spawn {
        umask: Some(0o027),
        cwd: b"/usr".to_vec(),
        ..request(&["sh", "-c", "umask; pwd"])
    };
    assert_eq!(output(&own), "0027\n/usr\n");
}

#[test]
fn a_program_may_be_given_relative_to_its_directory() {
    let own = Spawn {
        cwd: b"/bin".to_vec(),
        ..request(&["./echo", "here"])
    };
    assert_eq!(output(&own), "here\n");
}

#[test]
fn without_a_command_it_is_a_login_shell() {
    let environment = [b"SHELL=/bin/sh".to_vec(), b"SHELL=/bin/bash".to_vec()];
    let shell = Spawn {
        environment: environment.to_vec(),
        ..request(&[])
    };
    let (program, command) = command(&shell);
    assert_eq!(program, Path::new("/bin/bash"));
    assert!(format!("{command:?}").contains("\"-bash\""), "{command:?}");
    let broken = [b"SHELL=/psess/nowhere".to_vec()];
    assert_ne!(login_shell(&broken), Path::new("/psess/nowhere"));
}
