//! Opening payloads that have not come in full: until one has, it is not known what the plugin wants.

use std::collections::HashMap;

use bpmux::{HalfKey, Link, Opened, Piece};
use limits::OPENING_BYTES_MAX;

use super::super::memory::table_bytes;
use super::super::plugin::Role;

/// Something that the plugin opens, and its opening payload as far as it has come.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) opened: Opened,
    pub(crate) payload: Vec<u8>,
    /// For a duplex: empty messages that came already, and whether the half they came on was closed.
    pub(crate) empties: u32,
    pub(crate) closed: bool,
}

/// All openings of one plugin, by the half on which their payloads come. The link bounds their number.
#[derive(Debug, Default)]
pub(super) struct Openings(HashMap<HalfKey, Opening>);

impl Openings {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The memory that they take, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        table_bytes(&self.0) + self.0.len() * (OPENING_BYTES_MAX + 1)
    }

    /// The plugin opens something.
    pub(super) fn insert(&mut self, opened: Opened, link: &mut Link<Role>) {
        let half = match opened {
            Opened::Request(half) | Opened::Stream(half) | Opened::Sink(half) => half,
            Opened::Duplex(halves) => halves.writer,
        };
        link.set_user(half, Role::Opening(half));
        if let Opened::Duplex(halves) = opened {
            link.set_user(halves.reader, Role::Opening(half));
        }
        self.0.insert(half, Opening { opened, payload: Vec::new(), empties: 0, closed: false });
    }

    /// More of an opening payload; returns the opening when it is all there.
    pub(super) fn handle_piece(&mut self, half: HalfKey, piece: Piece, bytes: &[u8]) -> Option<Opening> {
        let opening = self.0.get_mut(&half)?;
        // One byte more than what can mean something is enough to know that it means nothing.
        let room = OPENING_BYTES_MAX + 1 - opening.payload.len();
        opening.payload.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if piece.last { self.0.remove(&half) } else { None }
    }

    /// An empty message on a duplex whose opening payload is not all there: it needs no credit.
    pub(super) fn handle_early_message(&mut self, on: HalfKey) {
        if let Some(opening) = self.0.get_mut(&on) {
            opening.empties = opening.empties.saturating_add(1);
        }
    }

    /// The plugin ended a half of something whose opening payload, on the half `on`, is not all there.
    pub(super) fn handle_early_end(&mut self, half: HalfKey, on: HalfKey, link: &mut Link<Role>) {
        if half != on {
            self.0.get_mut(&on).into_iter().for_each(|opening| opening.closed = true);
            return;
        }
        // The very half on which the opening payload was coming: it is given up.
        if let Some(Opening { opened: Opened::Duplex(halves), .. }) = self.0.remove(&on) {
            link.end(halves.reader, &[]);
        }
    }
}
