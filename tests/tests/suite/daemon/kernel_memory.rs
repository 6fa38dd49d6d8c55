//! What readers that do not read make the kernel hold: all together no more than is set, and nothing less for the first few.

use std::os::unix::net::UnixStream;

use rustix::net::sockopt;
use tests::peer::{Address, Peer};

use super::ceiling::stalled;
use super::{addresses, start};

/// What waits in the kernel for readers each of whom a writer sends all that it may.
fn waiting_bytes(address: &Address, readers: usize, message: usize) -> Vec<u64> {
    let pairs: Vec<(Peer, Peer)> = (0..readers).map(|number| stalled(address, number, message)).collect();
    let (_writers, readers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let bytes = |reader: Peer| rustix::io::ioctl_fionread(reader.into_unix_socket()).expect("a socket tells");
    readers.into_iter().map(bytes).collect()
}

#[test]
fn many_stalled_readers_make_the_kernel_hold_no_more_than_is_set() {
    const READERS: usize = 20;
    const MOST_BYTES: u64 = 16 << 20;
    let config = format!(
        "[limits]\nconnections_max = 100\n[socket]\nkernel_memory_bytes = {MOST_BYTES}\n[credit]\nmemory_bytes = \"256 MiB\"\n"
    );
    for message in [1_000, 100_000] {
        for shards in [1, 2] {
            let daemon = start(shards, &config);
            let waiting = waiting_bytes(&addresses(&daemon)[0], READERS, message);
            let sum: u64 = waiting.iter().sum();
            assert!(sum <= MOST_BYTES, "{sum} bytes: {waiting:?}");
            // Each has what is set aside for it, less what the heads of pieces take.
            assert!(waiting.iter().all(|bytes| *bytes >= 12 << 10), "{waiting:?}");
            daemon.stop();
        }
    }
}

#[test]
fn the_first_ones_get_all_that_is_wished_for() {
    const ASKED_BYTES: usize = 1 << 20;
    // More than the system's bound takes a right, which the daemon has if this process has it.
    let (own, _other) = UnixStream::pair().expect("sockets");
    sockopt::set_socket_send_buffer_size_force(&own, ASKED_BYTES)
        .or_else(|_| sockopt::set_socket_send_buffer_size(&own, ASKED_BYTES))
        .expect("a socket takes it");
    let whole = sockopt::socket_send_buffer_size(&own).expect("a socket tells") as u64;
    let daemon = start(1, "");
    let waiting = waiting_bytes(&addresses(&daemon)[0], 3, 100_000);
    assert!(waiting.iter().all(|bytes| *bytes >= whole / 10 * 9), "{waiting:?} of {whole}");
    daemon.stop();
}
