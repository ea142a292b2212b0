//! A session's programs reach the ssh agent of whoever attached last.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use psess_harness::{Sshd, Terminal, World};

use crate::resume::ssh_processes;
use crate::world;

/// Starts an agent of this name, with a key of that name in it: its socket. It ends with its world.
fn agent(world: &World, name: &str) -> PathBuf {
    let (socket, key) = (world.path(format!("{name}.socket")), world.path(name));
    let mut start = world.command("ssh-agent");
    start.arg("-a").arg(&socket).stdout(Stdio::null());
    assert!(start.status().is_ok_and(|status| status.success()));
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]);
    let mut add = world.command("ssh-add");
    add.arg("-q").env("SSH_AUTH_SOCK", &socket);
    for command in [&mut make, &mut add] {
        let done = command.arg(&key).status();
        assert!(done.is_ok_and(|status| status.success()), "{command:?}");
    }
    socket
}

/// Has the program list the agent's keys once more, and waits until it named this one so often.
fn lists(terminal: &Terminal, name: &str, times: usize) {
    terminal.type_keys("\r");
    terminal.wait_for(&format!("{name} is named {times} times"), |screen| {
        let rows = screen.all_rows();
        let named = rows.iter().filter(|row| row.contains(name));
        (named.count() == times).then_some(())
    });
}

#[test]
fn the_agent_is_that_of_the_client_attached_last_also_after_a_redial() {
    let world = world();
    let Some(sshd) = Sshd::start(&world) else {
        return;
    };
    let forward = |name| format!("IdentityAgent={}", agent(&world, name).display());
    let (first, second) = (forward("agent-a"), forward("agent-b"));
    let program = "echo ready; while read line; do ssh-add -l; done";
    let words = ["far:keys", "--", "/bin/sh", "-c", program];
    let options = ["new", "-o", "ForwardAgent=yes", "-o", &first];
    let one = world.open([&options, &words[..]].concat());
    one.wait_for_row("ready");
    lists(&one, "agent-a", 1);
    for process in ssh_processes(&world, &sshd) {
        process.kill();
    }
    lists(&one, "agent-a", 2);
    let two = world.open([
        "attach",
        "-o",
        "ForwardAgent=yes",
        "-o",
        &second,
        "far:keys",
    ]);
    two.wait_for_text("agent-a");
    lists(&two, "agent-b", 1);
}
