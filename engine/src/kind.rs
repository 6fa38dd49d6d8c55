//! What a completion of the ring is about, as its user data says.

use super::driver::Token;

/// What a completion is of, in the highest bits of its user data; below is the token, if it is of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Receive,
    Send,
    Accept,
    Cancel,
    /// The waker of this shard.
    Event,
    /// Waits for bytes, or for room.
    Readable,
    Writable,
    /// Waits for the peer to hang up.
    HangUp,
    /// The timer of the ring.
    Alarm,
    /// Of no interest: the wake from another ring has done its work by being here.
    Other,
}

const KIND_SHIFT: u32 = 60;

impl Kind {
    pub(super) fn data(self, token: Token) -> u64 {
        (self as u64) << KIND_SHIFT | token.0
    }

    pub(super) fn of(data: u64) -> (Kind, Token) {
        let kind = match data >> KIND_SHIFT {
            0 => Kind::Receive,
            1 => Kind::Send,
            2 => Kind::Accept,
            3 => Kind::Cancel,
            4 => Kind::Event,
            5 => Kind::Readable,
            6 => Kind::Writable,
            7 => Kind::HangUp,
            8 => Kind::Alarm,
            _ => Kind::Other,
        };
        (kind, Token(data & ((1 << KIND_SHIFT) - 1)))
    }
}

/// Stands where user data has a token but there is no socket.
pub(super) const NO_SOCKET: Token = Token((1 << KIND_SHIFT) - 1);
