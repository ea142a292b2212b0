//! What a program does before the client that started it is attached.

use std::fs;

use psess_harness::{Terminal, World, eventually};

use crate::world;

/// Asks for the background's colour as its first act, makes the file `asked`, and tells the answer.
const ASKS: &str = r#"stty -echo; printf '\e]11;?\e\\'; : > asked
IFS= read -rd '\' answer; answer="told ${answer:5:18}"; echo "$answer" | tee answer; exec sleep 1000"#;

#[test]
fn what_a_program_asks_as_its_first_act_is_answered_by_the_users_terminal() {
    let world = world();
    let terminal = start_late(&world, ASKS, "asked");
    let told = terminal.wait_for("an answer", |screen| {
        let rows = screen.rows();
        rows.into_iter().find(|row| row.starts_with("told"))
    });
    assert_eq!(told, "told rgb:ffff/ffff/dddd");
}

#[test]
fn a_client_that_never_attaches_is_not_waited_for() {
    let world = world();
    let _terminal = start_late(&world, ASKS, "never");
    let told = eventually("an answer", || {
        let answer = fs::read_to_string(world.path("home/answer")).ok();
        answer.filter(|answer| answer.ends_with('\n'))
    });
    assert_eq!(told, "told rgb:0000/0000/0000\n");
}

#[test]
fn a_program_that_has_ended_before_is_shown_with_its_outcome() {
    let world = world();
    let mut terminal = start_late(&world, "trap ': > ended' EXIT; echo bye; exit 3", "ended");
    assert_eq!(terminal.wait_exit().code(), Some(3));
    terminal.wait_for_row("bye");
}

/// A terminal in which a script is started in a session, by a client that hears nothing but the
/// server's hello before there is such a file: it cannot attach sooner.
fn start_late(world: &World, script: &str, file: &str) -> Terminal {
    let late = format!(
        "\"$0\" \"$@\" | {{ dd bs=4096 count=1 status=none; \
         until test -e {}; do sleep 0.02; done; exec cat; }}",
        world.path("home").join(file).display()
    );
    let entry = format!("[host.box]\ncommand = ['sh', '-c', '{late}']\n");
    world.write("home/.config/psess/config.toml", &entry);
    let home = world.path("home").display().to_string();
    world.open(["new", "--cwd", &home, "box:", "--", "bash", "-c", script])
}
