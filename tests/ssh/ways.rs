//! Ways to the far side that the user's own configuration of ssh leads: the first dial and a
//! redial both go them, and leave nothing behind.

use psess_harness::{Process, Signal, Sshd, Terminal, World, eventually};

use crate::world;

/// A far side behind a jump host, and a configuration of ssh's that this begins.
struct Scene {
    // In this order they end.
    sshd: Sshd,
    world: World,
}

impl Scene {
    /// `settings` come before those of the hosts `far` and `refusing`, and of the jump host `hop`.
    fn with(settings: impl FnOnce(&World) -> String) -> Option<Self> {
        let world = world();
        let sshd = Sshd::start(&world)?;
        let config = world.path("ssh_config");
        let known = std::fs::read_to_string(&config).expect("the harness wrote it");
        let hosts = known.replace("Host far\n", "Host far hop\n");
        world.write("ssh_config", &format!("{}\n{hosts}", settings(&world)));
        Some(Self { sshd, world })
    }

    /// A session that echoes lines.
    fn echoing(&self, options: &[&str], place: &str) -> Terminal {
        let session = format!("{place}:build");
        let program = "echo ready; exec cat";
        let words = ["new"].iter().chain(options).copied();
        let terminal = self
            .world
            .open(words.chain([&session, "--", "/bin/sh", "-c", program]));
        terminal.wait_for_row("ready");
        terminal
    }

    /// The client's ssh, once that is the only one: one that was given up is given time to end.
    fn ssh(&self, terminal: &Terminal) -> Process {
        eventually("the client has one ssh", || {
            let mut children = terminal.process().children();
            children.retain(|process| process.command.contains("exec psess relay"));
            let last = children.pop();
            last.filter(|_| children.is_empty())
        })
    }
}

/// All that this process started, and what those did.
fn descendants(process: &Process) -> Vec<Process> {
    let children = process.children();
    let below: Vec<_> = children.iter().flat_map(descendants).collect();
    [children, below].concat()
}

fn is_jump(processes: &[Process]) -> bool {
    processes
        .iter()
        .any(|process| process.command.contains(" -W "))
}

fn echoes(terminal: &Terminal, line: &str) {
    terminal.type_keys(format!("{line}\r"));
    // The terminal's echo, and cat's.
    terminal.wait_for(&format!("{line} twice"), |screen| {
        let rows = screen.all_rows();
        (rows.iter().filter(|row| *row == line).count() == 2).then_some(())
    });
}

fn all_gone(processes: &[Process]) {
    eventually(&format!("all of these are gone: {processes:?}"), || {
        (!processes.iter().any(Process::lives)).then_some(())
    });
}

#[test]
fn a_jump_host_is_gone_through_by_every_dial_and_left_with_it() {
    let Some(scene) = Scene::with(|_| "Host far\n ProxyJump hop".to_owned()) else {
        return;
    };
    let mut terminal = scene.echoing(&[], "far");
    echoes(&terminal, "one");
    for line in ["two", "three"] {
        let first = scene.ssh(&terminal);
        let jumps = descendants(&first);
        assert!(is_jump(&jumps), "{jumps:?}");
        first.kill();
        echoes(&terminal, line);
        all_gone(&jumps);
    }
    let last = scene.ssh(&terminal);
    let jumps = descendants(&last);
    assert!(!jumps.is_empty());
    terminal.type_keys("\x1c");
    assert!(terminal.wait_exit().success());
    all_gone(&[vec![last], jumps].concat());
    eventually("nobody is connected to the far side", || {
        scene.sshd.connections().is_empty().then_some(())
    });
}

#[test]
fn a_jump_host_that_hangs_is_dialled_through_anew_and_its_processes_end() {
    let Some(scene) = Scene::with(|_| String::new()) else {
        return;
    };
    let terminal = scene.echoing(&["-o", "ProxyJump=hop"], "far");
    let first = scene.ssh(&terminal);
    let jumps = descendants(&first);
    assert!(!jumps.is_empty());
    for jump in &jumps {
        jump.signal(Signal::STOP);
    }
    echoes(&terminal, "two");
    assert_ne!(scene.ssh(&terminal), first);
    all_gone(&[vec![first], jumps].concat());
}

/// Its pipes to ssh are not all that holds it.
#[test]
fn a_proxy_command_that_outlives_its_ssh_is_ended() {
    let Some(scene) = Scene::with(|world| {
        let config = world.path("ssh_config").display().to_string();
        let proxy = world.script(
            "proxy",
            &format!(
                "#!/bin/sh\nsleep 1000 </dev/null >/dev/null 2>&1 &\nssh -F {config} -W $1:$2 hop\n"
            ),
        );
        format!("Host far\n ProxyCommand {} %h %p", proxy.display())
    }) else {
        return;
    };
    let terminal = scene.echoing(&[], "far");
    // The first ssh may ask the user, and shares the client's process group; others have their own.
    for line in ["two", "three"] {
        let ssh = scene.ssh(&terminal);
        let proxies = eventually("what the proxy started runs", || {
            let proxies = descendants(&ssh);
            let is_up = proxies.iter().any(|proxy| proxy.command == "sleep 1000");
            is_up.then_some(proxies)
        });
        ssh.kill();
        echoes(&terminal, line);
        all_gone(&proxies);
    }
}

#[test]
fn match_blocks_are_asked_anew_by_every_dial() {
    let Some(scene) = Scene::with(|world| {
        let at_home = world.write("at_home", "");
        format!(
            "Match originalhost far !exec \"test -e {}\"\n ProxyJump hop",
            at_home.display()
        )
    }) else {
        return;
    };
    let terminal = scene.echoing(&[], "far");
    let first = scene.ssh(&terminal);
    assert_eq!(descendants(&first), [], "it dials directly");
    // The user leaves the house.
    std::fs::remove_file(scene.world.path("at_home")).unwrap();
    first.kill();
    echoes(&terminal, "two");
    let second = scene.ssh(&terminal);
    let jumps = descendants(&second);
    assert!(is_jump(&jumps), "{jumps:?}");
    second.kill();
    echoes(&terminal, "three");
    all_gone(&jumps);
    assert!(is_jump(&descendants(&scene.ssh(&terminal))));
}

#[test]
fn options_and_the_port_are_passed_on_by_every_dial() {
    let Some(scene) = Scene::with(|_| String::new()) else {
        return;
    };
    // All that the block of the host `far` says, for a host that no block names.
    let text = std::fs::read_to_string(scene.world.path("ssh_config")).unwrap();
    let block = text.split("Host ").nth(1).expect("a block");
    let options: Vec<String> = block
        .lines()
        .skip(1)
        .map(|line| line.trim().replacen(' ', "=", 1))
        .filter(|option| !option.is_empty())
        .collect();
    assert!(
        options.iter().any(|option| option.starts_with("Port=")),
        "{options:?}"
    );
    let words: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
    let terminal = scene.echoing(&words, "nameless.invalid");
    for line in ["two", "three"] {
        let ssh = scene.ssh(&terminal);
        for option in &options {
            assert!(ssh.command.contains(option), "{option}: {ssh:?}");
        }
        ssh.kill();
        echoes(&terminal, line);
    }
    // Commands of one answer take them as well.
    let list = [&["list"], &words[..], &["nameless.invalid:"]].concat();
    assert!(scene.world.succeed(list).contains("build"));
}
