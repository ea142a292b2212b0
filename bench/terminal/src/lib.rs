//! What the benches feed: output of the kinds that fill terminals, made without a machine's own
//! files, so that figures can be compared.

use std::fmt::Write;

/// Lines of a log: ASCII without sequences.
pub fn log(bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut line = 0_u32;
    while text.len() < bytes {
        line += 1;
        let _ = write!(
            text,
            "2024-01-01T12:{:02}:{:02}.{:03} INFO server::worker handled request {line} in {} us\r\n",
            line / 60 % 60,
            line % 60,
            line % 1000,
            line * 7919 % 100_000,
        );
    }
    text.into_bytes()
}

/// A build: an attribute or colour for each word.
pub fn build(bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut line = 0_u32;
    while text.len() < bytes {
        line += 1;
        let _ = write!(
            text,
            "\x1b[1m\x1b[92m   Compiling\x1b[0m crate-{line} v0.{}.0\r\n\x1b[1m\x1b[33mwarning\x1b[0m\x1b[1m: unused variable: `x{line}`\x1b[0m\r\n \x1b[1m\x1b[94m--> \x1b[0msrc/main.rs:{}:9\r\n",
            line % 50,
            line % 900,
        );
    }
    text.into_bytes()
}

/// Wide characters and emoji.
pub fn cjk(bytes: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut line = 0_u32;
    while text.len() < bytes {
        line += 1;
        let _ = write!(
            text,
            "{line} 端末の画面は行と列からできている。한국어 텍스트도 있다 🚀🎉 ｆｕｌｌ é e\u{301}\r\n"
        );
    }
    text.into_bytes()
}

/// A full-screen program that paints 80 × 24 anew, as htop does.
pub fn redraw(bytes: usize) -> Vec<u8> {
    let mut text = String::from("\x1b[?1049h");
    let mut frame = 0_u32;
    while text.len() < bytes {
        frame += 1;
        for row in 1..=24 {
            let _ = write!(
                text,
                "\x1b[{row};1H\x1b[32m{:5}\x1b[39m user \x1b[7m{:3}\x1b[27m \x1b[1;36m{:6}M\x1b[0m S {:4}.{} /usr/bin/program --flag={frame}\x1b[K",
                frame * row % 32_768,
                row,
                frame % 999,
                frame % 100,
                row % 10,
            );
        }
    }
    text.into_bytes()
}
