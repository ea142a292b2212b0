//! What the numbers in cells stand for.

use std::sync::Arc;

use super::link::Link;
use super::style::Style;
use super::table::Table;

/// The styles, links and clusters that cells name by number.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) styles: Table<Style>,
    pub(super) links: Table<Link>,
    pub(super) clusters: Table<Arc<str>>,
}

impl Content {
    pub(super) fn new() -> Self {
        Self {
            styles: Table::new(Style::default()),
            links: Table::new(Link::none()),
            clusters: Table::new(" ".into()),
        }
    }
}
