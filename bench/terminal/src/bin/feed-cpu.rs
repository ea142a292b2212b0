//! Megabytes per CPU-second: figures that hold on a machine with other work to do.

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::term::{Config, Term};
use alacritty_terminal::vte::ansi::Processor;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

struct Cells;

impl Dimensions for Cells {
    fn total_lines(&self) -> usize {
        24
    }
    fn screen_lines(&self) -> usize {
        24
    }
    fn columns(&self) -> usize {
        80
    }
}

/// CPU time of this process, from /proc/self/schedstat (nanoseconds on a CPU).
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|field| field.parse().ok())
        .unwrap_or(0)
}

/// The best of several rounds.
fn rate(bytes: &[u8], mut feed: impl FnMut(&[u8])) -> u64 {
    let round = |_| {
        let start = cpu_nanoseconds();
        feed(bytes);
        bytes.len() as u64 * 1000 / (cpu_nanoseconds() - start).max(1)
    };
    (0..7).map(round).max().unwrap_or(0)
}

fn main() {
    const BYTES: usize = 8 << 20;
    println!(
        "{:8} {:>8} {:>20} {:>8}   MB per CPU-second",
        "", "psess", "alacritty_terminal", "vt100"
    );
    for (name, corpus) in [
        ("log", psess_bench_terminal::log as fn(usize) -> Vec<u8>),
        ("build", psess_bench_terminal::build),
        ("cjk", psess_bench_terminal::cjk),
        ("redraw", psess_bench_terminal::redraw),
    ] {
        let bytes = corpus(BYTES);
        let ours = rate(&bytes, |bytes| {
            let mut terminal = Terminal::new(Size::new(24, 80), Limits::default());
            bytes.chunks(65_536).for_each(|chunk| terminal.feed(chunk));
        });
        let alacritty = rate(&bytes, |bytes| {
            let mut terminal = Term::new(Config::default(), &Cells, VoidListener);
            let mut parser: Processor = Processor::new();
            bytes
                .chunks(65_536)
                .for_each(|chunk| parser.advance(&mut terminal, chunk));
        });
        let vt100 = rate(&bytes, |bytes| {
            let mut parser = vt100::Parser::new(24, 80, 10_000);
            bytes.chunks(65_536).for_each(|chunk| parser.process(chunk));
        });
        println!("{name:8} {ours:8} {alacritty:20} {vt100:8}");
    }
}
