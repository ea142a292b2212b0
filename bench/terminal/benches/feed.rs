//! Bytes fed a second, beside the crates that could have served.

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::term::{Config, Term};
use alacritty_terminal::vte::ansi::Processor;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

const BYTES: usize = 4 << 20;
const CHUNK: usize = 64 << 10;

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

fn feed(criterion: &mut Criterion) {
    let corpora = [
        ("log", psess_bench_terminal::log(BYTES)),
        ("build", psess_bench_terminal::build(BYTES)),
        ("cjk", psess_bench_terminal::cjk(BYTES)),
        ("redraw", psess_bench_terminal::redraw(BYTES)),
    ];
    for (name, bytes) in &corpora {
        let mut group = criterion.benchmark_group(*name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.sample_size(10);
        group.bench_function("psess", |bencher| {
            bencher.iter(|| {
                let mut terminal = Terminal::new(Size::new(24, 80), Limits::default());
                bytes.chunks(CHUNK).for_each(|chunk| terminal.feed(chunk));
                terminal
            });
        });
        group.bench_function("alacritty_terminal", |bencher| {
            bencher.iter(|| {
                let mut terminal = Term::new(Config::default(), &Cells, VoidListener);
                let mut parser: Processor = Processor::new();
                bytes
                    .chunks(CHUNK)
                    .for_each(|chunk| parser.advance(&mut terminal, chunk));
                terminal
            });
        });
        group.bench_function("vt100", |bencher| {
            bencher.iter(|| {
                let mut parser = vt100::Parser::new(24, 80, 10_000);
                bytes.chunks(CHUNK).for_each(|chunk| parser.process(chunk));
                parser
            });
        });
        group.finish();
    }
}

criterion_group!(benches, feed);
criterion_main!(benches);
