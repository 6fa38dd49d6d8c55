//! Messages without end, each with its number, so that a reader can tell that none is missing, twice or changed.

use crate::audit::What;
use crate::peer::Peer;
use crate::wire::{Kind, out_sink};

/// The id of the connection at the one who floods.
const ID: u64 = 1;
/// The bytes that hold the number of a message, at its beginning.
const NUMBER_BYTES: usize = 8;

/// The message of a number: the number, then bytes that depend on it.
pub fn message(number: u64, bytes: usize) -> Vec<u8> {
    let filler = (0..).map(|at: u64| (number.wrapping_mul(31) ^ at) as u8);
    number.to_be_bytes().into_iter().chain(filler).take(bytes.max(NUMBER_BYTES)).collect()
}

/// Connects to `target` and writes messages to it for ever.
///
/// # Panics
/// When the target does not accept, or ends the connection.
pub fn flood(peer: &mut Peer, target: &[u8], bytes: usize) -> ! {
    peer.wait_listed(target);
    peer.dial_with(ID, target, 0, 0);
    peer.expect(Kind::InSink, ID, &What::Message(Vec::new()));
    for number in 0.. {
        let message = message(number, bytes);
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            peer.wait_credit(Kind::OutSink, ID, 1);
            let credit = usize::try_from(peer.credit(Kind::OutSink, ID)).unwrap_or(usize::MAX);
            let (part, behind) = rest.split_at(credit.min(rest.len()));
            let first = out_sink(ID).payload(part);
            let cut = rest.len() == message.len() && !behind.is_empty();
            peer.send_now(&if cut { first.partial(message.len() as u64) } else { first });
            rest = behind;
        }
    }
    unreachable!("the numbers do not end")
}
