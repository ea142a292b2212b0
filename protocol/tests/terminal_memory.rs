//! What a terminal model takes is bounded, whatever it is fed: measured at the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

/// The system's allocator, counting for each thread: every test is a thread of its own.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes that are allocated now, and the most since [`peak_of`] began.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(bytes: isize) {
    // A thread that ends has no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        held.set((now + bytes, peak.max(now + bytes)));
    });
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps to the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that are held while a new model is fed by `feed`, the model included.
fn peak_of(feed: impl FnOnce(&mut Terminal)) -> usize {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    let mut terminal = Terminal::new(Size::new(24, 80), Limits::default());
    feed(&mut terminal);
    let peak = HELD.with(Cell::get).1 - before;
    println!("{} KiB at most", peak >> 10);
    peak as usize
}

const MIB: usize = 1 << 20;

/// The history, which is full wherever text scrolls.
const HISTORY: usize = 8 * MIB;

/// 100 MiB of a control string, in pieces as a pty gives them.
fn endless(introducer: &[u8], end: &[u8]) -> usize {
    let piece = [b'x'; 64 << 10];
    peak_of(|terminal| {
        terminal.feed(introducer);
        for _ in 0..1600 {
            terminal.feed(&piece);
        }
        terminal.feed(end);
    })
}

/// A title or a clipboard of 100 MiB: 64 KiB of a string are kept, and a buffer that grows to
/// hold as much may be twice that, and there beside the one before it.
#[test]
fn a_string_without_end_costs_next_to_nothing() {
    for (introducer, end) in [
        (&b"\x1b]0;"[..], &b"\x07"[..]),
        (b"\x1b]52;c;", b"\x1b\\"),
        (b"\x1bP+q", b"\x1b\\"),
        (b"\x1bPq", b"\x18"),
        (b"\x1b_G", b"\x1b\\"),
    ] {
        let peak = endless(introducer, end);
        assert!(peak < MIB, "{}: {peak}", introducer.escape_ascii());
    }
}

/// One cell takes 64 bytes of them.
#[test]
fn a_million_combining_characters_cost_next_to_nothing() {
    let piece = "\u{301}".repeat(1000);
    let peak = peak_of(|terminal| {
        terminal.feed(b"e");
        for _ in 0..1000 {
            terminal.feed(piece.as_bytes());
        }
    });
    assert!(peak < MIB, "{peak}");
}

/// Whatever a program sets, saves, pushes or opens, and never takes back. `{}` is a number that
/// grows. Each has a bound of its own; together they cost little, and so does the replay that
/// recreates them, which is what a journal keeps of them.
#[test]
fn ten_thousand_nested_modes_cost_next_to_nothing() {
    let nested = [
        // DECSET, DECRST, XTSAVE, SM.
        "\x1b[?{}h",
        "\x1b[?{}l",
        "\x1b[?{}s",
        "\x1b[{}h",
        // kitty's keyboard flags; xterm's key resources.
        "\x1b[>{}u",
        "\x1b[>{};1m",
        "\x1b[>{};1f",
        // Titles: set and pushed; colours and pens pushed (XTPUSHCOLORS, XTPUSHSGR).
        "\x1b]2;title {}\x07\x1b[22;0t",
        "\x1b[#P",
        "\x1b[#{",
        // Cursors saved, on both screens.
        "\x1b7\x1b[s\x1b[?1049h\x1b7",
        // Links that are never closed, with text and without.
        "\x1b]8;id={};http://example.org/{}\x07",
        // The palette, and the terminal's own colours.
        "\x1b]4;{};rgb:12/34/56\x07",
        "\x1b]{};rgb:12/34/56\x07",
        // Charsets, margins, tab stops, prompt marks.
        "\x1b(0\x0e\x1b)A\x1b*B\x1b+0\x1bn",
        "\x1b[?69h\x1b[2;{}s\x1b[2;{}r",
        "\x1b[{}G\x1bH",
        "\x1b]133;A;aid={}\x07",
        // Questions that nobody takes.
        "\x1b[c\x1b[?{}$p\x1b]4;{};?\x07",
        // Strings and sequences begun within each other.
        "\x1bP+q\x1b]0;\x1b_G\x1b[?{}",
    ];
    let print_all = |terminal: &mut Terminal, sequences: &[&str]| {
        for number in 0..10_000 {
            for sequence in sequences {
                let sequence = sequence.replace("{}", &number.to_string());
                terminal.feed(sequence.as_bytes());
            }
        }
    };
    // Each of 10,000 links that cells had is kept until the table of them is swept.
    let link = "\x1b]8;id={};http://example.org/{}\x07x";
    let check = |what: &str, sequences: &[&str], most: usize| {
        let mut replay = 0;
        let peak = peak_of(|terminal| {
            print_all(terminal, sequences);
            replay = terminal.replay(History::None).len();
        });
        assert!(peak < most, "{what}: {peak} bytes");
        assert!(replay < MIB / 4, "{what}: a replay of {replay} bytes");
    };
    for sequence in nested {
        check(&sequence.escape_default().to_string(), &[sequence], MIB);
    }
    check("all of them", &nested, 2 * MIB);
    check("links with text", &[link], TABLE);
}

/// 65,536 numbers are given out: 4 MiB for the values and the same again for the index, each
/// while it grows beside what it was.
const TABLE: usize = 16 * MIB;

#[test]
fn a_million_clusters_are_bounded() {
    let mark = |number: u32| char::from_u32(0x300 + number % 64).expect("a combining mark");
    let peak = peak_of(|terminal| {
        for number in 0..1_000_000_u32 {
            let mut text = String::from("e");
            text.extend((0..10).map(|digit| mark(number >> (2 * digit))));
            terminal.feed(text.as_bytes());
        }
    });
    assert!(peak < HISTORY + TABLE, "{peak}");
}

#[test]
fn a_million_styles_are_bounded() {
    let peak = peak_of(|terminal| {
        for number in 0..1_000_000_u32 {
            let [_, red, green, blue] = number.to_be_bytes();
            terminal.feed(format!("\x1b[38;2;{red};{green};{blue}mx").as_bytes());
        }
    });
    assert!(peak < HISTORY + TABLE, "{peak}");
}

/// Addresses of any length.
#[test]
fn a_million_links_are_bounded() {
    for length in [10, 100, 1000, 5000] {
        let filler = "y".repeat(length);
        let peak = peak_of(|terminal| {
            for number in 0..1_000_000 / length * 10 {
                terminal.feed(format!("\x1b]8;;http://{number}/{filler}\x07x").as_bytes());
            }
        });
        assert!(peak < HISTORY + TABLE, "{length}: {peak}");
    }
}

/// Both screens of 2,000 × 2,000 cells of eight bytes, one of them twice while it is wrapped anew:
/// as lines and as rows. Rows of one column take four times as much as their cells.
#[test]
fn the_largest_size_is_bounded() {
    let screen = usize::from(Size::MAX) * usize::from(Size::MAX) * 8;
    let largest = Size {
        rows: u16::MAX,
        columns: u16::MAX,
        pixel_width: u16::MAX,
        pixel_height: u16::MAX,
    };
    let row = [b'x'; 2000];
    let peak = peak_of(|terminal| {
        for _ in 0..3 {
            terminal.resize(largest);
            for _ in 0..Size::MAX {
                terminal.feed(&row);
            }
            terminal.feed(b"\x1b[?1049h");
            terminal.resize(Size {
                columns: 1999,
                ..largest
            });
            terminal.resize(largest);
            terminal.feed(b"\x1b[?1049l");
            terminal.resize(Size::new(1, 1));
        }
    });
    assert!(peak < HISTORY + 8 * screen, "{peak} of {screen}");
}
