//! Hyperlinks (OSC 8).

use std::sync::Arc;

use super::table::Value;

/// Where a piece of text leads. Cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// `id=` of the parameters, or empty: cells with the same id belong together.
    pub(super) parameters: Arc<str>,
    /// Empty: no link.
    pub(super) uri: Arc<str>,
}

impl Link {
    pub(super) fn none() -> Self {
        Self {
            parameters: "".into(),
            uri: "".into(),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\x1b]8;");
        if !self.uri.is_empty() {
            out.extend_from_slice(self.parameters.as_bytes());
        }
        out.push(b';');
        out.extend_from_slice(self.uri.as_bytes());
        out.extend_from_slice(b"\x1b\\");
    }
}

impl Value for Link {
    fn held_bytes(&self) -> usize {
        self.parameters.len() + self.uri.len()
    }
}
