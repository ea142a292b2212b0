//! The line that tells the user how the link is: its words, and how it is put on the screen.
//!
//! What it covers is drawn again from the client's model of the screen, so that it vanishes
//! without a trace.

use std::fmt::Write as _;
use std::time::Duration;

use psess_protocol::link::{Banner, Stats, Trying};
use psess_protocol::terminal::{clipped, columns_of};

use crate::paragraph;

/// The banner's text, in lines of fewer than `columns`. `leave_key` is how the user names the
/// detach key: `Ctrl-\`. Where not all fits, the last of what there is to say is left out, but for
/// ssh's words: they get lines of their own, where the user must do something about them, and else
/// one.
#[must_use]
pub fn text(banner: &Banner, leave_key: &str, columns: u16) -> String {
    let no_contact = format!("no contact for {}", span(banner.silence));
    let leave = format!("{leave_key} to leave");
    let full = banner.is_full.then(|| {
        let kept = size(banner.waiting_bytes);
        format!("{kept} typed, more is lost for want of room")
    });
    let waiting = (banner.waiting_bytes > 0 && !banner.is_full)
        .then(|| format!("{} typed", bytes(banner.waiting_bytes)));
    let trying = match &banner.trying {
        Trying::Asking | Trying::Stopped(_) | Trying::Waiting => None,
        Trying::Dialling(attempt) => Some(format!("redialling ({attempt})")),
        Trying::Pausing(_, wait) => {
            let wait = span(*wait + Duration::from_millis(999));
            Some(format!("redial in {wait}"))
        }
    };
    let parts = match &banner.trying {
        Trying::Asking => {
            let waiting = bytes(banner.waiting_bytes);
            let asked = format!("connected · deliver the {waiting} typed meanwhile? y/n");
            vec![Some(asked), Some(leave)]
        }
        Trying::Stopped(_) => {
            let dial = "Enter dials again and lets ssh ask".to_owned();
            vec![Some(dial), full, Some(leave), waiting]
        }
        Trying::Waiting | Trying::Dialling(_) | Trying::Pausing(..) => {
            vec![Some(no_contact), full, Some(leave), waiting, trying]
        }
    };
    let mut text = String::from("psess: ");
    for (number, part) in parts.into_iter().flatten().enumerate() {
        let part = if number == 0 {
            part
        } else {
            format!(" · {part}")
        };
        if number > 0 && columns_of(&text) + columns_of(&part) >= usize::from(columns) {
            break;
        }
        text.push_str(&part);
    }
    let words = match (&banner.trying, &banner.failure) {
        (Trying::Stopped(words), _) => last_line(words).unwrap_or("the host asks for you"),
        (Trying::Waiting | Trying::Dialling(_) | Trying::Pausing(..), Some(words)) => {
            shortly(words)
        }
        (Trying::Asking, _) | (_, None) => "",
    };
    let room = usize::from(columns).saturating_sub(1);
    if words.is_empty() {
        return text;
    }
    if columns_of(&text) + columns_of(words) + 3 <= room {
        text.push_str(" · ");
        text.push_str(words);
        return text;
    }
    text.push_str("\n  ");
    match banner.trying {
        Trying::Stopped(_) => {
            paragraph::wrap(&mut text, words, 2, room);
            text.pop();
        }
        Trying::Asking | Trying::Waiting | Trying::Dialling(_) | Trying::Pausing(..) => {
            text.push_str(&paragraph::one_line(words, room.saturating_sub(1)));
        }
    }
    text
}

/// What was the matter, once all is well again: after how long, and the likeliest cause.
#[must_use]
pub fn reason(away: Duration, phrase: &str) -> String {
    format!("psess: back after {} · {phrase}", span(away))
}

/// The figures of a link that is well.
#[must_use]
pub fn stats(stats: &Stats) -> String {
    let mut text = String::from("psess: round trip ");
    // Writing to a String cannot fail.
    let _ = match stats.round_trip {
        Some(time) => write!(text, "{:.1} ms", time.as_secs_f64() * 1_000.0),
        None => write!(text, "unknown"),
    };
    let _ = match stats.heartbeat {
        Some(interval) => write!(text, " · heartbeat {}", span(interval)),
        None => write!(text, " · no heartbeat"),
    };
    let _ = write!(
        text,
        " · {} wait · {}",
        typed(stats.waiting_bytes),
        match stats.redials {
            1 => "1 redial".to_owned(),
            count => format!("{count} redials"),
        }
    );
    text
}

/// Bytes that draw `text` over row `row` (from 1) of a terminal with so many columns.
///
/// Whatever the program set is put aside first: it comes back with the model's repainting.
#[must_use]
pub fn draw(text: &str, row: u16, columns: u16) -> Vec<u8> {
    // Origin mode, insert mode and autowrap off, ASCII, then the line in reverse.
    let mut bytes = format!("\x1b[?6l\x1b[4l\x1b[?7l\x0f\x1b(B\x1b[{row};1H\x1b[0;7m").into_bytes();
    // One column stays free: some terminals wrap when the last one is written.
    let width = usize::from(columns.saturating_sub(1));
    let shown = clipped(text, width);
    let blank = width - columns_of(shown);
    bytes.extend_from_slice(shown.as_bytes());
    bytes.extend(std::iter::repeat_n(b' ', blank));
    bytes.extend_from_slice(b"\x1b[0m\x1b[K");
    bytes
}

fn last_line(words: &str) -> Option<&str> {
    words.lines().next_back()
}

/// What ssh said, without what its user knows: that ssh said it, and where it was to go.
fn shortly(words: &str) -> &str {
    let line = last_line(words).unwrap_or_default();
    let line = line.strip_prefix("ssh: ").unwrap_or(line);
    match line.strip_prefix("connect to host ") {
        Some(rest) => rest.split_once(": ").map_or(line, |(_, why)| why),
        None => line,
    }
}

fn bytes(count: usize) -> String {
    match count {
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    }
}

/// Of what is kept of typed bytes at most.
fn size(count: usize) -> String {
    match (count >> 20, count >> 10) {
        (0, 0) => bytes(count),
        (0, kibibytes) => format!("{kibibytes} KiB"),
        (mebibytes, _) => format!("{mebibytes} MiB"),
    }
}

fn typed(count: usize) -> String {
    match count {
        1 => "1 typed byte".to_owned(),
        count => format!("{count} typed bytes"),
    }
}

/// `12 s`, `3 min 5 s`, `2 h 10 min`.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(trying: Trying, waiting_bytes: usize) -> Banner {
        Banner {
            silence: Duration::from_secs(12),
            trying,
            failure: None,
            waiting_bytes,
            is_full: false,
        }
    }

    #[test]
    fn the_words_say_what_is_going_on_and_how_to_leave() {
        for (banner, words) in [
            (
                lost(Trying::Dialling(3), 14),
                "psess: no contact for 12 s · Ctrl-\\ to leave · 14 bytes typed · redialling (3)",
            ),
            (
                lost(Trying::Pausing(2, Duration::from_millis(1_200)), 0),
                "psess: no contact for 12 s · Ctrl-\\ to leave · redial in 2 s",
            ),
            (
                Banner {
                    is_full: true,
                    ..lost(Trying::Dialling(3), 1 << 20)
                },
                "psess: no contact for 12 s · 1 MiB typed, more is lost for want of room",
            ),
            (
                lost(
                    Trying::Stopped("Permission denied (publickey).".to_owned()),
                    9,
                ),
                "psess: Enter dials again and lets ssh ask · Ctrl-\\ to leave · 9 bytes typed\n  \
                 Permission denied (publickey).",
            ),
            (
                lost(
                    Trying::Stopped("Host key verification failed.".to_owned()),
                    0,
                ),
                "psess: Enter dials again and lets ssh ask · Ctrl-\\ to leave\n  \
                 Host key verification failed.",
            ),
            (
                lost(Trying::Asking, 1),
                "psess: connected · deliver the 1 byte typed meanwhile? y/n · Ctrl-\\ to leave",
            ),
        ] {
            assert_eq!(text(&banner, "Ctrl-\\", 80), words);
        }
    }

    #[test]
    fn why_dials_fail_is_said_shortly_and_takes_the_place_of_nothing() {
        let failing = |words: &str, waiting_bytes| Banner {
            failure: Some(words.to_owned()),
            ..lost(Trying::Dialling(3), waiting_bytes)
        };
        let refused = "ssh: connect to host fe80::1 port 22: Connection refused";
        let unknown = "ssh: Could not resolve hostname build.example.org: Temporary failure in \
                       name resolution";
        for (banner, columns, words) in [
            (
                failing(refused, 0),
                100,
                "psess: no contact for 12 s · Ctrl-\\ to leave · redialling (3) · Connection refused",
            ),
            (
                failing(refused, 14),
                80,
                "psess: no contact for 12 s · Ctrl-\\ to leave · 14 bytes typed · redialling (3)\n  \
                 Connection refused",
            ),
            (
                failing(unknown, 0),
                64,
                "psess: no contact for 12 s · Ctrl-\\ to leave · redialling (3)\n  \
                 Could not resolve hostname build.example.org: Temporary fail…",
            ),
            (
                Banner {
                    trying: Trying::Asking,
                    ..failing(refused, 1)
                },
                100,
                "psess: connected · deliver the 1 byte typed meanwhile? y/n · Ctrl-\\ to leave",
            ),
            (
                failing("", 0),
                80,
                "psess: no contact for 12 s · Ctrl-\\ to leave · redialling (3)",
            ),
        ] {
            let text = text(&banner, "Ctrl-\\", columns);
            assert_eq!(text, words);
            assert!(text.lines().all(|line| columns_of(line) < columns.into()));
        }
    }

    #[test]
    fn the_reason_of_a_long_cut_is_said_with_its_length() {
        let words = reason(
            Duration::from_secs(2_460),
            "probably a NAT or firewall forgot it after 10 min idle",
        );
        assert_eq!(
            words,
            "psess: back after 41 min 0 s · probably a NAT or firewall forgot it after 10 min idle"
        );
    }

    #[test]
    fn the_figures_of_a_link_are_words() {
        let figures = Stats {
            round_trip: Some(Duration::from_micros(20_250)),
            heartbeat: Some(Duration::from_secs(5)),
            silence: Duration::ZERO,
            waiting_bytes: 1,
            redials: 1,
        };
        assert_eq!(
            stats(&figures),
            "psess: round trip 20.2 ms · heartbeat 5 s · 1 typed byte wait · 1 redial"
        );
    }

    #[test]
    fn the_line_fits_the_terminal() {
        let drawn = String::from_utf8(draw("0123456789", 24, 8)).unwrap();
        assert!(drawn.contains("0123456\x1b[0m"));
    }
}
