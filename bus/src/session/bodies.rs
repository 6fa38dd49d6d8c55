//! Zero-copy payload, as the session has it: bodies of messages go from socket to socket without passing through our
//! memory. It only counts them, and writes the heads under which they go out.

use bpmux::{Kind, Rewrite};

use super::super::address::{ConnId, LegAddr, LegId, LegRef};
use super::super::leg::Stage;
use super::{Role, Session, mark_dirty};

/// The payload of the chunk that the plugin is sending, when it goes to another plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    from: LegAddr,
    to: (ConnId, LegRef),
    /// How heads are written for the other plugin.
    rewrite: Rewrite,
    kind: Kind,
    /// How much is announced and missing, and of what.
    pub payload: bpmux::Body,
}

/// Parts of messages for another plugin, with the heads that it is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The leg they come from.
    pub from: LegAddr,
    /// The connection and the leg they go to.
    pub to: (ConnId, LegRef),
    /// Their payloads, without the heads.
    pub payload_bytes: u64,
    /// How much of the last message is still to follow.
    pub left: u64,
}

impl Body {
    /// The leg it comes from.
    #[must_use]
    pub fn leg(&self) -> LegId {
        self.from.leg
    }
}

impl Session {
    /// The body under way, if there is one that is to be relayed.
    pub fn body(&mut self) -> Option<Body> {
        let (half, Role::Inlet(id), payload) = self.link.body()? else { return None };
        let leg = self.legs.get_mut(id).filter(|leg| leg.stage == Stage::Open && leg.inlet.is_open())?;
        let from = LegAddr { conn: self.me, leg: id };
        let kind = self.link.kind(half)?.inverted();
        Some(Body { from, to: (leg.far_conn, leg.far(from)), rewrite: leg.rewrite?, kind, payload })
    }

    /// Bytes of payload, whatever it is for, that a chunk of the plugin has announced and not brought.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        self.link.payload_left()
    }

    /// Whether `input` goes on with a message of this leg, and says nothing before it that could concern anybody else.
    #[must_use]
    pub fn is_continued(&self, leg: LegId, input: &[u8]) -> bool {
        matches!(self.link.part_at(input), Some((_, Role::Inlet(id))) if id == leg)
    }

    /// The next `len` bytes of a body go another way. They are counted, with the `known` ones right before them that have
    /// been counted and not been passed on, and `out` gets the head for all of them.
    pub fn take_body(&mut self, body: &Body, known: u64, len: usize, out: &mut Vec<u8>) -> Parts {
        let &Body { from, to, rewrite, kind, payload: bpmux::Body { total, before, .. } } = body;
        if let Some(leg) = self.legs.get_mut(from.leg) {
            leg.inlet.waits.count(u64::from(before + len as u64 == total), len as u64);
            mark_dirty(leg, from.leg, &mut self.dirty);
        }
        // What it yields is known already.
        self.link.skip_payload(len);
        self.limiter.refund_bytes(len as u64);
        let payload_bytes = known + len as u64;
        let is_part = before == known && payload_bytes < total;
        rewrite.put_head(kind, is_part.then_some(total), payload_bytes, out);
        Parts { from, to, payload_bytes, left: total - before - len as u64 }
    }
}
