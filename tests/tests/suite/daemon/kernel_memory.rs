//! What readers that do not read make the kernel hold: all together no more than is set, and nothing less for the first few.

use std::os::unix::net::UnixStream;

use rustix::net::sockopt;
use tests::peer::{Address, Peer};
use tests::process::eventually;

use super::ceiling::{stalled, write_all_there_is_credit_for};
use super::start;

/// What waits in the kernel for readers each of whom a writer sends all that it may, at least `least` bytes for each.
fn waiting_bytes(address: &Address, readers: usize, message: usize, least: u64) -> Vec<u64> {
    let pairs: Vec<(Peer, Peer)> = (0..readers).map(|number| stalled(address, number, message)).collect();
    let (mut writers, readers): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let readers: Vec<UnixStream> = readers.into_iter().map(Peer::into_unix_socket).collect();
    let waiting = |reader: &UnixStream| rustix::io::ioctl_fionread(reader).expect("a socket tells");
    for (writer, reader) in writers.iter_mut().zip(&readers) {
        // The relay may have been slow to give credit for what has gone to the kernel.
        eventually("enough to wait", || {
            write_all_there_is_credit_for(writer, message);
            (waiting(reader) >= least).then_some(())
        });
    }
    readers.iter().map(waiting).collect()
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
            // Each has what is set aside for it, less what the heads of pieces take.
            let waiting = waiting_bytes(&daemon.addresses()[0], READERS, message, 12 << 10);
            let sum: u64 = waiting.iter().sum();
            assert!(sum <= MOST_BYTES, "{sum} bytes: {waiting:?}");
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
    // All of it, less what the heads of pieces take.
    waiting_bytes(&daemon.addresses()[0], 3, 100_000, whole / 10 * 9);
}
