//! Clients that were attached: up to which generation, and how each one's last connection ended.

use std::collections::VecDeque;
use std::time::Instant;

use psess_protocol::identity::{ClientId, Generation};
use psess_protocol::message::{Ending, EndingManner};
use psess_protocol::offset::Offset;

use super::attachment::Attachment;

/// So many are remembered; the one that attached longest ago is forgotten first.
const MOST: usize = 64;

/// Clients that are or were attached.
#[derive(Debug, Default)]
pub(super) struct PastClients(VecDeque<PastClient>);

#[derive(Debug)]
struct PastClient {
    client: ClientId,
    generation: Generation,
    ended: Option<Ended>,
    /// Where the log begins that it goes on from, if it comes back after its link was lost.
    awaited_from: Option<Offset>,
}

/// How a connection ended, and when.
#[derive(Clone, Copy, Debug)]
struct Ended {
    manner: EndingManner,
    at: Instant,
    received: Instant,
    sent: Instant,
}

impl PastClients {
    /// The generation that a client attached with last.
    pub(super) fn generation(&self, client: ClientId) -> Option<Generation> {
        self.find(client).map(|past| past.generation)
    }

    /// A client attaches.
    pub(super) fn handle_attached(&mut self, client: ClientId, generation: Generation) {
        let place = self.0.iter().position(|past| past.client == client);
        let before = place.and_then(|place| self.0.remove(place));
        self.0.push_back(PastClient {
            client,
            generation,
            ended: before.and_then(|past| past.ended),
            awaited_from: None,
        });
        if self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// A client's connection ended.
    pub(super) fn handle_ended(
        &mut self,
        now: Instant,
        attachment: &Attachment,
        manner: EndingManner,
    ) {
        let is_it = |past: &&mut PastClient| past.client == attachment.client;
        if let Some(past) = self.0.iter_mut().find(is_it) {
            past.awaited_from = attachment.arrived();
            past.ended = Some(Ended {
                manner,
                at: now,
                received: attachment.heartbeat.last_received(),
                sent: attachment.heartbeat.last_sent(),
            });
        }
    }

    /// Where clients that may come back would go on.
    pub(super) fn awaited_from(&self) -> impl Iterator<Item = Offset> {
        self.0.iter().filter_map(|past| past.awaited_from)
    }

    /// How the client's last connection that ended did so.
    pub(super) fn ending(&self, now: Instant, client: ClientId) -> Option<Ending> {
        let ended = self.find(client)?.ended?;
        let ago_ms = |at: Instant| {
            let ago = now.saturating_duration_since(at).as_millis();
            u64::try_from(ago).unwrap_or(u64::MAX)
        };
        Some(Ending {
            manner: ended.manner,
            ended_ago_ms: ago_ms(ended.at),
            received_ago_ms: ago_ms(ended.received),
            sent_ago_ms: ago_ms(ended.sent),
        })
    }

    fn find(&self, client: ClientId) -> Option<&PastClient> {
        self.0.iter().find(|past| past.client == client)
    }
}
