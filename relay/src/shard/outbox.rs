//! The outbox of a connection, double-buffered: one batch that flies and one that fills meanwhile, and whose payload they
//! carry.

use bus::address::LegAddr;
use engine::batch::Batch;
use limits::{READ_BYTES_MIN, STAGING_BYTES_MAX};

use super::pool::Pool;

/// Payload bytes of one leg in a batch.
type Account = (LegAddr, u64);

/// For whom payload is copied out of receive buffers, so that those who are behind do not hold what all receive into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// For nobody: there are enough buffers.
    None,
    /// For those whose sockets take their time, or may only not be full yet. Others give buffers back soon.
    Slow,
    /// For all: they may become slow at any time.
    All,
}

impl Shortage {
    /// With so many buffers left of all.
    pub(super) fn of(free: usize, all: usize) -> Self {
        if free > all / 4 {
            Self::None
        } else if free > all / 8 {
            Self::Slow
        } else {
            Self::All
        }
    }
}

/// What a batch with so much payload holds beside that, in bytes. Room that it has from its uses by others is not the
/// connection's: the pool accounts for it.
fn overhead_bytes(batch: &Batch, payload_bytes: usize) -> usize {
    batch.len().saturating_sub(payload_bytes)
}

/// What goes out of one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    filling: Option<Box<Batch>>,
    filling_accounts: Vec<Account>,
    flying_accounts: Vec<Account>,
    flying: bool,
    /// The tick in which the send under way has begun.
    took_off: u64,
    /// What the socket has taken at once since it last took its time, in bytes, and what flies.
    prompt_bytes: u64,
    flying_bytes: u64,
    /// Whether what flies, or what fills, had to wait for the socket.
    flying_waited: bool,
    filling_waited: bool,
    /// Payload in the batch that fills, and what the one that flies holds besides payload, in bytes.
    filling_payload: usize,
    flying_overhead: usize,
}

impl Outbox {
    /// Whether a send is on its way.
    pub(super) fn is_flying(&self) -> bool {
        self.flying
    }

    /// Whether nothing is on its way and nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        !self.flying && self.filling.is_none()
    }

    /// Bytes that wait for the send under way to end.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.filling.as_ref().map_or(0, |batch| batch.len())
    }

    /// Whether copies of payload take as much of the batch that fills as they may: the rest is for control.
    pub(super) fn is_crammed(&self) -> bool {
        self.filling.as_ref().is_some_and(|batch| batch.staged_bytes() >= STAGING_BYTES_MAX / 2)
    }

    /// What is on its way or waits besides payload, in bytes: heads, and who is accountable for payload.
    pub(super) fn overhead_bytes(&self) -> usize {
        let accounts = self.filling_accounts.capacity() + self.flying_accounts.capacity();
        let filling = self.filling.as_ref().map_or(0, |batch| overhead_bytes(batch, self.filling_payload));
        filling + self.flying_overhead + accounts * size_of::<Account>()
    }

    /// Whether payload is to be copied rather than to wait here in the buffer in which it came.
    pub(super) fn is_to_copy(&self, short: Shortage, tick: u64) -> bool {
        let stuck = self.flying && tick > self.took_off + 1;
        match short {
            Shortage::None => false,
            Shortage::Slow => stuck || self.prompt_bytes < READ_BYTES_MIN,
            Shortage::All => true,
        }
    }

    /// The batch to write into.
    pub(super) fn batch(&mut self, pool: &mut Pool) -> &mut Batch {
        self.filling.get_or_insert_with(|| pool.batch())
    }

    /// Notes whose payload was just written.
    pub(super) fn account(&mut self, from: LegAddr, payload_bytes: u64) {
        if payload_bytes == 0 {
            return;
        }
        self.filling_payload += payload_bytes as usize;
        match self.filling_accounts.last_mut() {
            Some((leg, bytes)) if *leg == from => *bytes += payload_bytes,
            _ => self.filling_accounts.push((from, payload_bytes)),
        }
    }

    /// The batch that has been filled, to be sent now.
    pub(super) fn take_off(&mut self, tick: u64, pool: &mut Pool) -> Option<Box<Batch>> {
        debug_assert!(!self.flying, "several sends on one stream would overtake each other");
        let batch = self.filling.take()?;
        if batch.is_empty() {
            pool.give_back_batch(batch);
            return None;
        }
        self.flying = true;
        self.flying_bytes = batch.len() as u64;
        self.flying_overhead = overhead_bytes(&batch, std::mem::take(&mut self.filling_payload));
        self.took_off = tick;
        self.flying_waited = std::mem::take(&mut self.filling_waited);
        std::mem::swap(&mut self.filling_accounts, &mut self.flying_accounts);
        Some(batch)
    }

    /// The send has ended: whether it had to wait for the socket, and whose payload has left the relay.
    pub(super) fn landed(&mut self, tick: u64) -> (bool, impl Iterator<Item = Account> + '_) {
        self.flying = false;
        self.flying_overhead = 0;
        // A socket that has room takes a send at once, and the next tick knows of it.
        let slow = tick > self.took_off + 1;
        self.prompt_bytes = if slow { 0 } else { self.prompt_bytes.saturating_add(self.flying_bytes) };
        self.filling_waited = slow && self.filling.is_some();
        (slow || self.flying_waited, self.flying_accounts.drain(..))
    }

    /// Drops what has not been sent; whose payload that was.
    pub(super) fn abandon(&mut self, pool: &mut Pool) -> Vec<Account> {
        if let Some(batch) = self.filling.take() {
            pool.give_back_batch(batch);
        }
        self.filling_accounts.drain(..).collect()
    }
}
