//! Which numbers the cells name styles, links and clusters by.

use super::cell::Glyph;
use super::link::Link;
use super::pen::RecentStyles;
use super::screen::Screen;
use super::state::State;
use super::style::Style;
use super::table::Full;

impl State {
    pub(super) fn set_style(&mut self, style: Style) {
        self.pen.style = style;
        self.pen.style_number = None;
        self.pen.erased_number = None;
    }

    pub(super) fn set_link(&mut self, link: Link) {
        self.pen.link = link;
        self.pen.link_number = None;
    }

    #[inline(always)]
    pub(super) fn style_number(&mut self) -> u16 {
        match self.pen.style_number {
            Some(number) => number,
            None => {
                let number = self.number_of(self.pen.style);
                self.pen.style_number = Some(number);
                number
            }
        }
    }

    #[inline(always)]
    pub(super) fn erased_number(&mut self) -> u16 {
        match self.pen.erased_number {
            Some(number) => number,
            None => {
                let number = self.number_of(self.pen.style.erased());
                self.pen.erased_number = Some(number);
                number
            }
        }
    }

    fn number_of(&mut self, style: Style) -> u16 {
        let slot = style.slot() % self.recent_styles.len();
        let (recent, number) = self.recent_styles[slot];
        if recent == style {
            return number;
        }
        let number = match self.content.styles.intern(&style) {
            Ok(number) => number as u16,
            Err(Full::Refused) => return 0,
            Err(Full::Sweep) => {
                let mut marks = vec![false; self.content.styles.len()];
                for screen in self.screens() {
                    screen.mark(&mut marks, |cell| Some(u32::from(cell.style)));
                }
                for number in [self.pen.style_number, self.pen.erased_number]
                    .into_iter()
                    .flatten()
                {
                    marks[usize::from(number)] = true;
                }
                self.content.styles.sweep(&marks);
                self.history.forget_numbers();
                self.recent_styles = RecentStyles::default();
                self.content.styles.intern(&style).unwrap_or(0) as u16
            }
        };
        self.recent_styles[slot] = (style, number);
        number
    }

    fn screens(&self) -> impl Iterator<Item = &Screen> {
        [Some(&self.main), self.alternate.as_ref()]
            .into_iter()
            .flatten()
    }

    #[inline(always)]
    pub(super) fn link_number(&mut self) -> u16 {
        match self.pen.link_number {
            Some(number) => number,
            None => {
                let number = self.number_of_link();
                self.pen.link_number = Some(number);
                number
            }
        }
    }

    fn number_of_link(&mut self) -> u16 {
        match self.content.links.intern(&self.pen.link) {
            Ok(number) => number as u16,
            Err(Full::Refused) => 0,
            Err(Full::Sweep) => {
                let mut marks = vec![false; self.content.links.len()];
                for screen in self.screens() {
                    screen.mark(&mut marks, |cell| Some(u32::from(cell.link)));
                }
                self.content.links.sweep(&marks);
                self.history.forget_numbers();
                self.content.links.intern(&self.pen.link).unwrap_or(0) as u16
            }
        }
    }

    /// The number of a cluster; `None`: there are too many.
    pub(super) fn cluster_number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.content.clusters.find(text) {
            return Some(number);
        }
        let text = text.into();
        match self.content.clusters.intern(&text) {
            Ok(number) => Some(number),
            Err(Full::Refused) => None,
            Err(Full::Sweep) => {
                let mut marks = vec![false; self.content.clusters.len()];
                for screen in self.screens() {
                    screen.mark(&mut marks, |cell| match cell.glyph() {
                        Glyph::Cluster { index, .. } => Some(index),
                        Glyph::Empty | Glyph::Char(_) | Glyph::Tail => None,
                    });
                }
                self.content.clusters.sweep(&marks);
                self.content.clusters.intern(&text).ok()
            }
        }
    }
}
