//! Tab stops.

/// A flag for each column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tabs(Vec<bool>);

impl Tabs {
    /// Stops at every eighth column.
    pub(super) fn new(columns: u16) -> Self {
        Self((0..columns).map(|column| column % 8 == 0).collect())
    }

    pub(super) fn set(&mut self, column: u16, on: bool) {
        self.0[usize::from(column)] = on;
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(false);
    }

    /// The next stop right of `column`.
    pub(super) fn next(&self, column: u16) -> Option<u16> {
        let start = usize::from(column) + 1;
        let found = self.0.get(start..)?.iter().position(|&on| on)?;
        Some((start + found) as u16)
    }

    /// The next stop left of `column`.
    pub(super) fn previous(&self, column: u16) -> Option<u16> {
        let found = self.0[..usize::from(column)].iter().rposition(|&on| on)?;
        Some(found as u16)
    }

    /// New columns get the usual stops.
    pub(super) fn set_columns(&mut self, columns: u16) {
        let old = self.0.len();
        self.0.resize(usize::from(columns), false);
        for column in old..self.0.len() {
            self.0[column] = column % 8 == 0;
        }
    }

    /// The stops, 0-based.
    pub(super) fn stops(&self) -> impl Iterator<Item = u16> + '_ {
        let stops = self.0.iter().enumerate().filter(|(_, on)| **on);
        stops.map(|(column, _)| column as u16)
    }
}
