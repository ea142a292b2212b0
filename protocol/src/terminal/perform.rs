//! The parser library, on one page: nothing else names it.

use vte::{Params, Parser, Perform};

use super::parameters::Parameters;
use super::state::State;

/// Takes apart what the quick paths of [`super::feed`] leave: whole escape and control
/// sequences, never text and never control strings, so that its buffers stay small.
#[derive(Default)]
pub(super) struct SequenceParser(Parser<16>);

impl SequenceParser {
    /// Carries out one whole sequence.
    pub(super) fn perform(&mut self, sequence: &[u8], state: &mut State) {
        self.0.advance(state, sequence);
    }
}

impl std::fmt::Debug for SequenceParser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SequenceParser")
    }
}

impl Perform for State {
    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, last: char) {
        // More parameters than vte takes are cut; more intermediates mean nothing.
        if ignore && intermediates.len() >= 2 {
            return;
        }
        let (prefix, intermediate) = match *intermediates {
            [] => (0, 0),
            [byte @ 0x3c..=0x3f] => (byte, 0),
            [byte] => (0, byte),
            [prefix @ 0x3c..=0x3f, byte] => (prefix, byte),
            _ => return,
        };
        let mut parameters = Parameters::new();
        for group in params {
            for (index, value) in group.iter().enumerate() {
                parameters.push(*value, index > 0);
            }
        }
        self.control_sequence(prefix, intermediate, &parameters, last as u8);
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, last: u8) {
        if !ignore {
            self.escape_sequence(intermediates, last);
        }
    }
}
