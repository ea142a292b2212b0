//! A client that panics gives its user a usable terminal and the panic's words.

use std::io::Write as _;
use std::process::Command;

use psess_client::terminal::RawTerminal;
use psess_harness::Terminal;

/// Set in the process that is to panic: this test once more, on a terminal of its own.
const PANICS: &str = "PSESS_TEST_PANICS";

#[test]
fn a_panic_leaves_the_terminal_clean_and_says_why() {
    if std::env::var_os(PANICS).is_some() {
        panic_in_raw_mode();
    }
    let mut terminal = Terminal::new();
    let mut itself = Command::new(std::env::current_exe().expect("a test has a file"));
    itself
        .args(["--exact", "--nocapture"])
        .arg("a_panic_leaves_the_terminal_clean_and_says_why")
        .env(PANICS, "1")
        // The screen has to hold the message.
        .env("RUST_BACKTRACE", "0");
    terminal.run(itself);
    assert!(!terminal.wait_exit().success());
    assert!(terminal.is_cooked());
    assert_eq!(terminal.look(|screen| screen.modes_left()), [""; 0]);
    terminal.wait_for_text("on purpose");
}

/// On the alternate screen, with mouse, kitty keyboard and a hidden cursor.
fn panic_in_raw_mode() -> ! {
    let _raw = RawTerminal::enter().expect("there is a terminal");
    let messy = b"\x1b[?1049h\x1b[?1000h\x1b[?1006h\x1b[?2004h\x1b[>1u\x1b[?25l\x1b[31m";
    let mut screen = std::io::stdout();
    screen.write_all(messy).expect("the terminal takes it");
    screen.flush().expect("the terminal takes it");
    panic!("on purpose");
}
