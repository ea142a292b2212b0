//! What a session tells of itself for a list, so that a list of a thousand wakes none of them.

use psess_protocol::message::SessionSummary;
use tokio::sync::watch;

use crate::record::Record;

/// The session's end: its line, as it told it last.
#[derive(Debug)]
pub(crate) struct ToldLine(watch::Sender<SessionSummary>);

/// What changes in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changing<'a> {
    pub(crate) record: &'a Record,
    pub(crate) title: &'a str,
    pub(crate) clients: usize,
    /// When the last client was lost, in seconds since 1970.
    pub(crate) lost: Option<u64>,
    /// When output or input last came, in seconds since 1970.
    pub(crate) active: u64,
}

impl ToldLine {
    pub(crate) fn new(first: Changing<'_>) -> Self {
        Self(watch::Sender::new(first.line()))
    }

    /// What may be looked at at any time.
    pub(crate) fn subscribe(&self) -> watch::Receiver<SessionSummary> {
        self.0.subscribe()
    }

    /// Tells what changed, if anything did: called after all that may change it.
    pub(crate) fn tell(&self, now: Changing<'_>) {
        if !now.is(&self.0.borrow()) {
            self.0.send_replace(now.line());
        }
    }
}

impl Changing<'_> {
    fn is(&self, line: &SessionSummary) -> bool {
        line.active == self.active
            && line.lost == self.lost
            && line.clients as usize == self.clients
            && line.size == self.record.size
            && line.finished == self.record.outcome
            && line.name == self.record.name
            && line.title == self.title
    }

    fn line(&self) -> SessionSummary {
        SessionSummary {
            clients: u32::try_from(self.clients).unwrap_or(u32::MAX),
            lost: self.lost,
            active: self.active,
            ..self.record.summary(self.title)
        }
    }
}

#[cfg(test)]
mod tests {
    use psess_protocol::identity::SessionId;
    use psess_protocol::outcome::Outcome;
    use psess_protocol::size::Size;

    use super::*;

    fn changing(record: &Record) -> Changing<'_> {
        Changing {
            record,
            title: "",
            clients: 0,
            lost: None,
            active: 100,
        }
    }

    #[test]
    fn a_line_is_told_when_something_in_it_changed() {
        let mut record = Record {
            id: SessionId([7; 16]),
            name: "build".parse().unwrap(),
            command: "make".to_owned(),
            created: 100,
            attached: 0,
            size: Size::new(24, 80),
            pid: 1,
            outcome: None,
        };
        let told = ToldLine::new(changing(&record));
        let mut line = told.subscribe();
        let mut tells = |now: Changing<'_>| {
            told.tell(now);
            let changed = line.has_changed().unwrap();
            let is = now.line();
            assert_eq!(*line.borrow_and_update(), is);
            changed
        };
        let first = record.clone();
        let now = changing(&first);
        assert!(!tells(now));
        assert!(tells(Changing {
            title: "vim",
            ..now
        }));
        assert!(!tells(Changing {
            title: "vim",
            ..now
        }));
        assert!(tells(Changing { clients: 1, ..now }));
        assert!(tells(Changing {
            lost: Some(101),
            ..now
        }));
        assert!(tells(Changing { active: 101, ..now }));
        for change in [
            |record: &mut Record| record.name = "test".parse().unwrap(),
            |record: &mut Record| record.size = Size::new(25, 80),
            |record: &mut Record| record.outcome = Some((Outcome::Exited(0), 102)),
        ] {
            change(&mut record);
            assert!(tells(changing(&record)));
        }
    }
}
