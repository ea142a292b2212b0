//! The terminal model under random output, valid and invalid: a replay recreates everything,
//! at any byte, on a terminal in any state, and chunks do not matter.

use proptest::prelude::*;
use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Picture, Terminal};

fn fed(size: Size, bytes: &[u8]) -> Terminal {
    let mut terminal = Terminal::new(size, Limits::default());
    terminal.feed(bytes);
    terminal
}

/// Sizes at which everything happens at an edge.
fn sizes() -> impl Strategy<Value = Size> {
    prop_oneof![
        Just(Size::new(4, 10)),
        Just(Size::new(6, 20)),
        Just(Size::new(2, 3)),
        Just(Size::new(1, 1)),
        Just(Size::new(3, 2)),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{1,25}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            "日本語",
            "é",
            "e\u{301}",
            "\u{301}",
            "👩\u{200d}👩\u{200d}👧",
            "🇩🇪",
            "❤\u{fe0f}",
            "한글",
            "\u{1100}\u{1161}",
            "─┼",
            "👍🏽",
            "\u{85}",
            "\u{9b}3m",
            "ﷺ",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..6),
    ]
}

fn control() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "\x08",
        "\t",
        "\x0e",
        "\x0f",
        "\x0b",
        "\x18",
        "\x1a",
        "\x1b",
        "\x7f",
        "\x07",
        "\x1b7",
        "\x1b8",
        "\x1bD",
        "\x1bE",
        "\x1bH",
        "\x1bM",
        "\x1bN",
        "\x1bO",
        "\x1bc",
        "\x1bn",
        "\x1bo",
        "\x1b=",
        "\x1b>",
        "\x1b#8",
        "\x1b(0",
        "\x1b(B",
        "\x1b)0",
        "\x1b(A",
        "\x1b*0",
        "\x1b(%5",
        "\x1bZ",
        "\x1b[!p",
        "\x1b]2;title\x07",
        "\x1b]0;a\x1b\\",
        "\x1b]1;icon\x1b\\",
        "\x1b]8;;http://a\x1b\\",
        "\x1b]8;id=x;http://b\x07",
        "\x1b]8;;\x07",
        "\x1b]4;1;#ff0000\x07",
        "\x1b]104\x07",
        "\x1b]104;1\x07",
        "\x1b]10;red\x07",
        "\x1b]110\x07",
        "\x1b]11;?\x07",
        "\x1b]7;file:///x\x07",
        "\x1b]133;A\x07",
        "\x1b]133;C\x07",
        "\x1bP$qm\x1b\\",
        "\x1bP+q544e\x1b\\",
        "\x1b_Gx\x1b\\",
        "\x1b^oops",
        "\x1bXoops\x1b\\",
        "\x1b[22;0t",
        "\x1b[22;2t",
        "\x1b[23t",
        "\x1b[>1u",
        "\x1b[>31u",
        "\x1b[<u",
        "\x1b[<9u",
        "\x1b[=5u",
        "\x1b[=3;2u",
        "\x1b[=1;3u",
        "\x1b[?u",
        "\x1b[>4;2m",
        "\x1b[>4m",
        "\x1b[>1;3m",
        "\x1b[3 q",
        "\x1b[0 q",
        "\x1b[1\"q",
        "\x1b[0\"q",
        "\x1b[?J",
        "\x1b[?1K",
        "\x1b[3J",
        "\x1b[4h",
        "\x1b[4l",
        "\x1b[20h",
        "\x1b[20l",
        "\x1b[5n",
        "\x1b[6n",
        "\x1b[c",
        "\x1b[>q",
        "\x1b[?1$p",
    ])
    .prop_map(|text| text.as_bytes().to_vec())
}

fn mode() -> impl Strategy<Value = Vec<u8>> {
    let numbers = prop::sample::select(vec![
        1, 5, 6, 7, 9, 12, 25, 45, 47, 66, 69, 1000, 1002, 1003, 1004, 1006, 1015, 1047, 1048,
        1049, 2004, 2026, 2027, 9001,
    ]);
    (numbers, prop::sample::select(vec!['h', 'l', 's', 'r']))
        .prop_map(|(number, last)| format!("\x1b[?{number}{last}").into_bytes())
}

fn sequence() -> impl Strategy<Value = Vec<u8>> {
    let last = prop::sample::select("@ABCDEFGHIJKLMPSTXZ`abdefgrsu".chars().collect::<Vec<_>>());
    (prop::collection::vec(0..12_u16, 0..3), last).prop_map(|(numbers, last)| {
        let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
        format!("\x1b[{}{last}", numbers.join(";")).into_bytes()
    })
}

fn rendition() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        "0",
        "1",
        "2",
        "3",
        "4",
        "4:3",
        "21",
        "5",
        "7",
        "8",
        "9",
        "22",
        "24",
        "27",
        "31",
        "42",
        "97",
        "104",
        "39",
        "49",
        "53",
        "38;5;100",
        "48;5;3",
        "38;2;1;2;3",
        "48:2::9:8:7",
        "38:5:4",
        "58:2::1:2:3",
        "58;5;7",
        "59",
        "73",
        "1;31;44",
        "48;5",
    ])
    .prop_map(|parameters| format!("\x1b[{parameters}m").into_bytes())
}

/// Output of a program that respects nothing.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => text(),
        3 => control(),
        2 => mode(),
        4 => sequence(),
        2 => rendition(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Sizes with room for the wide characters that others left.
fn roomy_sizes() -> impl Strategy<Value = Size> {
    prop_oneof![
        Just(Size::new(4, 10)),
        Just(Size::new(6, 20)),
        Just(Size::new(2, 3)),
        Just(Size::new(3, 2)),
    ]
}

/// Output without mode 2027: a cluster that grows while it is printed wraps differently than a
/// whole one.
fn simple_output() -> impl Strategy<Value = Vec<u8>> {
    output().prop_map(|mut bytes| {
        for at in 0..bytes.len().saturating_sub(3) {
            if bytes[at..].starts_with(b"2027") {
                bytes[at + 3] = b'6';
            }
        }
        bytes
    })
}

/// `PROPTEST_CASES` for a long run.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn a_replay_recreates_everything(size in sizes(), bytes in output()) {
        let first = fed(size, &bytes);
        let replay = first.replay(History::All);
        let second = fed(size, &replay);
        if let Some(difference) = first.snapshot().difference(&second.snapshot()) {
            prop_assert!(false, "{size} {difference}\nbytes {}\nreplay {}", bytes.escape_ascii(), replay.escape_ascii());
        }
    }

    #[test]
    fn the_rest_after_a_replay_gives_the_whole(size in sizes(), bytes in output(), at in any::<prop::sample::Index>()) {
        let cut = at.index(bytes.len() + 1);
        let whole = fed(size, &bytes);
        let mut second = fed(size, &fed(size, &bytes[..cut]).replay(History::All));
        second.feed(&bytes[cut..]);
        if let Some(difference) = whole.snapshot().difference(&second.snapshot()) {
            prop_assert!(false, "{size} cut {cut}: {difference}\nbytes {}", bytes.escape_ascii());
        }
    }

    #[test]
    fn chunks_do_not_matter(size in sizes(), bytes in output(), chunk in 1..7_usize) {
        let whole = fed(size, &bytes);
        let mut second = Terminal::new(size, Limits::default());
        for chunk in bytes.chunks(chunk) {
            second.feed(chunk);
        }
        if let Some(difference) = whole.snapshot().difference(&second.snapshot()) {
            prop_assert!(false, "{size} {difference}\nbytes {}", bytes.escape_ascii());
        }
        let (mut whole, mut second) = (whole, second);
        prop_assert_eq!(whole.take_queries(), second.take_queries());
    }

    #[test]
    fn a_picture_brought_forward_equals_a_new_one(
        size in sizes(), shown in sizes(), first in output(), second in output(),
    ) {
        let mut terminal = fed(size, &first);
        let mut picture = Picture::default();
        let mut forward = fed(shown, &terminal.draw(shown, &mut picture));
        terminal.feed(&second);
        let update = terminal.draw(shown, &mut picture);
        forward.feed(&update);
        let new = fed(shown, &terminal.draw(shown, &mut Picture::default()));
        let seen = |terminal: &Terminal| {
            let mut entries = terminal.snapshot().entries;
            // How cells became blank is not seen.
            entries.retain(|(name, _)| name.starts_with("main ") || name == "cursor");
            for (_, value) in &mut entries {
                *value = value.replace('\0', " ").trim_end().to_owned();
            }
            entries
        };
        prop_assert_eq!(seen(&new), seen(&forward), "update {}", update.escape_ascii());
        prop_assert!(new.scrolled_lines() == 0 && forward.scrolled_lines() == 0);
        prop_assert!(terminal.draw(shown, &mut picture).is_empty());
    }

    #[test]
    fn repainted_rows_are_as_they_were(size in sizes(), mut bytes in output()) {
        // Half a character, cut short by a banner, would be printed and might scroll.
        bytes.push(0x18);
        let whole = fed(size, &bytes);
        // A banner over the rows, drawn by somebody who knows nothing of the program.
        let mut second = fed(size, &bytes);
        second.feed(b"\x18\x1b[?6l\x1b[?69l\x1b[r\x1b[m\x1b[HLOST");
        second.feed(&whole.repaint(0..size.rows));
        let seen = |terminal: &Terminal| {
            let mut entries = terminal.snapshot().entries;
            entries.retain(|(name, _)| {
                !name.starts_with("history") && !matches!(&**name, "titles" | "saved modes")
            });
            for (_, value) in &mut entries {
                *value = value.replace("{continues}", "");
            }
            entries
        };
        prop_assert_eq!(seen(&whole), seen(&second));
    }

    #[test]
    fn other_sizes_leave_a_terminal_that_replays(
        size in sizes(), bytes in simple_output(), next in roomy_sizes(), more in simple_output(), last in roomy_sizes(),
    ) {
        let mut terminal = fed(size, &bytes);
        terminal.resize(next);
        terminal.feed(&more);
        terminal.resize(last);
        let second = fed(last, &terminal.replay(History::All));
        if let Some(difference) = terminal.snapshot().difference(&second.snapshot()) {
            prop_assert!(false, "{size} {next} {last} {difference}\nbytes {}\nmore {}", bytes.escape_ascii(), more.escape_ascii());
        }
    }

    #[test]
    fn a_terminal_in_any_state_can_be_left(size in sizes(), bytes in output()) {
        let mut terminal = fed(size, &bytes);
        let leave = terminal.leave();
        terminal.feed(&leave);
        let fresh = Terminal::new(size, Limits::default()).snapshot();
        let kept = |name: &str| {
            matches!(name, "charsets" | "margins" | "modes" | "flags" | "pen" | "keys" | "colors" | "pending")
        };
        let left = terminal.snapshot();
        prop_assert!(!terminal.is_alternate());
        for (name, value) in fresh.entries.iter().filter(|(name, _)| kept(name)) {
            let now = left.entries.iter().find(|(other, _)| other == name).map(|(_, value)| value);
            prop_assert_eq!(Some(value), now, "{}", name);
        }
    }

    #[test]
    fn a_replay_is_right_on_a_terminal_in_any_state(size in sizes(), before in output(), bytes in output()) {
        let first = fed(size, &bytes);
        let mut second = fed(size, &before);
        second.feed(&first.replay(History::All));
        let seen = |terminal: &Terminal| {
            let mut entries = terminal.snapshot().entries;
            // What stays by intent: scrollback, and what a user may have set before.
            entries.retain(|(name, _)| {
                !name.starts_with("history")
                    && !matches!(&**name, "titles" | "colors" | "directory" | "saved modes" | "keys" | "modes")
            });
            entries
        };
        prop_assert_eq!(seen(&first), seen(&second), "before {} bytes {}", before.escape_ascii(), bytes.escape_ascii());
    }
}
