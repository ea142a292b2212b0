//! One client that is attached to a session: how far it is, and what it is sent next.

use std::time::{Duration, Instant};

use psess_protocol::capability::Capability;
use psess_protocol::codec;
use psess_protocol::frame::{self, Kind, MAX_BODY, MAX_TERMINAL_BYTES};
use psess_protocol::heartbeat::Heartbeat;
use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::message::{Attach, History, Replay, ReplayPurpose, ServerMessage};
use psess_protocol::offset::{InputOffset, Offset};
use psess_protocol::outcome::Outcome;
use psess_protocol::size::Size;
use psess_protocol::terminal::{Picture, Terminal};

use super::credit::{self, Credit};
use super::input_report::InputReport;
use super::plain_runs::PlainRuns;
use super::question::Questions;
use super::shadow::Shadow;
use crate::output_log::OutputLog;

/// A picture for another size is drawn at most so often: 60 times a second.
const FRAME_TIME: Duration = Duration::from_micros(16_667);

/// A ping is answered in this time, or the link is suspect.
const SUSPECT: Duration = Duration::from_secs(5);

/// Terminal bytes in one frame: more would make others wait for their echo.
const CHUNK: usize = 16 << 10;

/// A client attached to a session.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) client: ClientId,
    pub(crate) generation: Generation,
    pub(crate) size: Size,
    pub(crate) read_only: bool,
    pub(crate) heartbeat: Heartbeat,
    /// When its user last typed, or attached.
    pub(crate) touched: Instant,
    pub(crate) credit: Credit,
    /// Its user stopped the program: what is unsent is skipped.
    skips: bool,
    cursor: Cursor,
    /// So many lines of the session its terminal's scrollback has, where its screen is not what the
    /// log before the cursor leaves; counted as the model counts them.
    pub(crate) in_scrollback: u64,
    /// Frames that overtake terminal bytes.
    messages: Vec<u8>,
    report: InputReport,
    closing: bool,
    told_outcome: bool,
    next_draw: Option<Instant>,
    /// Plain output is written straight to its terminal.
    is_lent: bool,
    /// What its client can do, as bits of [`Capability`].
    pub(crate) capabilities: u64,
    /// What was handed out last is still being written: nothing is due before that is done.
    is_writing: bool,
}

/// Where a client is.
#[derive(Debug)]
enum Cursor {
    /// It has all output before this, and gets the log from here on.
    Log(Offset),
    /// It is being sent a replay.
    Replay {
        bytes: Vec<u8>,
        sent: usize,
        then: Then,
    },
    /// Its terminal has another size: it is shown a picture.
    View(Picture),
}

/// Whether output passes the client by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direct {
    /// No: it is sent.
    No,
    /// When the client has written what is under way, or more came.
    Later,
    /// Yes: so many bytes from there on.
    Now(Offset, usize),
}

/// What follows a replay.
#[derive(Debug)]
enum Then {
    Log(Offset),
    View(Picture),
}

impl Attachment {
    pub(crate) fn new(now: Instant, attach: &Attach) -> Self {
        // Only a client of this machine asks for none in this way.
        let bounds = match attach.heartbeat_ms {
            0 => credit::NEAR,
            _ => credit::FAR,
        };
        Self {
            client: attach.client,
            generation: attach.generation,
            size: attach.size.clamped(),
            read_only: attach.read_only,
            heartbeat: Heartbeat::of_server(now, attach.heartbeat_ms),
            touched: now,
            credit: Credit::new(bounds),
            skips: false,
            cursor: Cursor::View(Picture::default()),
            in_scrollback: 0,
            messages: Vec::new(),
            report: InputReport::default(),
            closing: false,
            told_outcome: false,
            next_draw: None,
            is_lent: false,
            capabilities: 0,
            is_writing: false,
        }
    }

    /// Whether its client says that it can do this.
    pub(crate) fn can(&self, capability: Capability) -> bool {
        self.capabilities & capability.bit() != 0
    }

    /// Its terminal has another size, for which that may have taken rows back from its scrollback.
    /// Those of a picture are lines of their own, which never wrap.
    pub(crate) fn handle_resize(&mut self, size: Size) {
        let rows = match self.is_view() {
            true => size.rows.saturating_sub(self.size.rows),
            false => self.size.rows_taken_back(size),
        };
        self.in_scrollback = self.in_scrollback.saturating_sub(rows.into());
        self.size = size;
    }

    /// Its terminal is lent to us, or that has an end.
    pub(crate) fn set_lent(&mut self, is_lent: bool) {
        self.is_lent = is_lent;
    }

    /// Whether output is to be written straight to its terminal: where the client has written all
    /// that it was sent, and what follows is plain.
    pub(crate) fn direct(&self, log: &OutputLog, shadow: &Shadow) -> Direct {
        let position = match self.cursor {
            Cursor::Log(position) => position,
            Cursor::Replay { .. } | Cursor::View(_) => return Direct::No,
        };
        let waits = log.start() <= position && position < log.end();
        if !self.is_lent || !waits || self.closing {
            return Direct::No;
        }
        match shadow.plain_run(position, log) {
            None => Direct::No,
            Some(run) if position >= run.end => Direct::Later,
            Some(run) if self.credit.is_all_written() => {
                Direct::Now(position, run.end.bytes_since(position) as usize)
            }
            Some(run) if PlainRuns::is_long(&run) => Direct::Later,
            Some(_) => Direct::No,
        }
    }

    /// So many bytes were written straight to its terminal.
    pub(crate) fn handle_direct(&mut self, bytes: usize) {
        if let Cursor::Log(position) = &mut self.cursor {
            *position = position.advanced_by(bytes);
        }
    }

    /// Goes on from a position in the log.
    pub(crate) fn follow(&mut self, position: Offset) {
        self.cursor = Cursor::Log(position);
    }

    /// Sends a replay of what the terminal shows now, and goes on from the log's end.
    pub(crate) fn send_replay(
        &mut self,
        terminal: &Terminal,
        log: &OutputLog,
        history: History,
        purpose: ReplayPurpose,
    ) {
        let mut position = log.end();
        let mut bytes = terminal.replay(history);
        // As in `without_begun`.
        if self.is_lent && bytes.last() == Some(&0x1b) && log.start() < position {
            bytes.pop();
            position = Offset(position.0 - 1);
        }
        self.announce(&bytes, Some(position), purpose);
        self.cursor = Cursor::Replay {
            bytes,
            sent: 0,
            then: Then::Log(position),
        };
    }

    /// Sends a picture of what the terminal shows, for this client's own size.
    pub(crate) fn send_view(&mut self, terminal: &Terminal, purpose: ReplayPurpose) {
        let mut picture = Picture::default();
        let bytes = terminal.draw(self.size, &mut picture);
        self.announce(&bytes, None, purpose);
        self.cursor = Cursor::Replay {
            bytes,
            sent: 0,
            then: Then::View(picture),
        };
    }

    /// Where its copy of the log ends, when it follows the log.
    pub(crate) fn position(&self) -> Option<Offset> {
        match &self.cursor {
            Cursor::Log(position) => Some(*position),
            Cursor::Replay {
                then: Then::Log(position),
                ..
            } => Some(*position),
            Cursor::Replay {
                then: Then::View(_),
                ..
            }
            | Cursor::View(_) => None,
        }
    }

    /// Where in the log it is, unless its screen is, or is about to be, another than the log leaves.
    pub(crate) fn in_log(&self) -> Option<Offset> {
        match &self.cursor {
            Cursor::Replay { bytes, sent, .. } if *sent < bytes.len() => None,
            Cursor::Log(_) | Cursor::Replay { .. } | Cursor::View(_) => self.position(),
        }
    }

    /// Up to where its terminal certainly got the log, when it follows that: what was sent last may
    /// still be here when this server, or its link, dies.
    pub(crate) fn arrived(&self) -> Option<Offset> {
        let Offset(sent) = self.position()?;
        Some(Offset(sent.saturating_sub(credit::MAX_WINDOW)))
    }

    /// What is unsent is to be skipped, if it is much, once the program has got its key.
    pub(crate) fn skip(&mut self) {
        self.skips = true;
    }

    /// Whether what is unsent is to be skipped.
    pub(crate) fn skips(&self) -> bool {
        self.skips
    }

    /// It was, if it was much.
    pub(crate) fn forget_skip(&mut self) {
        self.skips = false;
    }

    /// Whether a ping has gone unanswered for so long that its terminal may be out of reach.
    pub(crate) fn is_suspect(&self, now: Instant) -> bool {
        let asked = self.heartbeat.unanswered_since();
        asked.is_some_and(|asked| now.saturating_duration_since(asked) > SUSPECT)
    }

    /// Whether it is shown a picture instead of the log.
    pub(crate) fn is_view(&self) -> bool {
        self.position().is_none()
    }

    /// The pty took this client's input up to an offset.
    pub(crate) fn report_input(&mut self, now: Instant, written: InputOffset) {
        self.report.handle_written(now, written);
    }

    /// When a report of input is due.
    pub(crate) fn next_report(&self) -> Option<Instant> {
        self.report.due().filter(|_| !self.is_writing)
    }

    /// Whether output waits for this client, and may be sent.
    fn has_output(&self, log: &OutputLog) -> bool {
        let waits = match &self.cursor {
            Cursor::Log(position) => *position < log.end(),
            Cursor::Replay { .. } => true,
            Cursor::View(_) => false,
        };
        waits && self.credit.available() > 0
    }

    /// Queues a message; it overtakes terminal bytes.
    pub(crate) fn send(&mut self, message: &ServerMessage) {
        let body = codec::encode(message).expect("the server's messages to a link are small");
        frame::encode(Kind::Message, &[&body], &mut self.messages);
    }

    /// Whether messages wait to be sent.
    pub(crate) fn has_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    /// Sends this last message, then closes.
    pub(crate) fn send_last(&mut self, message: &ServerMessage) {
        if !self.closing {
            self.send(message);
            self.closing = true;
        }
    }

    /// Tells how the program ended; whether that was news. The client answers by leaving.
    pub(crate) fn tell_outcome(&mut self, outcome: Outcome) -> bool {
        let news = !std::mem::replace(&mut self.told_outcome, true);
        if news {
            self.send(&ServerMessage::Finished(outcome));
        }
        news
    }

    /// Whether it was told how the program ended.
    pub(crate) fn is_told_outcome(&self) -> bool {
        self.told_outcome
    }

    /// Whether the connection is to be closed once all is sent.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether everything there is was sent.
    pub(crate) fn is_caught_up(&self, log: &OutputLog) -> bool {
        match &self.cursor {
            Cursor::Log(position) => *position == log.end(),
            Cursor::Replay { .. } => false,
            Cursor::View(_) => self.next_draw.is_none(),
        }
    }

    /// The screen changed: a picture is to be drawn anew.
    pub(crate) fn handle_change(&mut self, now: Instant) {
        if self.is_view() && self.next_draw.is_none() {
            self.next_draw = Some(now);
        }
    }

    /// When a picture is due.
    pub(crate) fn next_draw(&self) -> Option<Instant> {
        match self.cursor {
            Cursor::View(_) if self.credit.available() > 0 && !self.is_writing => self.next_draw,
            Cursor::View(_) | Cursor::Log(_) | Cursor::Replay { .. } => None,
        }
    }

    /// Whether `poll_transmit` is going to draw a picture now.
    pub(crate) fn is_about_to_draw(&self, now: Instant) -> bool {
        let is_due = self.next_draw.is_some_and(|due| due <= now);
        is_due && matches!(self.cursor, Cursor::View(_)) && self.credit.available() > 0
    }

    /// Appends frames to `out` until that holds about `enough` bytes, or there is no more to
    /// send, or no credit. `false` when the log no longer holds what comes next.
    #[must_use]
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        log: &OutputLog,
        shadow: &Shadow,
        questions: &Questions,
        enough: usize,
        out: &mut Vec<u8>,
    ) -> bool {
        let before = out.len();
        let is_direct = self.direct(log, shadow) != Direct::No;
        let sends = self.has_output(log) && !is_direct;
        let soon = self.closing || sends || !self.messages.is_empty();
        if let Some(written) = self.report.poll(now, soon) {
            self.send(&ServerMessage::InputWritten(written));
        }
        out.append(&mut self.messages);
        while !self.closing && !is_direct && out.len() < enough {
            let room = self.credit.available().min(CHUNK);
            let (sent, next) = match &mut self.cursor {
                Cursor::Log(position) => {
                    let Some(mut bytes) = log.slice(*position, room.min(MAX_TERMINAL_BYTES)) else {
                        return false;
                    };
                    if self.is_lent {
                        bytes = without_begun(*position, bytes, log, shadow);
                    }
                    if bytes.is_empty() {
                        break;
                    }
                    encode_output(*position, bytes, questions, self.client, out);
                    *position = position.advanced_by(bytes.len());
                    (bytes.len(), None)
                }
                Cursor::Replay { bytes, sent, then } if *sent == bytes.len() => {
                    let next = match then {
                        Then::Log(position) => Cursor::Log(*position),
                        Then::View(picture) => Cursor::View(std::mem::take(picture)),
                    };
                    (0, Some(next))
                }
                Cursor::Replay { bytes, sent, .. } => {
                    if room == 0 {
                        break;
                    }
                    let part = &bytes[*sent..(*sent + room.min(MAX_BODY)).min(bytes.len())];
                    frame::encode(Kind::Replay, &[part], out);
                    *sent += part.len();
                    (part.len(), None)
                }
                Cursor::View(picture) => {
                    if room == 0 || self.next_draw.is_none_or(|due| due > now) {
                        break;
                    }
                    self.next_draw = None;
                    let bytes = shadow.terminal().draw(self.size, picture);
                    if bytes.is_empty() {
                        break;
                    }
                    let then = Then::View(std::mem::take(picture));
                    self.cursor = Cursor::Replay {
                        bytes: Vec::new(),
                        sent: 0,
                        then,
                    };
                    self.announce_update(bytes, out);
                    (0, None)
                }
            };
            self.credit.handle_sent(now, sent);
            if let Some(next) = next {
                if matches!(next, Cursor::View(_)) {
                    self.next_draw = Some(now + FRAME_TIME);
                }
                self.cursor = next;
            }
        }
        self.is_writing = out.len() > before;
        if self.is_writing {
            self.heartbeat.handle_sent(now);
        }
        true
    }

    fn announce(&mut self, bytes: &[u8], position: Option<Offset>, purpose: ReplayPurpose) {
        self.next_draw = None;
        let length = bytes.len() as u64;
        self.send(&ServerMessage::Replay(Replay {
            length,
            position,
            purpose,
        }));
    }

    /// An update is announced right here: all messages before it are in `out` already.
    fn announce_update(&mut self, update: Vec<u8>, out: &mut Vec<u8>) {
        self.announce(&update, None, ReplayPurpose::Update);
        out.append(&mut self.messages);
        if let Cursor::Replay { bytes, .. } = &mut self.cursor {
            *bytes = update;
        }
    }
}

/// `bytes` of the log at `position` without an ESC at the end, where what follows may be written
/// straight to the terminal: the client keeps that ESC back until more comes, and has not written
/// all before that.
fn without_begun<'a>(
    position: Offset,
    bytes: &'a [u8],
    log: &OutputLog,
    shadow: &Shadow,
) -> &'a [u8] {
    match bytes {
        [whole @ .., 0x1b]
            if shadow
                .plain_run(position.advanced_by(whole.len()), log)
                .is_some() =>
        {
            whole
        }
        _ => bytes,
    }
}

/// Appends output, without the queries that others answer.
fn encode_output(
    position: Offset,
    bytes: &[u8],
    questions: &Questions,
    client: ClientId,
    out: &mut Vec<u8>,
) {
    frame::encode_output(position, bytes, out);
    let sent = out.len() - bytes.len();
    questions.blank(client, position, &mut out[sent..]);
}
