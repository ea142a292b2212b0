//! The pen.

use super::link::Link;
use super::style::Style;

/// What the next character is drawn with.
#[derive(Clone, Debug)]
pub(super) struct Pen {
    pub(super) style: Style,
    pub(super) link: Link,
    /// Their numbers, once asked for.
    pub(super) style_number: Option<u16>,
    pub(super) link_number: Option<u16>,
    /// The number of the style of erased cells.
    pub(super) erased_number: Option<u16>,
}

impl Pen {
    /// The default style, no link.
    pub(super) fn new() -> Self {
        Self {
            style: Style::default(),
            link: Link::none(),
            style_number: None,
            link_number: Some(0),
            erased_number: None,
        }
    }
}

/// Styles of late and their numbers.
pub(super) type RecentStyles = [(Style, u16); RECENT_STYLES];

const RECENT_STYLES: usize = 16;
