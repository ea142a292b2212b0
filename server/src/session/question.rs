//! Who answers what a program asks its terminal: exactly one.

use std::collections::VecDeque;
use std::ops::Range;

use psess_protocol::identity::ClientId;
use psess_protocol::offset::Offset;

/// Queries in the log that some clients must not see. The oldest go first when there are more.
const MAX_QUESTIONS: usize = 4096;

/// NUL: terminals ignore it (ECMA-48 8.3.88).
const NUL: u8 = 0x00;

/// CAN: ends an escape sequence that has begun (ECMA-48 8.3.6, xterm ctlseqs).
const CAN: u8 = 0x18;

/// The queries that lie in the log, and who answers each.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    questions: VecDeque<Question>,
}

#[derive(Debug)]
struct Question {
    range: Range<Offset>,
    /// The client whose terminal answers; `None`: the server has.
    answerer: Option<ClientId>,
    /// What the server answers where that client never gets to see it.
    answer: Vec<u8>,
}

impl Questions {
    pub(crate) fn push(
        &mut self,
        range: Range<Offset>,
        answerer: Option<ClientId>,
        answer: Vec<u8>,
    ) {
        if self.questions.len() == MAX_QUESTIONS {
            self.questions.pop_front();
        }
        self.questions.push_back(Question {
            range,
            answerer,
            answer,
        });
    }

    /// Takes the questions that end behind `position` from `client`, which will not be sent them:
    /// the answers that its terminal would have given, in order.
    pub(crate) fn take_back(&mut self, client: ClientId, position: Offset) -> Vec<Vec<u8>> {
        let first = self
            .questions
            .partition_point(|question| question.range.end <= position);
        let unsent = self.questions.range_mut(first..);
        unsent
            .filter(|question| question.answerer == Some(client))
            .map(|question| {
                question.answerer = None;
                std::mem::take(&mut question.answer)
            })
            .collect()
    }

    /// Forgets those that lie before the log's start.
    pub(crate) fn trim(&mut self, start: Offset) {
        while self
            .questions
            .pop_front_if(|question| question.range.end <= start)
            .is_some()
        {}
    }

    /// Makes the queries in `bytes`, which stand at `position` and are sent to `client`,
    /// harmless, but for those that its terminal is to answer. Offsets stay as they are.
    pub(crate) fn blank(&self, client: ClientId, position: Offset, bytes: &mut [u8]) {
        let end = position.advanced_by(bytes.len());
        let overlapping = self
            .questions
            .iter()
            .rev()
            .skip_while(|question| question.range.start >= end)
            .take_while(|question| question.range.end > position)
            .filter(|question| question.answerer != Some(client));
        for Question { range, .. } in overlapping {
            let from = range.start.bytes_since(position) as usize;
            let to = range.end.min(end).bytes_since(position) as usize;
            bytes[from..to].fill(NUL);
            // Its beginning was sent before anybody knew that it is a query.
            if range.start < position && range.end <= end && to > 0 {
                bytes[to - 1] = CAN;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: ClientId = ClientId([1; 16]);
    const BOB: ClientId = ClientId([2; 16]);

    fn blanked(client: ClientId, position: u64, text: &[u8]) -> Vec<u8> {
        let mut questions = Questions::default();
        questions.push(Offset(2)..Offset(5), Some(ANN), Vec::new());
        questions.push(Offset(7)..Offset(11), None, Vec::new());
        let mut bytes = text.to_vec();
        questions.blank(client, Offset(position), &mut bytes);
        bytes
    }

    #[test]
    fn only_the_answerer_sees_a_query() {
        assert_eq!(
            blanked(ANN, 0, b"ab\x1b[cde\x1b[6nfg"),
            b"ab\x1b[cde\0\0\0\0fg"
        );
        assert_eq!(
            blanked(BOB, 0, b"ab\x1b[cde\x1b[6nfg"),
            b"ab\0\0\0de\0\0\0\0fg"
        );
    }

    #[test]
    fn a_query_whose_beginning_was_sent_is_cancelled() {
        assert_eq!(blanked(BOB, 4, b"cde\x1b[6"), b"\x18de\0\0\0");
        assert_eq!(blanked(BOB, 10, b"nfg"), b"\x18fg");
        assert_eq!(blanked(BOB, 11, b"fg"), b"fg");
    }
}
