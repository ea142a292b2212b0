//! What a user's terminal shows: an independent terminal model that answers queries.

use std::num::NonZeroU16;

/// Lines that the terminal keeps above its screen.
const SCROLLBACK: usize = 100_000;

/// A terminal's screen and scrollback, and the modes that a program may leave behind.
pub struct Screen {
    parser: vt100::Parser<Answers>,
}

/// What the terminal says by itself, and what the model does not keep.
#[derive(Default)]
struct Answers {
    pending: Vec<u8>,
    keyboard: Vec<u16>,
    modify_other_keys: u16,
    title: String,
    has_other_background: bool,
}

impl Screen {
    /// A blank one.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Self {
        let parser = vt100::Parser::new_with_callbacks(
            at_least_one(rows),
            at_least_one(columns),
            SCROLLBACK,
            Answers::default(),
        );
        Self { parser }
    }

    /// Takes what the program wrote, and returns what the terminal answers.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.process(bytes);
        std::mem::take(&mut self.parser.callbacks_mut().pending)
    }

    /// Changes the size, as a window's edge does.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.parser
            .set_size(at_least_one(rows), at_least_one(columns));
    }

    /// The rows on the screen, without blanks at their ends.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        let (_, columns) = self.parser.screen().size();
        let rows = self.parser.screen().rows(0, columns.get());
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// The row with that number, from 0.
    #[must_use]
    pub fn row(&self, number: usize) -> String {
        self.rows().swap_remove(number)
    }

    /// The whole screen, rows ended by newlines.
    #[must_use]
    pub fn text(&self) -> String {
        self.rows().join("\n")
    }

    /// Whether the screen shows this text in one of its rows.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        self.rows().iter().any(|row| row.contains(text))
    }

    /// Scrollback and screen: all rows that the user can see by scrolling.
    #[must_use]
    pub fn all_rows(&mut self) -> Vec<String> {
        let screen = self.parser.screen_mut();
        let height = usize::from(screen.size().0.get());
        let mut all = Vec::new();
        let mut above = screen.scrollback_len();
        loop {
            screen.set_scrollback(above);
            let columns = screen.size().1.get();
            let take = height.min(if above == 0 { height } else { above });
            let rows = screen.rows(0, columns);
            all.extend(rows.take(take).map(|row| row.trim_end().to_owned()));
            if above == 0 {
                return all;
            }
            above -= take;
        }
    }

    /// Row and column of the cursor, from 0.
    #[must_use]
    pub fn cursor(&self) -> (u16, u16) {
        self.parser.screen().cursor_position()
    }

    /// What each cell looks like, in words: its text, colours and attributes.
    #[must_use]
    pub fn picture(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let (rows, columns) = screen.size();
        let places = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |c| (row, c)));
        places
            .filter_map(|(row, column)| screen.cell(row, column).map(look))
            .collect()
    }

    /// Whether the program has switched to the alternate screen.
    #[must_use]
    pub fn alternate(&self) -> bool {
        self.parser.screen().alternate_screen()
    }

    /// The window's title as last set.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.parser.callbacks().title
    }

    /// The modes that differ from a fresh terminal's, by name. A program that ends must have
    /// put all of them back.
    #[must_use]
    pub fn modes_left(&self) -> Vec<&'static str> {
        let screen = self.parser.screen();
        let answers = self.parser.callbacks();
        [
            ("alternate screen", screen.alternate_screen()),
            ("application keypad", screen.application_keypad()),
            ("application cursor keys", screen.application_cursor()),
            ("hidden cursor", screen.hide_cursor()),
            ("bracketed paste", screen.bracketed_paste()),
            (
                "mouse",
                screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None,
            ),
            (
                "mouse encoding",
                screen.mouse_protocol_encoding() != vt100::MouseProtocolEncoding::Default,
            ),
            ("bold", screen.bold()),
            ("underline", screen.underline()),
            ("inverse", screen.inverse()),
            ("foreground", screen.fgcolor() != vt100::Color::Default),
            ("background", screen.bgcolor() != vt100::Color::Default),
            (
                "kitty keyboard",
                answers.keyboard.last().is_some_and(|&flags| flags != 0),
            ),
            ("modifyOtherKeys", answers.modify_other_keys != 0),
            ("another background", answers.has_other_background),
        ]
        .into_iter()
        .filter_map(|(name, left)| left.then_some(name))
        .collect()
    }
}

impl vt100::Callbacks for Answers {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).into_owned();
    }

    /// The background is pale yellow, as on a light terminal, until a program wants another one
    /// (xterm ctlseqs, OSC 11 and 111).
    fn unhandled_osc(&mut self, _: &mut vt100::Screen, parameters: &[&[u8]]) {
        match parameters {
            [b"11", b"?"] => {
                self.pending
                    .extend_from_slice(b"\x1b]11;rgb:ffff/ffff/dddd\x1b\\");
            }
            [b"11", _] => self.has_other_background = true,
            [b"111"] => self.has_other_background = false,
            _ => {}
        }
    }

    /// Answers what programs wait for, and keeps the keyboard's modes (xterm ctlseqs; kitty's
    /// "Comprehensive keyboard handling in terminals").
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        first: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        action: char,
    ) {
        let parameter = |n: usize| parameters.get(n).and_then(|p| p.first()).copied();
        match (first, action, parameter(0).unwrap_or(0)) {
            (None, 'c', 0) => self.pending.extend_from_slice(b"\x1b[?62;22c"),
            (Some(b'>'), 'c', 0) => self.pending.extend_from_slice(b"\x1b[>41;330;0c"),
            (None, 'n', 5) => self.pending.extend_from_slice(b"\x1b[0n"),
            (None, 'n', 6) => {
                let (row, column) = screen.cursor_position();
                let answer = format!("\x1b[{};{}R", row + 1, column + 1);
                self.pending.extend_from_slice(answer.as_bytes());
            }
            (Some(b'>'), 'u', flags) => self.keyboard.push(flags),
            (Some(b'='), 'u', flags) => {
                self.keyboard.pop();
                self.keyboard.push(flags);
            }
            (Some(b'<'), 'u', count) => {
                let left = self
                    .keyboard
                    .len()
                    .saturating_sub(usize::from(count.max(1)));
                self.keyboard.truncate(left);
            }
            (Some(b'?'), 'u', _) => {
                let flags = self.keyboard.last().copied().unwrap_or(0);
                self.pending
                    .extend_from_slice(format!("\x1b[?{flags}u").as_bytes());
            }
            (Some(b'>'), 'm', 4) => self.modify_other_keys = parameter(1).unwrap_or(0),
            _ => {}
        }
    }
}

fn look(cell: &vt100::Cell) -> String {
    let text = cell.contents();
    let is_blank = matches!(text, "" | " ");
    let text = if is_blank { " " } else { text };
    // Nobody sees the colour of a blank that has no line and is not reversed.
    let ink = if is_blank && !cell.underline() && !cell.inverse() {
        vt100::Color::Default
    } else {
        cell.fgcolor()
    };
    format!(
        "{text} {ink:?} on {:?}{}{}{}{}{}",
        cell.bgcolor(),
        if cell.bold() && !is_blank {
            " bold"
        } else {
            ""
        },
        if cell.dim() && !is_blank { " dim" } else { "" },
        if cell.italic() && !is_blank {
            " italic"
        } else {
            ""
        },
        if cell.underline() { " underlined" } else { "" },
        if cell.inverse() { " reversed" } else { "" },
    )
}

fn at_least_one(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN)
}
