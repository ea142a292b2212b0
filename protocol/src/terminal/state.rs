//! What a terminal remembers, and how text changes it.

use std::ops::Range;

use super::charset::Charsets;
use super::colors::Colors;
use super::content::Content;
use super::cursor::{Cursor, SavedCursor};
use super::history::History;
use super::keyboard::{KeyResources, KittyStack};
use super::margins::Margins;
use super::modes::Modes;
use super::pen::{Pen, RecentStyles};
use super::query::{QUERY_LIMIT, Query};
use super::row::Row;
use super::screen::Screen;
use super::tabs::Tabs;
use super::title::Titles;
use crate::size::Size;

/// What belongs to one of the two screens besides its cells.
#[derive(Clone, Debug, Default)]
pub(super) struct ScreenState {
    pub(super) saved: SavedCursor,
    pub(super) kitty: KittyStack,
}

/// Everything but the parser.
#[derive(Debug)]
pub(super) struct State {
    pub(super) size: Size,
    pub(super) main: Screen,
    /// There while the alternate screen shows.
    pub(super) alternate: Option<Screen>,
    pub(super) main_state: ScreenState,
    pub(super) alternate_state: ScreenState,
    pub(super) content: Content,
    pub(super) history: History,
    pub(super) cursor: Cursor,
    pub(super) pen: Pen,
    pub(super) charsets: Charsets,
    pub(super) margins: Margins,
    pub(super) tabs: Tabs,
    pub(super) modes: Modes,
    /// Modes that XTSAVE put aside.
    pub(super) saved_modes: Vec<(u16, bool)>,
    pub(super) key_resources: KeyResources,
    /// DECSCUSR: 0 is the terminal's own.
    pub(super) cursor_shape: u16,
    pub(super) titles: Titles,
    pub(super) colors: Colors,
    /// OSC 7: where the program says it is.
    pub(super) directory: Option<Box<str>>,
    /// The cell before the cursor was the last thing done: REP repeats it.
    pub(super) repeatable: bool,
    /// Where the sequence now carried out stands in the output.
    pub(super) sequence: Range<u64>,
    pub(super) queries: Vec<Query>,
    pub(super) recent_styles: RecentStyles,
    /// For putting clusters together.
    pub(super) scratch: String,
}

impl State {
    pub(super) fn new(size: Size, limits: super::Limits) -> Self {
        Self {
            size,
            main: Screen::new(size),
            alternate: None,
            main_state: ScreenState::default(),
            alternate_state: ScreenState::default(),
            content: Content::new(),
            history: History::new(limits),
            cursor: Cursor::default(),
            pen: Pen::new(),
            charsets: Charsets::default(),
            margins: Margins::full(size),
            tabs: Tabs::new(size.columns),
            modes: Modes::default(),
            saved_modes: Vec::new(),
            key_resources: KeyResources::default(),
            cursor_shape: 0,
            titles: Titles::default(),
            colors: Colors::default(),
            directory: None,
            repeatable: false,
            sequence: 0..0,
            queries: Vec::new(),
            recent_styles: RecentStyles::default(),
            scratch: String::new(),
        }
    }

    pub(super) fn screen(&self) -> &Screen {
        self.alternate.as_ref().unwrap_or(&self.main)
    }

    #[inline(always)]
    pub(super) fn screen_mut(&mut self) -> &mut Screen {
        self.alternate.as_mut().unwrap_or(&mut self.main)
    }

    pub(super) fn screen_state(&mut self) -> &mut ScreenState {
        if self.alternate.is_some() {
            &mut self.alternate_state
        } else {
            &mut self.main_state
        }
    }

    #[inline(always)]
    pub(super) fn current_row(&mut self) -> &mut Row {
        let row = self.cursor.row;
        self.screen_mut().row_mut(row)
    }

    /// The end of the columns that text at the cursor fills before it wraps.
    #[inline(always)]
    pub(super) fn right_limit(&self) -> u16 {
        if self.cursor.column < self.margins.right {
            self.margins.right
        } else {
            self.size.columns
        }
    }

    pub(super) fn answer(&mut self, answer: impl Into<Vec<u8>>) {
        if self.queries.len() < QUERY_LIMIT {
            let range = self.sequence.clone();
            self.queries.push(Query {
                range,
                answer: answer.into(),
            });
        }
    }
}
