//! Channels that other plugins ask for, until the program accepts or denies them.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bpmux::{DuplexKeys, Piece};

use super::reader::ReaderId;
use super::writer::{Opening, WriterId};
use super::{CANCEL_CREDIT, ChannelConfig, Session, leave_waker};
use crate::error::BusError;
use crate::name::Plugin;

/// The longest opening payload of an offer, in bytes.
const OPENING_LEN_MAX: u64 = 1 + wire::ENTRY_BYTES_MAX as u64;

/// A channel that another plugin asks for.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) writer: WriterId,
    pub(crate) reader: ReaderId,
    pub(crate) peer: Plugin,
}

/// Offers that the program has not seen yet.
#[derive(Debug, Default)]
pub(super) struct Offers {
    queue: VecDeque<Offer>,
    wakers: Vec<Waker>,
}

impl Offers {
    pub(super) fn wake_all(&mut self, wakes: &mut Vec<Waker>) {
        wakes.append(&mut self.wakers);
    }
}

impl Session {
    pub(super) fn handle_offer(&mut self, keys: DuplexKeys) {
        if self.offers.queue.len() >= self.config.backlog_max {
            self.drop_dead_offers();
        }
        if self.offers.queue.len() >= self.config.backlog_max {
            self.link.end(keys.writer, &[]);
            self.link.end(keys.reader, &[]);
            return;
        }
        let reader = self.insert_reader(keys.reader);
        let writer = self.insert_writer(keys.writer);
        self.writers[writer.index()].opening = Some(Opening { reader, bytes: Vec::new() });
    }

    /// A piece of the opening payload of an offer.
    pub(super) fn handle_opening_piece(&mut self, writer: WriterId, piece: Piece, bytes: &[u8]) {
        let Some(opening) = &mut self.writers[writer.index()].opening else { return };
        if piece.total > OPENING_LEN_MAX {
            return self.drop_opening(writer);
        }
        opening.bytes.extend_from_slice(bytes);
        if !piece.last {
            return;
        }
        let reader = opening.reader;
        let peer = opening.bytes.strip_prefix(&[wire::Connect::CODE]).and_then(Plugin::parse);
        match peer {
            Some(peer) => {
                self.writers[writer.index()].opening = None;
                self.offers.queue.push_back(Offer { writer, reader, peer });
                self.offers.wake_all(&mut self.wakes);
            }
            None => self.drop_opening(writer),
        }
    }

    /// An offer that never becomes one: it is incomplete, or of a kind that we do not know.
    pub(super) fn drop_opening(&mut self, writer: WriterId) {
        if let Some(opening) = self.writers[writer.index()].opening.take() {
            self.release_writer(writer);
            self.release_reader(opening.reader);
        }
    }

    fn is_alive(&self, offer: &Offer) -> bool {
        !self.writers[offer.writer.index()].half.is_over() && !self.readers[offer.reader.index()].half.is_over()
    }

    /// Forgets offers that were taken back.
    fn drop_dead_offers(&mut self) {
        let (alive, dead) = std::mem::take(&mut self.offers.queue).into_iter().partition(|offer| self.is_alive(offer));
        self.offers.queue = alive;
        dead.iter().for_each(|offer| self.deny(offer));
    }

    // For the program.

    /// The next offer that was not taken back.
    pub(crate) fn poll_offer(&mut self, cx: &Context<'_>) -> Poll<Result<Offer, BusError>> {
        self.check_gone()?;
        while let Some(offer) = self.offers.queue.pop_front() {
            if self.is_alive(&offer) {
                return Poll::Ready(Ok(offer));
            }
            self.deny(&offer);
        }
        leave_waker(&mut self.offers.wakers, cx.waker());
        Poll::Pending
    }

    /// Accepts: an empty message says so.
    pub(crate) fn accept(&mut self, offer: &Offer, channels: ChannelConfig) {
        self.set_channel(offer.reader, channels);
        let half = &self.writers[offer.writer.index()].half;
        if !half.is_over() && self.gone.is_none() {
            self.link.grant(half.key, CANCEL_CREDIT);
            self.link.put_part(half.key, 0, 0, &mut self.out);
            let output_end = self.output_end();
            self.writers[offer.writer.index()].half.output_end = output_end;
        }
    }

    /// Denies: both halves are ended.
    pub(crate) fn deny(&mut self, offer: &Offer) {
        self.release_writer(offer.writer);
        self.release_reader(offer.reader);
    }
}
