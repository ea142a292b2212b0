//! What attaching costs: a replay with history, its time and, printed before, its bytes; and
//! another size with much history.

use criterion::{Criterion, criterion_group, criterion_main};
use psess_protocol::message::History;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Limits, Terminal};

fn terminal(lines: u32, output: fn(usize) -> Vec<u8>) -> Terminal {
    let limits = Limits {
        history_lines: lines.max(1),
        history_bytes: 256 << 20,
    };
    let mut terminal = Terminal::new(Size::new(24, 80), limits);
    terminal.feed(&output(lines as usize * 120));
    terminal
}

fn replay(criterion: &mut Criterion) {
    for lines in [0, 10_000, 100_000] {
        for (name, output) in [
            ("log", psess_bench_terminal::log as fn(usize) -> Vec<u8>),
            ("build", psess_bench_terminal::build),
        ] {
            let terminal = terminal(lines, output);
            let kept = terminal.history_lines().max(1);
            println!(
                "{name}, {} lines: replay {} bytes, history {} bytes, {} a line",
                terminal.history_lines(),
                terminal.replay(History::All).len(),
                terminal.history_bytes(),
                terminal.history_bytes() as u64 / kept,
            );
            criterion.bench_function(&format!("replay {name} {lines}"), |bencher| {
                bencher.iter(|| terminal.replay(History::All));
            });
        }
    }
    let mut terminal = terminal(100_000, psess_bench_terminal::log);
    criterion.bench_function("resize there and back, 100000 lines", |bencher| {
        bencher.iter(|| {
            terminal.resize(Size::new(50, 132));
            terminal.resize(Size::new(24, 80));
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = replay
}
criterion_main!(benches);
