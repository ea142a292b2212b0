//! What every change of the model must keep true.

use super::{Limits, Terminal};
use crate::message::History;
use crate::size::Size;

fn fed(size: Size, bytes: &[u8]) -> Terminal {
    let mut terminal = Terminal::new(size, Limits::default());
    terminal.feed(bytes);
    terminal
}

/// Replays at every cut, feeds the rest, and compares with the whole.
fn check_every_cut(size: Size, bytes: &[u8]) {
    let whole = fed(size, bytes).snapshot();
    for cut in 0..=bytes.len() {
        let first = fed(size, &bytes[..cut]);
        let replay = first.replay(History::All);
        let mut second = fed(size, &replay);
        if let Some(difference) = first.snapshot().difference(&second.snapshot()) {
            panic!("at {cut}, {}\nreplay {}", difference, replay.escape_ascii());
        }
        second.feed(&bytes[cut..]);
        if let Some(difference) = whole.difference(&second.snapshot()) {
            panic!(
                "from {cut} on, {}\nreplay {}",
                difference,
                replay.escape_ascii()
            );
        }
    }
}

#[test]
fn a_replay_at_every_byte_and_the_rest_equal_the_whole() {
    let scripts: &[&[u8]] = &[
        b"hello\r\nworld\x1b[31mred\x1b[0m and a line that is longer than twenty columns\r\n\r\n\r\n\r\nx",
        "\x1b[?1049h\x1b[2J\x1b[3;4r\x1b[?6h日本語日本語日本語日本語日本語 e\u{301}\x1b7\x1b[5;5H\x1b[44m\x1b[Kx\x1b[?1049l".as_bytes(),
        b"\x1b]2;title\x07\x1b]8;id=1;http://a.b/\x1b\\link\x1b]8;;\x1b\\\x1b[>1u\x1b[>5u\x1b[<u\x1b[?1000;1006h\x1b[4habc\x1b[D\x1b[Dxyz\x1b[3b",
        b"\x1b(0qqq\x0exx\x0f\x1b)0\x0eqqq\x1b[?7l01234567890123456789abc\x1b[?7h\x1b[2;5Hzzz\x1b[1L\x1b[2P\x1b[3@",
        b"0123456789012345678901234567890123456789\x1b[K\x1b[A\x1b[Kab\x1b[B\x1b[41m\x1b[2J\x1b[Hq\x1bMq\x1b[?69h\x1b[3;9sabcdefghijklm\x1b[?6hxy\x1b[S",
    ];
    for script in scripts {
        check_every_cut(Size::new(5, 20), script);
    }
}

/// As Ghostty, Contour and xterm.js do it: insert mode makes room for the first character only.
#[test]
fn a_cluster_that_grows_in_insert_mode_overwrites_and_is_replayed_so() {
    let whole = fed(
        Size::new(4, 10),
        "abcd\x1b[2G\x1b[4h\x1b[?2027h🇩🇪".as_bytes(),
    );
    // U+0001 tells that mode 2027 put the cluster together.
    let row = ("main 0".into(), "a🇩🇪\u{1}cd".into());
    assert!(whole.snapshot().entries.contains(&row));
    for cluster in ["🇩🇪", "❤\u{fe0f}", "e\u{301}", "👍🏽", "한"] {
        for before in [
            "  \x1b[Z",
            "abcdefghij\x1b[4G",
            "abcdefghij\x1b[9G",
            "abcdefghij\x1b[?69h\x1b[3;6s\x1b[1;5H",
            "日本語\x1b[G",
        ] {
            for after in ["", "x", "\x1b[2b"] {
                let script = format!("\x1b[4h\x1b[?2027h{before}{cluster}{after}");
                check_every_cut(Size::new(4, 10), script.as_bytes());
            }
        }
    }
}

#[test]
fn a_replay_has_as_many_lines_of_history_as_asked_for() {
    // Far more than one block; every seventh is wrapped, some across two blocks.
    let line = |number: usize| match number % 7 {
        0 => format!("line {number}: {}", "long ".repeat(number)),
        _ => format!("line {number}:"),
    };
    let text: String = (0..700).map(|number| line(number) + "\r\n").collect();
    let terminal = fed(Size::new(5, 20), text.as_bytes());
    let whole = terminal.replay(History::All);
    let whole = String::from_utf8(whole).expect("it is text");
    let on_screen = terminal.replay(History::None);
    let on_screen = String::from_utf8_lossy(&on_screen).matches("line ").count();
    let kept = terminal.history_lines() as usize;
    assert!(kept > 600 && whole.len() > 100_000);
    for lines in (0..kept).step_by(13).chain([kept - 1, kept, kept + 1]) {
        let replay = terminal.replay(History::Lines(lines as u32));
        let replay = String::from_utf8(replay).expect("it is text");
        let shown = replay.matches("line ").count();
        assert_eq!(shown - on_screen, lines.min(kept), "{lines} lines");
        assert!(whole.ends_with(&replay[replay.find("line ").expect("some")..]));
    }
}

#[test]
fn endless_strings_end_and_cost_nothing() {
    for introducer in [&b"\x1b]0;"[..], b"\x1bP", b"\x1b_", b"\x1b^", b"\x1bX"] {
        let mut terminal = fed(Size::new(5, 20), introducer);
        let megabyte = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            terminal.feed(&megabyte);
        }
        assert!(terminal.replay(History::None).len() < 70_000);
        let used = introducer[1] != b'^' && introducer[1] != b'X';
        assert!(!used || terminal.scrolled_lines() == 0, "it shows as text");
        terminal.feed(b"\x1b\\\r\x1b[2Jheard");
        let shown = terminal.snapshot();
        assert!(shown.entries.iter().any(|(_, row)| row.contains("heard")));
    }
}

#[test]
fn an_accidental_string_is_left_soon() {
    let mut terminal = fed(Size::new(5, 20), b"\x1b^C");
    for line in 0..1000 {
        terminal.feed(format!("line {line}\r\n").as_bytes());
    }
    assert!(
        terminal
            .snapshot()
            .entries
            .iter()
            .any(|(_, row)| row == "line 999")
    );
}

#[test]
fn combining_characters_without_end_stay_in_one_cell() {
    let mut terminal = fed(Size::new(5, 20), b"e");
    terminal.feed("\u{301}".repeat(1_000_000).as_bytes());
    assert!(terminal.replay(History::All).len() < 1_000);
}

#[test]
fn a_million_styles_and_links_are_bounded() {
    let mut terminal = fed(Size::new(5, 20), b"");
    for number in 0..1_000_000_u32 {
        let [_, red, green, blue] = number.to_be_bytes();
        terminal.feed(format!("\x1b[38;2;{red};{green};{blue}mx").as_bytes());
    }
    for number in 0..200_000_u32 {
        terminal.feed(format!("\x1b]8;;http://{number}\x07x").as_bytes());
    }
    assert!(terminal.history_bytes() < 10 << 20);
    let second = fed(Size::new(5, 20), &terminal.replay(History::None));
    let main = |terminal: &Terminal| {
        let mut entries = terminal.snapshot().entries;
        entries.retain(|(name, _)| name.starts_with("main 1"));
        entries
    };
    assert_eq!(main(&terminal), main(&second));
}

#[test]
fn hostile_numbers_are_cut() {
    let mut terminal = fed(
        Size::new(5, 20),
        b"x\x1b[65535b\x1b[65535S\x1b[65535L\x1b[65535@\x1b[65535I",
    );
    terminal.resize(Size::new(65_535, 65_535));
    assert_eq!(terminal.size(), Size::new(Size::MAX, Size::MAX));
    for _ in 0..10_000 {
        terminal.feed(b"\x1b[>1u\x1b[22t");
    }
    assert!(terminal.replay(History::None).len() < 200_000);
}

/// As xterm.js does it where there is a history; blank rows below are neither filled nor used.
#[test]
fn the_last_row_stays_where_it_was_when_lines_are_wrapped_anew() {
    let mut terminal = fed(
        Size::new(5, 10),
        b"1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n\x1b[3;1Htwelve chars\x1b[J",
    );
    let rows = |terminal: &Terminal| {
        let mut entries = terminal.snapshot().entries;
        entries.retain(|(name, _)| name.starts_with("main ") && name != "main state");
        let rows = entries.into_iter().map(|(_, row)| row);
        rows.collect::<Vec<_>>()
    };
    assert_eq!(
        rows(&terminal),
        ["3", "4", "twelve cha", "{continues}rs", ""]
    );
    terminal.resize(Size::new(5, 20));
    assert_eq!(rows(&terminal), ["2", "3", "4", "twelve chars", ""]);
    terminal.resize(Size::new(5, 6));
    assert_eq!(
        rows(&terminal),
        ["3", "4", "twelve", "{continues} chars", ""]
    );
}

#[test]
fn queries_know_their_place_and_their_answer() {
    let mut terminal = fed(Size::new(5, 20), b"ab\x1b[6n\x1b[");
    terminal.feed(b"cd\x1b]11;?\x1b\\\x1bP+q544e\x1b\\");
    let queries = terminal.take_queries();
    let answers: Vec<_> = queries
        .iter()
        .map(|query| query.answer.escape_ascii().to_string())
        .collect();
    assert_eq!(
        answers,
        [
            "\\x1b[1;3R",
            "\\x1b[?62;1;6;22c",
            "\\x1b]11;rgb:0000/0000/0000\\x1b\\\\",
            "\\x1bP1+r544e=787465726D2D323536636F6C6F72\\x1b\\\\",
        ]
    );
    let ranges: Vec<_> = queries.into_iter().map(|query| query.range).collect();
    assert_eq!(ranges, [2..6, 6..9, 10..18, 18..28]);
}

#[test]
fn history_is_bounded_in_lines_exactly() {
    let limits = Limits {
        history_lines: 100,
        history_bytes: 1 << 20,
    };
    let mut terminal = Terminal::new(Size::new(5, 20), limits);
    for line in 0..10_000 {
        terminal.feed(format!("line {line}\r\n").as_bytes());
    }
    assert_eq!(terminal.history_lines(), 100);
    let replay = terminal.replay(History::Lines(2));
    let mut second = Terminal::new(Size::new(5, 20), limits);
    second.feed(&replay);
    assert_eq!(second.history_lines(), 2);
}

#[test]
fn a_share_of_a_budget_bounds_the_history_until_it_is_lifted() {
    const SHARE: usize = 100 << 10;
    let limits = Limits {
        history_lines: 100_000,
        history_bytes: 1 << 20,
    };
    // Nothing that can be packed.
    let text = |line: u64| -> String {
        let mut random = line;
        let letters = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005);
            random = random.wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + (random >> 58) as u8)
        });
        letters.take(49).collect()
    };
    let print = |terminal: &mut Terminal, lines: std::ops::Range<u64>| {
        for line in lines {
            terminal.feed(format!("{}\r\n", text(line)).as_bytes());
        }
    };
    let mut terminal = Terminal::new(Size::new(5, 80), limits);
    print(&mut terminal, 0..10_000);
    let full = terminal.history_bytes();
    assert!(terminal.set_history_share(SHARE));
    assert!(terminal.history_bytes() <= SHARE && terminal.history_bytes() > SHARE / 2);
    // What is left are the last lines, and the newest ones take the place of the oldest.
    let lines = terminal.history_lines();
    let replay = String::from_utf8(terminal.replay(History::All)).unwrap();
    let first = 10_000 - 4 - lines;
    assert!(replay.contains(&text(first)), "{first}");
    assert!(!replay.contains(&text(first - 1)));
    print(&mut terminal, 10_000..20_000);
    assert!(terminal.history_bytes() <= SHARE && terminal.history_bytes() > SHARE / 2);
    assert!(!terminal.set_history_share(usize::MAX));
    print(&mut terminal, 20_000..30_000);
    assert!(terminal.history_bytes() >= full);
    // Nothing is left but the newest block.
    assert!(terminal.set_history_share(0));
    assert!(terminal.history_bytes() < 40 << 10);
    assert!(terminal.history_lines() > 0);
}

#[test]
fn a_history_that_can_be_packed_into_its_share_loses_no_lines_to_that() {
    let limits = Limits {
        history_lines: 100_000,
        history_bytes: 1 << 20,
    };
    let mut terminal = Terminal::new(Size::new(5, 80), limits);
    for line in 0..10_000 {
        terminal.feed(format!("line {line:>44}\r\n").as_bytes());
    }
    let (whole, plain) = (terminal.replay(History::All), terminal.history_bytes());
    assert!(!terminal.set_history_share(plain / 2));
    assert!(terminal.history_bytes() <= plain / 2);
    // No more than there is need for: that takes time.
    assert!(terminal.can_pack());
    assert!(terminal.replay(History::All) == whole);
    while terminal.can_pack() {
        terminal.pack();
    }
    assert!(terminal.history_bytes() < plain / 4 + (32 << 10));
    assert!(terminal.replay(History::All) == whole);
    // Its own limit is one of lines as they were printed.
    for line in 10_000..40_000 {
        terminal.feed(format!("line {line:>44}\r\n").as_bytes());
        terminal.pack();
    }
    let replay = terminal.replay(History::All);
    assert!(
        (1 << 19..1 << 20).contains(&replay.len()),
        "{}",
        replay.len()
    );
}

#[test]
fn lines_of_several_rows_give_their_memory_back() {
    let limits = Limits {
        history_lines: 100,
        history_bytes: 1 << 20,
    };
    let mut terminal = Terminal::new(Size::new(5, 20), limits);
    for line in 0..50_000 {
        terminal.feed(format!("{line:<29}.\r\n").as_bytes());
        // A hundred lines of 31 bytes, in blocks of 32 KiB that are dropped whole; most blocks end
        // in the middle of a line.
        assert!(terminal.history_bytes() < 3 * (32 << 10));
    }
    assert_eq!(terminal.history_lines(), 100);
    let replay = terminal.replay(History::All);
    let replay = String::from_utf8_lossy(&replay);
    // Four rows of the screen: the last two lines.
    let first = 50_000 - 100 - 2;
    assert!(!replay.contains(&format!("{:<29}", first - 1)));
    for line in first..50_000 {
        assert!(replay.contains(&format!("{line}  ")), "{line}");
    }
}

#[test]
fn lines_in_several_blocks_give_their_memory_back() {
    let limits = Limits {
        history_lines: 3,
        history_bytes: 64 << 20,
    };
    let mut terminal = Terminal::new(Size::new(5, 20), limits);
    for line in 0..40 {
        terminal.feed(format!("{line}{}\r\n", "x".repeat(200_000)).as_bytes());
        // What is left of the one before the third last is in one block.
        assert!(terminal.history_bytes() < 3 * 200_000 + (33 << 10));
    }
    assert_eq!(terminal.history_lines(), 3);
    assert!(terminal.history_bytes() > 3 * 199_000);
}

#[test]
fn a_wide_character_that_finds_no_room_in_a_row_continues_it_wherever_its_text_ends() {
    let texts = ["\t漢", "a\t漢", "12345678漢", "12345678\x1b[46m\x1b[K漢"];
    let cases = ["", "\x1b[45m", "\x1b[46m \x1b[m"].map(|pen| texts.map(|text| (pen, text)));
    for (pen, text) in cases.into_iter().flatten() {
        for end in ["", "\r\n", "\r\n\r\n"] {
            let size = Size::new(1, 9);
            let mut terminal = Terminal::new(size, Limits::default());
            terminal.feed(format!("{pen}\r\n{text}{end}").as_bytes());
            let mut second = Terminal::new(size, Limits::default());
            second.feed(&terminal.replay(History::All));
            let difference = second.snapshot().difference(&terminal.snapshot());
            assert_eq!(difference, None, "{pen:?} {text:?} {end:?}");
        }
    }
}
