//! Credit and what else a plugin can ask for, over real sockets: what it costs the daemon, and what it costs the others.

use tests::audit::What;
use tests::pair::answer;
use tests::peer::{Address, Peer, entry, plugin};
use tests::wire::Kind;

use crate::{reachable, start};

mod caps;
mod crowds;
mod floods;
mod hoarding;
mod shares;

/// Two plugins, of which the first lists the second.
fn two(address: &Address, first: &str, second: &str) -> (Peer, Peer) {
    let (mut a, b) = (plugin(address, first), plugin(address, second));
    a.wait_listed(b.name());
    (a, b)
}

/// Connects two plugins under an id of the first; returns that of the second, which has given credit for messages.
fn connect(from: &mut Peer, id: u64, to: &mut Peer, credit: u64) -> u64 {
    from.dial_with(id, to.name(), 0, 0);
    let at = answer(to, &entry(from.name(), 1));
    from.expect(Kind::InSink, id, &What::Message(Vec::new()));
    to.send_now(&tests::wire::in_stream(at).credit(credit));
    at
}
