//! The first page of a journal: what changes with each read, each key and each checkpoint.
//!
//! It lies in memory that a successor of the server maps again, and is therefore only ever changed
//! such that it makes sense at every moment.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use psess_descriptor::mapping::Mapping;
use psess_protocol::identity::ClientId;
use psess_protocol::offset::InputOffset;

pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"psessjnl");
pub(crate) const VERSION: u32 = 2;

/// The one before had no length of the log's ring.
pub(crate) const OLD_VERSION: u32 = 1;

/// Bytes of the header, a page.
pub(crate) const HEADER_BYTES: u64 = 4096;

/// The header as it lies in the file. All bit patterns are valid; `open` checks them.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: AtomicU64,
    pub(crate) version: AtomicU32,
    /// What the server is doing with the session, as of `journal::Handling`: one that dies
    /// meanwhile is suspected to have died of it.
    pub(crate) handling: AtomicU32,
    /// Servers that crashed while they handled it.
    pub(crate) crashes: AtomicU32,
    /// Servers in a row that died, however, before they had recovered it.
    pub(crate) failed_recoveries: AtomicU32,
    /// 0: no checkpoint yet; n: it lies in slot n − 1.
    pub(crate) active_slot: AtomicU32,
    pub(crate) slots: [Slot; 2],
    pub(crate) log_start: AtomicU64,
    pub(crate) log_end: AtomicU64,
    pub(crate) log_filled: AtomicU64,
    pub(crate) input_end: AtomicU64,
    pub(crate) append: Append,
    pub(crate) clients: [ClientSlot; CLIENT_SLOTS],
    /// Bytes of the output log's ring; 0: it is a long one.
    pub(crate) log_length: AtomicU64,
}

/// Clients whose input offset is remembered; the one longest unused goes first.
pub(crate) const CLIENT_SLOTS: usize = 64;

/// Where a checkpoint stands, and the size that the terminal had.
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) offset: AtomicU64,
    pub(crate) length: AtomicU64,
    pub(crate) rows: AtomicU32,
    pub(crate) columns: AtomicU32,
}

const _: () = assert!(size_of::<Header>() as u64 <= HEADER_BYTES);

/// The header in its mapping.
pub(crate) fn header(mapping: &Mapping) -> &Header {
    // SAFETY: every field of Header is an atomic integer, for which all bytes are valid.
    unsafe { mapping.view() }
}

/// What an append changes, written down before it is done: the client's input offset and the
/// end of the file must change together, whenever the server dies.
#[repr(C)]
pub(crate) struct Append {
    /// 1 once the fields below are whole, until they are carried out.
    valid: AtomicU32,
    slot: AtomicU32,
    entry: ClientSlot,
    end: AtomicU64,
}

impl Append {
    /// Notes that `client` typed up to `input`, and that the file of input ends at `end`.
    pub(crate) fn commit(&self, client: ClientId, input: InputOffset, end: u64, header: &Header) {
        let used = |slot: &ClientSlot| slot.used.load(Ordering::Relaxed);
        let latest = header.clients.iter().map(used).max().unwrap_or(0);
        // The client's own slot, else the one longest unused.
        let (index, _) = header
            .clients
            .iter()
            .enumerate()
            .min_by_key(|(_, slot)| (!slot.is(client), used(slot)))
            .expect("there are slots");
        self.slot.store(index as u32, Ordering::Relaxed);
        self.entry.set(client, input, latest.saturating_add(1));
        self.end.store(end, Ordering::Relaxed);
        self.valid.store(1, Ordering::SeqCst);
        self.carry_out(header);
    }

    /// Does what is written down; a second time changes nothing.
    pub(crate) fn carry_out(&self, header: &Header) {
        fence(Ordering::SeqCst);
        if self.valid.load(Ordering::SeqCst) != 1 {
            return;
        }
        let index = self.slot.load(Ordering::Relaxed) as usize;
        if let Some(slot) = header.clients.get(index) {
            slot.copy_from(&self.entry);
            header
                .input_end
                .store(self.end.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.valid.store(0, Ordering::SeqCst);
    }
}

/// How far the input of one client was taken.
#[repr(C)]
pub(crate) struct ClientSlot {
    id: [AtomicU64; 2],
    pub(crate) input: AtomicU64,
    /// Grows with each use; 0: free.
    used: AtomicU64,
}

impl ClientSlot {
    pub(crate) fn is(&self, client: ClientId) -> bool {
        let [low, high] = halves(client);
        self.used.load(Ordering::Relaxed) != 0
            && self.id[0].load(Ordering::Relaxed) == low
            && self.id[1].load(Ordering::Relaxed) == high
    }

    fn copy_from(&self, other: &Self) {
        let pairs = [
            (&self.id[0], &other.id[0]),
            (&self.id[1], &other.id[1]),
            (&self.input, &other.input),
            (&self.used, &other.used),
        ];
        for (to, from) in pairs {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn set(&self, client: ClientId, input: InputOffset, used: u64) {
        let [low, high] = halves(client);
        self.id[0].store(low, Ordering::Relaxed);
        self.id[1].store(high, Ordering::Relaxed);
        self.input.store(input.0, Ordering::Relaxed);
        self.used.store(used, Ordering::Relaxed);
    }
}

fn halves(client: ClientId) -> [u64; 2] {
    let (low, high) = client.0.split_at(8);
    [low, high].map(|half| u64::from_le_bytes(half.try_into().expect("a half has 8 bytes")))
}
