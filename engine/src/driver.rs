//! The driver interface: what a shard may ask of the kernel, and what comes back. The simulation has a driver of its own.
//!
//! A shard owns one `Driver`. It hands sockets over, arms one receive and at most one send for each, and takes
//! completions one by one in its tick; nothing calls back into the shard. The real driver is an io_uring
//! (`ring`); a simulated one can stand in its place, because nothing here names a file descriptor after `adopt`.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use super::batch::Batch;
use super::buffers::Lease;
use super::pipes::Pipe;

/// Names a socket or a listener of one driver. A token is never reused: a slot and what tells its users apart, in one
/// word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

impl Token {
    /// The lowest bits of a token hold its slot.
    pub const SLOT_BITS: u32 = 24;

    /// A small number that no other living socket of the driver has: good for indexing a table.
    #[must_use]
    pub fn slot(self) -> usize {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as usize
    }
}

/// What a completed receive brought.
#[derive(Debug)]
pub enum Received {
    /// At least one byte, in a buffer that is ours until the lease is dropped.
    Data(Lease),
    /// There is something to be received: answers [`Driver::await_bytes`].
    Ready,
    /// The peer has shut its sending side, or hung up.
    Eof,
    /// No receive buffer was free. Arm the receive again after [`Driver::buffers_free`] is above zero.
    NoBuffers,
    /// The socket is broken.
    Failed(io::Error),
}

/// One thing that has happened. Completions of one socket come in the order in which they happened.
#[derive(Debug)]
#[expect(missing_docs, reason = "each variant speaks of its fields")]
pub enum Completion {
    /// A listener has a new connection. The listener stays armed.
    Accepted { listener: Token, socket: OwnedFd },
    /// Accepting failed, for example for want of file descriptors. The listener is *not* armed any more.
    AcceptFailed { listener: Token, error: io::Error },
    /// What was armed by [`Driver::receive`] or [`Driver::await_bytes`] has ended. None is armed now.
    Received { token: Token, received: Received },
    /// The send has ended and its batch is back: all of its bytes were taken by the kernel, or the socket is broken
    /// (then nobody knows how many were).
    Sent { token: Token, batch: Box<Batch>, result: io::Result<()> },
    /// What was asked for by [`Driver::await_hang_up`] has happened: nothing more comes from the peer than what its socket
    /// holds already.
    HungUp { token: Token },
    /// The socket asked for by [`Driver::close`] is closed; this is the last completion of its token.
    Closed { token: Token },
}

/// The kernel, as a shard sees it. All calls are cheap and none waits but [`Driver::wait`].
pub trait Driver {
    /// Takes a listening socket. Nothing is accepted before [`Driver::accept`].
    fn listen(&mut self, listener: OwnedFd) -> Token;
    /// Arms a listener: every connection from now on comes as [`Completion::Accepted`].
    fn accept(&mut self, listener: Token);
    /// Takes a connected stream socket.
    fn adopt(&mut self, socket: OwnedFd) -> Token;
    /// Arms one receive. At most one may be armed for each socket.
    fn receive(&mut self, token: Token);
    /// Arms a receive that brings nothing but the word that there are bytes, or the end. They stay in the socket, for
    /// [`Driver::take_in`] or the next receive.
    fn await_bytes(&mut self, token: Token);
    /// Moves what the socket has received into an empty pipe, up to `len` bytes, at once. No receive may be armed.
    ///
    /// # Errors
    /// There is nothing to move, or it cannot be moved: [`Driver::receive`] will tell which.
    fn take_in(&mut self, token: Token, pipe: &mut Pipe, len: usize) -> io::Result<()>;
    /// A free receive buffer, for bytes that come from elsewhere than a socket.
    fn buffer(&mut self) -> Option<Lease>;
    /// Sends a batch, whole. At most one may be on its way for each socket.
    fn send(&mut self, token: Token, batch: Box<Batch>);
    /// Reports the hang-up of a peer whose bytes are not received for now. Allowed once for each socket.
    fn await_hang_up(&mut self, token: Token);
    /// Whether the peer has hung up, as far as the kernel knows at this moment. Bytes that it sent before may still wait.
    fn has_hung_up(&mut self, token: Token) -> bool;
    /// Ends the sending direction of a socket: the peer reads what was sent before, then the end. Receives go on. No send
    /// may be on its way.
    fn finish(&mut self, token: Token);
    /// Bytes sent that the peer could lose if the socket were closed now: those that it has not acknowledged on TCP, none
    /// on unix sockets, whose peers have what was sent at once.
    fn untaken_bytes(&mut self, token: Token) -> usize;
    /// Shuts a socket or listener down, lets operations under way end, closes it. Allowed at any time, once.
    fn close(&mut self, token: Token);
    /// Receive buffers that are free now, for deciding whether payload must be copied out of leases. When there are none, the
    /// first one that comes back wakes the shard.
    fn buffers_free(&mut self) -> usize;
    /// Wakes another shard out of [`Driver::wait`]. Goes out with the next `wait`, and never waits itself.
    fn wake(&mut self, shard: usize);
    /// Submits all that was asked for; when `block` is set and no completion is at hand, sleeps until there is one,
    /// another shard or thread wakes it, or `until` is reached.
    ///
    /// # Errors
    /// The kernel refuses to go on (not: the failure of one operation). The shard cannot continue.
    fn wait(&mut self, block: bool, until: Option<Instant>) -> io::Result<()>;
    /// Whether [`Driver::wait`] would not have to sleep, as far as can be told without a system call.
    fn is_ready(&mut self) -> bool;
    /// How often completions have found no room in the kernel's queue, so that they came later or not at all.
    fn overflows(&self) -> u64;
    /// The next completion, if there is one.
    fn next(&mut self) -> Option<Completion>;
    /// The next completion that needed no wait, if there is one: of a send that was over at once, above all.
    fn next_at_once(&mut self) -> Option<Completion>;
    /// The clock. A shard reads it once each tick and hands it down.
    fn now(&self) -> Instant;
}
