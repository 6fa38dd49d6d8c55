//! A plugin that can be killed: it connects to another one and writes to it without end.
//!
//! `flooder unix:PATH|tcp:HOST:PORT NAME TARGET BYTES` sends messages of `BYTES` bytes, each of which begins with its
//! number, as [`tests::flood`] describes. It ends when its standard input closes.

use std::process::ExitCode;

use tests::flood::flood;
use tests::peer::{Address, Pace, Peer};
use tests::process::end_with_stdin;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, name, target, bytes] = arguments.as_slice() else {
        eprintln!("flooder: unix:PATH|tcp:HOST:PORT NAME TARGET BYTES");
        return ExitCode::FAILURE;
    };
    end_with_stdin();
    let address = match address.split_once(':') {
        Some(("unix", path)) => Address::Unix(path.into()),
        Some(("tcp", address)) => Address::Tcp(address.parse().expect("an address with a port")),
        _ => panic!("an address begins with unix: or tcp:"),
    };
    let mut peer = Peer::connect(&address, Pace::Whole);
    peer.register(name.as_bytes(), 1);
    flood(&mut peer, target.as_bytes(), bytes.parse().expect("a number of bytes"))
}
