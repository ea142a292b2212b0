//! A terminal's state for comparing and for looking at.

use super::legend::Piece;
use super::replay::Line;
use super::row::Row;
use super::screen::Screen;
use super::state::State;

/// Everything that a terminal remembers, by name, in a readable form. Two terminals with equal
/// snapshots treat what comes next alike. Counters (bytes fed, lines scrolled) and queries are
/// no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Names and values; rows as text with styles in braces.
    pub entries: Vec<(String, String)>,
}

impl Snapshot {
    /// All but what scrolled off.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        self.entries
            .retain(|(name, _)| !name.starts_with("history"));
        self
    }

    pub(super) fn of(state: &State, pending: &[u8]) -> Self {
        let mut entries = Vec::new();
        let mut add = |name: &str, value: String| entries.push((name.to_owned(), value));
        add("size", state.size.to_string());
        for (index, line) in history_lines(state).into_iter().enumerate() {
            add(&format!("history {index}"), line);
        }
        add_screen("main", &state.main, state, &mut add);
        add("main state", format!("{:?}", state.main_state));
        if let Some(alternate) = &state.alternate {
            add_screen("alternate", alternate, state, &mut add);
            add("alternate state", format!("{:?}", state.alternate_state));
        }
        add(
            "cursor",
            format!("{:?} shape {}", state.cursor, state.cursor_shape),
        );
        add("pen", format!("{:?} {:?}", state.pen.style, state.pen.link));
        add("charsets", format!("{:?}", state.charsets));
        add("margins", format!("{:?}", state.margins));
        add(
            "tabs",
            format!("{:?}", state.tabs.stops().collect::<Vec<_>>()),
        );
        let modes = &state.modes;
        add("modes", format!("{:?}", modes.effective()));
        add(
            "flags",
            format!(
                "origin {} autowrap {} margins {} grapheme {} reverse {} cursor {} insert {} newline {} keypad {}",
                modes.origin,
                !modes.no_autowrap,
                modes.margins,
                modes.grapheme,
                modes.reverse_wrap,
                !modes.hidden_cursor,
                modes.insert,
                modes.new_line,
                modes.keypad
            ),
        );
        add("saved modes", format!("{:?}", state.saved_modes));
        add("keys", format!("{:?}", state.key_resources));
        add("titles", format!("{:?}", state.titles));
        add("colors", format!("{:?}", state.colors.effective()));
        add("directory", format!("{:?}", state.directory));
        add("repeatable", state.repeatable.to_string());
        add("pending", pending.escape_ascii().to_string());
        Self { entries }
    }

    /// The first difference, as a sentence for people.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        for (one, two) in self.entries.iter().zip(&other.entries) {
            if one != two {
                return Some(format!("{}: {}\n  but {}: {}", one.0, one.1, two.0, two.1));
            }
        }
        (self.entries.len() != other.entries.len()).then(|| "one has more entries".to_owned())
    }
}

fn add_screen(name: &str, screen: &Screen, state: &State, add: &mut impl FnMut(&str, String)) {
    for (index, row) in screen.rows().iter().enumerate() {
        add(&format!("{name} {index}"), row_text(row, state));
    }
}

/// The cells; an erased one is `\0`, trailing ones in the default style are left out.
fn row_text(row: &Row, state: &State) -> String {
    let mut text = String::new();
    if row.continuation {
        text.push_str("{continues}");
    }
    if row.marks != 0 {
        text.push_str(&format!("{{marks {}}}", row.marks));
    }
    let cells = row.used_cells();
    let blank = super::cell::Cell::EMPTY;
    let end = cells
        .iter()
        .rposition(|cell| *cell != blank)
        .map_or(0, |at| at + 1);
    let (mut style, mut link) = (0, 0);
    for cell in &cells[..end] {
        if cell.style != style {
            style = cell.style;
            text.push_str(&format!(
                "{{{:?}}}",
                state.content.styles.get(u32::from(style))
            ));
        }
        if cell.link != link {
            link = cell.link;
            text.push_str(&format!(
                "{{{:?}}}",
                state.content.links.get(u32::from(link))
            ));
        }
        if cell.is_empty() {
            text.push('\0');
        } else if cell.is_tail() {
            text.push('\u{1}');
        } else {
            state.append_text(*cell, &mut text);
        }
    }
    text
}

/// The lines as a terminal of this width shows them: one that was written at another width, and
/// fills its last row here, has no rest to be erased in a colour.
fn history_lines(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut place = Line::default();
    let mut text_end = 0;
    let (mut style, mut link) = (super::style::Style::default(), super::link::Link::none());
    state.history.visit(usize::MAX, &mut |piece| match piece {
        Piece::Text(text) => {
            line.push_str(text);
            text_end = line.len();
            place.advance(text, state.size.columns);
        }
        Piece::Style(next) => {
            if next != style {
                style = next;
                line.push_str(&format!("{{{style:?}}}"));
            }
        }
        Piece::Link(next) => {
            if *next != link {
                link = next.clone();
                line.push_str(&format!("{{{link:?}}}"));
            }
        }
        Piece::Marks(marks) => line.push_str(&format!("{{marks {marks}}}")),
        Piece::Graphemes(on) => {
            line.push_str(if on { "{2027}" } else { "{}" });
            text_end = line.len();
            place.grapheme = on;
        }
        Piece::Fill if place.is_full(state.size.columns) => line.truncate(text_end),
        Piece::Fill => line.push_str("{fill}"),
        Piece::End => {
            lines.push(std::mem::take(&mut line));
            place = Line::default();
            text_end = 0;
            style = super::style::Style::default();
            link = super::link::Link::none();
        }
    });
    if state.history.is_open() {
        // Whether a last line is ended already matters only while something continues it.
        let open = state.main.row(0).continuation;
        lines.push(line + if open { "{open}" } else { "" });
    }
    lines
}
