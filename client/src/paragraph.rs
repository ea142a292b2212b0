//! Text for people: wrapped at words, to the width of their terminal.

use std::os::fd::AsFd;

use psess_protocol::terminal::{clipped, columns_of};

/// How wide text is where it does not go to a terminal, or to one that does not say.
const WIDTH: usize = 80;

/// Wider text is hard to read, however wide the terminal is.
const WIDEST: usize = 100;

/// Narrower, nothing can be laid out.
const NARROWEST: usize = 40;

/// How wide text on stdout is to be.
#[must_use]
pub fn width() -> usize {
    columns(std::io::stdout()).clamp(NARROWEST, WIDEST)
}

/// How many columns the terminal has that this goes to.
#[must_use]
pub fn columns(output: impl AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(output);
    match size.map(|size| usize::from(size.ws_col)) {
        Ok(columns) if columns > 0 => columns,
        Ok(_) | Err(_) => WIDTH,
    }
}

/// As much of `text` as a terminal of so many columns shows in one line, its last column left
/// free: a cursor that stands there has wrapped on some of them.
#[must_use]
pub fn one_line(text: &str, columns: usize) -> String {
    let room = columns.saturating_sub(1);
    if columns_of(text) <= room {
        return text.to_owned();
    }
    format!("{}…", clipped(text, room.saturating_sub(1)))
}

/// Appends `text` in lines of at most `width` columns, the first one behind what stands in the
/// last line of `out` already, the others behind `indent` blanks. A word that is longer than a
/// line, as a path may be, stays whole. Control characters are left out.
pub fn wrap(out: &mut String, text: &str, indent: usize, width: usize) {
    let start = out.rfind('\n').map_or(0, |end| end + 1);
    let mut column = out[start..].chars().count();
    let mut is_first = true;
    for word in text.split_whitespace() {
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        let length = word.chars().count();
        if !is_first && column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(&word);
        column += length;
        is_first = false;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_changes_in_place_never_fills_its_row() {
        assert_eq!(one_line("1234567", 8), "1234567");
        assert_eq!(one_line("12345678", 8), "123456…");
        assert_eq!(one_line("12345678", 0), "…");
    }

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        let mut text = String::from("cause  ");
        wrap(&mut text, "a NAT forgot\x1b[2J it", 7, 14);
        assert_eq!(text, "cause  a NAT\n       forgot[2J\n       it\n");
        text.clear();
        wrap(&mut text, "in /etc/a/very/long/path there", 2, 10);
        assert_eq!(text, "in\n  /etc/a/very/long/path\n  there\n");
    }
}
