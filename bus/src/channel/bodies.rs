//! Zero-copy payload, as the channels have it: bodies of messages go from socket to socket without passing through our
//! memory. They are only counted here, and the heads written under which they go out.

use super::super::address::LegAddr;
use super::super::plugin::{Plugin, Role};
use super::Channels;
use super::leg::mark_dirty;
use super::payload::{Body, Parts};

impl Channels {
    /// The body under way, if there is one that is to be passed on.
    pub(crate) fn body(&self, plugin: &Plugin) -> Option<Body> {
        let (half, Role::Inlet(id), payload) = plugin.link.body()? else { return None };
        let leg = self.legs.get(id).filter(|leg| leg.inlet.is_open())?;
        let rewrite = leg.agreed()?.rewrite;
        let from = LegAddr { conn: plugin.me, leg: id };
        let kind = plugin.link.kind(half)?.inverted();
        Some(Body { from, to: (leg.far_conn, leg.far(from)), rewrite, kind, payload })
    }

    /// The next `len` bytes of a body go another way. They are counted, with the `known` ones right before them that have
    /// been counted and not been passed on, and `out` gets the head for all of them.
    pub(crate) fn take_body(
        &mut self,
        body: &Body,
        known: u64,
        len: usize,
        out: &mut Vec<u8>,
        plugin: &mut Plugin,
    ) -> Parts {
        let &Body { from, to, rewrite, kind, payload: bpmux::Body { total, before, .. } } = body;
        if let Some(leg) = self.legs.get_mut(from.leg) {
            leg.inlet.waits.count(u64::from(before + len as u64 == total), len as u64);
            mark_dirty(leg, from.leg, &mut self.dirty);
        }
        // What it yields is known already.
        plugin.link.skip_payload(len);
        plugin.limiter.refund_bytes(len as u64);
        let payload_bytes = known + len as u64;
        let is_part = before == known && payload_bytes < total;
        rewrite.put_head(kind, is_part.then_some(total), payload_bytes, out);
        Parts { from, to, payload_bytes, left: total - before - len as u64 }
    }
}
