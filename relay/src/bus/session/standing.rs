//! How the credit of a half stands, for whoever wants to know why nothing moves.

use super::super::address::LegId;
use super::super::leg::Stage;
use super::Session;

/// One half that the relay reads, of a connection that both plugins have agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Credit that the reader gave and that has not been granted to the writer, in bytes.
    pub banked_bytes: u64,
    /// What the writer may still send, as far as the relay knows, in bytes.
    pub unspent_bytes: u64,
    /// What has come from the writer and has not left the relay, in bytes.
    pub held_bytes: u64,
    /// What may be out at the most, if the memory of the shard allows for it, in bytes.
    pub cap_bytes: u64,
}

impl Session {
    /// How the half of a leg stands that this plugin writes; nothing when it is over or not open yet.
    #[must_use]
    pub fn standing(&self, id: LegId) -> Option<Standing> {
        let leg = self.legs.get(id)?;
        let inlet = &leg.inlet;
        let half = inlet.half.filter(|_| leg.stage == Stage::Open && !inlet.over && !inlet.ending)?;
        let unspent_bytes = self.link.may_receive(half);
        let held_bytes = inlet.account.outstanding_bytes() - unspent_bytes;
        Some(Standing { banked_bytes: inlet.banked, unspent_bytes, held_bytes, cap_bytes: inlet.account.cap_bytes() })
    }

    /// The legs of this plugin.
    #[must_use]
    pub fn legs(&self) -> Vec<LegId> {
        self.legs.ids()
    }
}
