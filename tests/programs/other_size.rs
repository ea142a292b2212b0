//! Programs that are left in one terminal and found again in another of another size: they show
//! what they would show had they run in one terminal that was resized, without psess.

use psess_harness::{Terminal, World, has};

use super::{DETACH, Picture, numbered_file, settled, world};

/// Rows and columns of the terminals that sessions are left in, and of those they are found in.
const LEFT: (u16, u16) = (24, 80);
const FOUND: [(u16, u16); 2] = [(40, 120), (16, 60)];

/// Compares, for each size, a program in a session with one that psess has nothing to do with,
/// by the rows that `counts` says yes to.
fn is_the_same_in_other_sizes(
    command: &[&str],
    prepare: &str,
    there: &str,
    counts: fn(&str) -> bool,
) {
    if has(command[0]).is_none() {
        return;
    }
    let world = world();
    numbered_file(&world);
    for (rows, columns) in FOUND {
        let mut plain = Terminal::sized(LEFT.0, LEFT.1);
        let mut directly = world.command(command[0]);
        directly.args(&command[1..]);
        plain.run(directly);
        reach(&world, &plain, prepare, there);
        plain.resize(rows, columns);
        let wanted = counted(settled(&world, &plain), counts);

        let name = format!("in-{columns}-columns");
        let words = ["new", &name, "--"];
        let mut first = world.open(words.iter().chain(command));
        reach(&world, &first, prepare, there);
        first.type_keys(DETACH);
        assert!(first.wait_exit().success());
        let second = attach(&world, &name, rows, columns);
        second.wait_for(
            &format!("the same picture:\n{}", wanted.rows.join("\n")),
            |screen| (counted(Picture::of(screen), counts) == wanted).then_some(()),
        );
    }
}

fn attach(world: &World, name: &str, rows: u16, columns: u16) -> Terminal {
    let mut terminal = Terminal::sized(rows, columns);
    terminal.run(world.psess(["attach", name]));
    terminal
}

/// Types what is needed, and waits until the program shows what is looked for.
fn reach(world: &World, terminal: &Terminal, prepare: &str, there: &str) {
    terminal.wait_for("the program is up", |screen| {
        (!screen.text().trim().is_empty()).then_some(())
    });
    terminal.type_keys(prepare);
    terminal.wait_for_text(there);
    settled(world, terminal);
}

/// The picture without the rows that do not count.
fn counted(mut picture: Picture, counts: fn(&str) -> bool) -> Picture {
    let columns = picture.drawn.len() / picture.rows.len();
    let cells = picture.drawn.chunks_mut(columns);
    for (row, cells) in picture.rows.iter_mut().zip(cells) {
        if !counts(row) {
            row.clear();
            cells.fill(String::new());
        }
    }
    picture
}

fn every(_: &str) -> bool {
    true
}

#[test]
fn vim() {
    is_the_same_in_other_sizes(
        &[
            "vim",
            "-u",
            "NONE",
            "-N",
            "-i",
            "NONE",
            "-n",
            "--cmd",
            "set nocp ruler hlsearch",
            "rows.txt",
        ],
        "100G/row 11.\rzt5l",
        "110,14",
        every,
    );
}

#[test]
fn less() {
    is_the_same_in_other_sizes(&["less", "rows.txt"], "/row 123\r", "row 123", every);
}

#[test]
fn fzf() {
    is_the_same_in_other_sizes(
        &["sh", "-c", "fzf --no-mouse < rows.txt"],
        "row 77",
        "> row 77",
        every,
    );
}

/// Its hint is drawn by lot, and the room on the disk changes.
#[test]
fn mc() {
    let counts = |row: &str| !row.contains("Hint:") && !row.contains("%)");
    is_the_same_in_other_sizes(&["mc", "--nosubshell", "-a"], "", "rows.txt", counts);
}

/// Its figures change by themselves, and with them how many rows there are: the frame counts.
#[test]
fn htop() {
    let counts = |row: &str| row.contains("F10Quit") || row.contains("PID USER");
    is_the_same_in_other_sizes(&["htop", "-d", "5"], "", "F10Quit", counts);
}

/// A shell does not draw anew what scrolled by: lines and their order are what must be the same.
#[test]
fn a_shell_with_much_history() {
    let world = world();
    for (rows, columns) in FOUND {
        let name = format!("in-{columns}-columns");
        let mut first = world.open(["new", &name, "--", "/bin/sh", "-c", "seq 1 12000; exec cat"]);
        first.wait_for_row("12000");
        first.type_keys(DETACH);
        assert!(first.wait_exit().success());
        let second = attach(&world, &name, rows, columns);
        second.wait_for_row("12000");
        second.type_keys("typed here\r");
        let lines = second.wait_for("what is typed follows", |screen| {
            let lines: Vec<String> = screen.all_rows();
            lines.iter().any(|row| row == "typed here").then_some(lines)
        });
        let numbers: Vec<u32> = lines.iter().filter_map(|row| row.parse().ok()).collect();
        let oldest = numbers.first().copied().unwrap_or(0);
        // 10,000 lines of history, and the screen.
        assert!((1..=2_000).contains(&oldest), "from {oldest} on");
        assert!(
            numbers.iter().copied().eq(oldest..=12_000),
            "in order, none twice"
        );
    }
}
