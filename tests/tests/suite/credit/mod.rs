//! Credit and what else a plugin can ask for, over real sockets: what it costs the daemon, and what it costs the others.

use tests::audit::What;
use tests::daemon::{Daemon, Options};
use tests::pair::answer;
use tests::peer::{Address, Pace, Peer, entry};
use tests::wire::Kind;

use crate::DAEMON;

mod caps;
mod crowds;
mod floods;
mod hoarding;
mod shares;

/// A daemon on which nothing times out by itself, with more configuration behind.
fn start(shards: usize, config: &str) -> Daemon {
    let config = format!("{}{config}", tests::bus::PATIENT);
    Daemon::start(&Options { program: DAEMON.into(), shards, config, ..Options::default() })
}

fn unix(daemon: &Daemon) -> Address {
    Address::Unix(daemon.unix().to_owned())
}

/// A plugin that the bus lists.
fn plugin(address: &Address, name: &str) -> Peer {
    let mut peer = Peer::connect(address, Pace::Whole);
    peer.register(name.as_bytes(), 1);
    peer.fence();
    peer
}

/// Connects two plugins under an id of the first; returns that of the second, which has given credit for messages.
fn connect(from: &mut Peer, id: u64, to: &mut Peer, credit: u64) -> u64 {
    from.dial_with(id, to.name(), 0, 0);
    let at = answer(to, &entry(from.name(), 1));
    from.expect(Kind::InSink, id, &What::Message(Vec::new()));
    to.send_now(&tests::wire::in_stream(at).credit(credit));
    at
}
