//! One io_uring and the sockets in its care. Operations are queued by the calls and begin together in [`Ring::wait`], in
//! one system call, which brings what has been completed.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::thread;
use std::time::Duration;

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode};
use rustix::net::Shutdown;
use slab::Slab;

use super::buffers::{Buffer, Buffers};
use super::outgoing::Outgoing;

/// Submission entries; more only cost a further system call.
const ENTRIES: u32 = 4096;

/// Completions that the ring holds before the kernel keeps them for us: those of all sockets of a large run at once.
const COMPLETIONS: u32 = 1 << 16;

/// The kernel's name for our only group of buffers.
const BUFFER_GROUP: u16 = 0;

/// Whole sends or nothing; and no signal when the relay is gone.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;

/// Lets a receive wait for bytes before it tries (`IORING_RECVSEND_POLL_FIRST`).
const POLL_FIRST: u16 = 1;

/// The most slices of one send (`UIO_MAXIOV`).
const SLICES_MAX: usize = 1024;

/// How often a ring that is dropped asks the kernel to let go, and one that is new to have the memory of those before, and
/// how long each time.
const FAREWELL: (u32, Duration) = (40, Duration::from_millis(50));

/// Names a socket. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u64);

const KIND_SHIFT: u32 = 62;
const SLOT_BITS: u32 = 24;

impl Token {
    /// That of no socket.
    pub(crate) const NONE: Self = Self((1 << KIND_SHIFT) - 1);

    /// A small number that no other open socket has.
    pub(crate) fn slot(self) -> usize {
        (self.0 & ((1 << SLOT_BITS) - 1)) as usize
    }
}

/// What a completion is of, in the highest bits of its user data.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Receive = 0,
    Send = 1,
    Other = 2,
}

/// Something that has come about.
#[derive(Debug)]
pub(crate) enum Completion {
    /// Bytes came. The buffer is to be recycled.
    Received(Token, Buffer),
    /// Nothing more comes, in order or by an error.
    Ended(Token, Option<io::Error>),
    /// A send is over: all of it was taken, or an error.
    Sent(Token, Box<Outgoing>, io::Result<()>),
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    Poll,
    /// Until something is completed, no longer than that.
    Sleep(Duration),
}

struct Socket {
    fd: OwnedFd,
    token: Token,
    /// Operations that the kernel has not completed.
    under_way: u8,
    receiving: bool,
    /// The last receive has left bytes behind, as far as can be told.
    more_waits: bool,
    closing: bool,
    flight: Option<Box<Flight>>,
}

/// A send that is under way, with what the kernel reads of it.
struct Flight {
    outgoing: Box<Outgoing>,
    slices: Vec<libc::iovec>,
    header: libc::msghdr,
    /// Bytes that are gone.
    gone: usize,
}

/// An io_uring of one thread.
pub(crate) struct Ring {
    sockets: Slab<Socket>,
    ring: IoUring,
    /// Entries for which the queue has no room yet.
    backlog: VecDeque<Entry>,
    buffers: Buffers,
    /// What came about without the kernel.
    ready: VecDeque<Completion>,
    /// Memory of sends that are over.
    #[expect(clippy::vec_box, reason = "the boxes themselves are used again")]
    flights: Vec<Box<Flight>>,
    adopted: u64,
    under_way: usize,
}

impl Ring {
    /// Builds a ring, for the calling thread alone.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = Self::build()?;
        let buffers = Buffers::new();
        let (address, entries) = buffers.entries();
        // SAFETY: the entries live until `drop` has unregistered them.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, entries, BUFFER_GROUP, 0)? };
        Ok(Self {
            sockets: Slab::new(),
            ring,
            backlog: VecDeque::new(),
            buffers,
            ready: VecDeque::new(),
            flights: Vec::new(),
            adopted: 0,
            under_way: 0,
        })
    }

    /// The ring itself. Those of the step before count against the locked memory of the user until the kernel has let go of
    /// them, some time after their threads have ended.
    fn build() -> io::Result<IoUring> {
        let (mut tries, pause) = FAREWELL;
        loop {
            let built = IoUring::builder()
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_submit_all()
                .setup_clamp()
                .setup_cqsize(COMPLETIONS)
                .build(ENTRIES);
            match built {
                Err(error) if error.kind() == io::ErrorKind::OutOfMemory && tries > 0 => {
                    tries -= 1;
                    thread::sleep(pause);
                }
                built => return built,
            }
        }
    }

    /// Takes a connected socket into its care.
    pub(crate) fn adopt(&mut self, fd: OwnedFd) -> io::Result<Token> {
        // The kernel waits for a socket only if it is a blocking one.
        rustix::io::ioctl_fionbio(&fd, false)?;
        let vacant = self.sockets.vacant_entry();
        let generation = self.adopted % (1 << (KIND_SHIFT - SLOT_BITS));
        let token = Token(generation << SLOT_BITS | vacant.key() as u64);
        self.adopted += 1;
        vacant.insert(Socket {
            fd,
            token,
            under_way: 0,
            receiving: false,
            more_waits: false,
            closing: false,
            flight: None,
        });
        Ok(token)
    }

    /// Asks for the next bytes, unless that has been done.
    pub(crate) fn receive(&mut self, token: Token) {
        let Some(socket) = self.open_socket(token) else { return };
        if socket.receiving {
            return;
        }
        socket.receiving = true;
        let mut receive = opcode::Recv::new(Fd(socket.fd.as_raw_fd()), ptr::null_mut(), 0).buf_group(BUFFER_GROUP);
        if !socket.more_waits {
            receive = receive.ioprio(POLL_FIRST);
        }
        // SAFETY: it points to nothing; the kernel picks one of the buffers.
        unsafe { self.begin(receive.build().flags(Flags::BUFFER_SELECT), Kind::Receive, token) };
    }

    /// Sends; one send at a time for each socket.
    pub(crate) fn send(&mut self, token: Token, outgoing: Box<Outgoing>) {
        let mut flight = self.flights.pop().unwrap_or_else(Flight::boxed);
        flight.gone = 0;
        flight.outgoing = outgoing;
        let Some(socket) = self.open_socket(token) else {
            let outgoing = mem::take(&mut flight.outgoing);
            self.ready.push_back(Completion::Sent(token, outgoing, Err(io::ErrorKind::NotConnected.into())));
            return;
        };
        debug_assert!(socket.flight.is_none(), "one send at a time");
        socket.flight = Some(flight);
        self.push_send(token);
    }

    /// Closes a socket. Nothing more is heard of it, but of a send that is under way.
    pub(crate) fn close(&mut self, token: Token) {
        let Some(socket) = self.open_socket(token) else { return };
        socket.closing = true;
        // Ends what is under way, too. Fails when the relay was first.
        let _ = rustix::net::shutdown(&socket.fd, Shutdown::Both);
        if socket.under_way == 0 {
            self.sockets.remove(token.slot());
        }
    }

    /// Takes back a buffer that has been read.
    pub(crate) fn recycle(&mut self, buffer: Buffer) {
        self.buffers.give_back(buffer);
    }

    /// Begins what was asked for, and lets the kernel complete what it can.
    pub(crate) fn wait(&mut self, wait: Wait) -> io::Result<()> {
        self.buffers.provide();
        self.push_backlog();
        let block = wait != Wait::Poll && self.ready.is_empty() && self.ring.completion().is_empty();
        let time = match wait {
            Wait::Sleep(time) => Timespec::from(time),
            Wait::Poll => Timespec::new(),
        };
        let args = if block { SubmitArgs::new().timespec(&time) } else { SubmitArgs::new() };
        let queued = self.ring.submission().len();
        let flags = (EnterFlags::GETEVENTS | EnterFlags::EXT_ARG).bits();
        // SAFETY: with EXT_ARG the argument is what `SubmitArgs` stands for; the entries were promised to `begin`.
        let result = unsafe { self.ring.submitter().enter(queued as u32, u32::from(block), flags, Some(&args)) };
        match result {
            Err(error) if !is_passing(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// The next thing that has come about.
    pub(crate) fn next(&mut self) -> Option<Completion> {
        loop {
            if let Some(completion) = self.ready.pop_front() {
                return Some(completion);
            }
            let entry = self.ring.completion().next()?;
            if let Some(completion) = self.complete(&entry) {
                return Some(completion);
            }
        }
    }

    fn open_socket(&mut self, token: Token) -> Option<&mut Socket> {
        self.socket(token).filter(|socket| !socket.closing)
    }

    fn socket(&mut self, token: Token) -> Option<&mut Socket> {
        self.sockets.get_mut(token.slot()).filter(|socket| socket.token == token)
    }

    /// Queues an operation on a socket that is there.
    ///
    /// # Safety
    /// What the entry points to stays where it is until the completion has come.
    unsafe fn begin(&mut self, entry: Entry, kind: Kind, token: Token) {
        if let Some(socket) = self.socket(token) {
            socket.under_way += 1;
        }
        self.under_way += 1;
        let entry = entry.user_data((kind as u64) << KIND_SHIFT | token.0);
        // SAFETY: passed on to the caller.
        if !self.backlog.is_empty() || unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.backlog.push_back(entry);
        }
    }

    /// Makes room for what did not fit by letting the kernel begin the rest. If it cannot, `wait` says why.
    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: the caller of `begin` has promised it.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                self.backlog.pop_front();
            } else if self.ring.submit().is_err() {
                return;
            }
        }
    }

    /// Sends what is left of the flight of a socket.
    fn push_send(&mut self, token: Token) {
        let Some(socket) = self.socket(token) else { return };
        let fd = Fd(socket.fd.as_raw_fd());
        let Some(flight) = &mut socket.flight else { return };
        flight.prepare();
        let entry = match flight.slices.as_slice() {
            [slice] => opcode::Send::new(fd, slice.iov_base.cast_const().cast(), slice.iov_len as u32)
                .flags(SEND_FLAGS)
                .build(),
            _ => opcode::SendMsg::new(fd, &raw const flight.header).flags(SEND_FLAGS as u32).build(),
        };
        // SAFETY: the flight is boxed and not touched before the completion has come, nor are the bytes that it owns or
        // that live for ever.
        unsafe { self.begin(entry, Kind::Send, token) };
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        self.under_way -= 1;
        let data = entry.user_data();
        let token = Token(data & ((1 << KIND_SHIFT) - 1));
        match data >> KIND_SHIFT {
            kind if kind == Kind::Receive as u64 => self.received(token, entry),
            kind if kind == Kind::Send as u64 => self.sent(token, entry.result()),
            _ => None,
        }
    }

    fn received(&mut self, token: Token, entry: &cqueue::Entry) -> Option<Completion> {
        let result = entry.result();
        let buffer = cqueue::buffer_select(entry.flags()).map(|number| {
            // SAFETY: the kernel has just reported this buffer, with so many bytes in it.
            unsafe { self.buffers.take(number, usize::try_from(result).unwrap_or(0)) }
        });
        let full = buffer.as_ref().is_some_and(Buffer::is_full);
        if let Some(socket) = self.socket(token) {
            socket.receiving = false;
            socket.more_waits = full || cqueue::sock_nonempty(entry.flags());
        }
        let open = self.settle(token);
        match (result, buffer) {
            (1.., Some(buffer)) if open => return Some(Completion::Received(token, buffer)),
            (_, Some(buffer)) => self.buffers.give_back(buffer),
            _ => {}
        }
        if !open {
            return None;
        }
        if result == -libc::ENOBUFS {
            self.buffers.want_more();
            if let Some(socket) = self.socket(token) {
                socket.more_waits = true;
            }
            self.receive(token);
            return None;
        }
        Some(Completion::Ended(token, (result < 0).then(|| io::Error::from_raw_os_error(-result))))
    }

    fn sent(&mut self, token: Token, result: i32) -> Option<Completion> {
        let socket = self.socket(token)?;
        let flight = socket.flight.as_mut()?;
        let result = match usize::try_from(result) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => {
                flight.gone += len;
                if flight.gone < flight.outgoing.len() && !socket.closing {
                    socket.under_way -= 1;
                    self.push_send(token);
                    return None;
                }
                Ok(())
            }
            Err(_) => Err(io::Error::from_raw_os_error(-result)),
        };
        let mut flight = socket.flight.take()?;
        let outgoing = mem::take(&mut flight.outgoing);
        self.flights.push(flight);
        self.settle(token);
        Some(Completion::Sent(token, outgoing, result))
    }

    /// Counts the end of an operation, which is the end of a socket that is being closed if it was the last. Says whether
    /// the socket is still open.
    fn settle(&mut self, token: Token) -> bool {
        let Some(socket) = self.socket(token) else { return false };
        socket.under_way -= 1;
        let open = !socket.closing;
        if !open && socket.under_way == 0 {
            self.sockets.remove(token.slot());
        }
        open
    }
}

impl Flight {
    fn boxed() -> Box<Self> {
        // SAFETY: of a message header without a name, without slices and without control data all bits are zero.
        let header = unsafe { mem::zeroed() };
        Box::new(Self { outgoing: Box::default(), slices: Vec::new(), header, gone: 0 })
    }

    /// Points to what is still to be sent, or to as much of it as one operation takes.
    fn prepare(&mut self) {
        let mut gone = self.gone;
        self.slices.clear();
        for slice in self.outgoing.slices() {
            let skipped = gone.min(slice.len());
            gone -= skipped;
            let slice = &slice[skipped..];
            if !slice.is_empty() && self.slices.len() < SLICES_MAX {
                self.slices.push(libc::iovec { iov_base: slice.as_ptr().cast_mut().cast(), iov_len: slice.len() });
            }
        }
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = self.slices.len();
    }
}

impl Drop for Ring {
    /// Closes all sockets and waits until the kernel has let go of every operation, because their memory goes next.
    fn drop(&mut self) {
        let open: Vec<Token> = self.sockets.iter().map(|(_, socket)| socket.token).collect();
        open.into_iter().for_each(|token| self.close(token));
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        // SAFETY: it points to nothing.
        unsafe { self.begin(cancel, Kind::Other, Token::NONE) };
        for _ in 0..FAREWELL.0 {
            while self.next().is_some() {}
            if self.under_way == 0 || self.wait(Wait::Sleep(FAREWELL.1)).is_err() {
                break;
            }
        }
        if self.under_way > 0 {
            // Better lost than freed under the kernel's hands.
            mem::forget(mem::take(&mut self.sockets));
            self.buffers.abandon();
        }
        let _ = self.ring.submitter().unregister_buf_ring(BUFFER_GROUP);
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// The next completion, which must come.
    fn next(ring: &mut Ring) -> Completion {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(completion) = ring.next() {
                return completion;
            }
            assert!(Instant::now() < deadline, "nothing is completed");
            ring.wait(Wait::Sleep(Duration::from_millis(50))).expect("the ring works");
        }
    }

    fn outgoing(bytes: &[u8]) -> Box<Outgoing> {
        let mut outgoing = Box::new(Outgoing::default());
        outgoing.bytes().extend_from_slice(bytes);
        outgoing
    }

    #[test]
    fn bytes_come_and_go_until_the_end() {
        let mut ring = Ring::new().expect("io_uring");
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let token = ring.adopt(near.into()).expect("a socket");
        ring.receive(token);
        ring.send(token, outgoing(b"there"));
        assert!(matches!(next(&mut ring), Completion::Sent(_, _, Ok(()))));
        let mut bytes = [0; 5];
        far.read_exact(&mut bytes).expect("sent");
        assert_eq!(&bytes, b"there");
        far.write_all(b"back").expect("written");
        match next(&mut ring) {
            Completion::Received(_, buffer) => {
                assert_eq!(&buffer[..], b"back");
                ring.recycle(buffer);
            }
            other => panic!("{other:?}"),
        }
        drop(far);
        ring.receive(token);
        assert!(matches!(next(&mut ring), Completion::Ended(_, None)));
        ring.send(token, outgoing(b"too late"));
        assert!(matches!(next(&mut ring), Completion::Sent(_, _, Err(_))));
    }

    #[test]
    fn a_send_of_many_slices_that_does_not_fit_goes_whole() {
        static SLICE: [u8; 1000] = [7; 1000];
        let mut ring = Ring::new().expect("io_uring");
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let token = ring.adopt(near.into()).expect("a socket");
        let mut large = outgoing(b"");
        for _ in 0..2 * SLICES_MAX {
            large.bytes().push(1);
            large.share(&SLICE);
        }
        let expected = large.to_vec();
        ring.send(token, large);
        let reading = thread::spawn(move || {
            let mut all = vec![0; 2 * SLICES_MAX * 1001];
            far.read_exact(&mut all).expect("all of it");
            all
        });
        assert!(matches!(next(&mut ring), Completion::Sent(_, _, Ok(()))));
        assert!(reading.join().expect("read") == expected, "what arrived is what was sent");
    }

    #[test]
    fn more_sockets_than_buffers_get_their_bytes() {
        let mut ring = Ring::new().expect("io_uring");
        let mut far = Vec::new();
        for _ in 0..300 {
            let (near, other) = UnixStream::pair().expect("a pair");
            let token = ring.adopt(near.into()).expect("a socket");
            ring.receive(token);
            far.push(other);
        }
        far.iter_mut().for_each(|socket| socket.write_all(b"x").expect("written"));
        let buffers: Vec<Buffer> = (0..100)
            .map(|_| match next(&mut ring) {
                Completion::Received(_, buffer) => buffer,
                other => panic!("{other:?}"),
            })
            .collect();
        buffers.into_iter().for_each(|buffer| ring.recycle(buffer));
        for _ in 100..300 {
            match next(&mut ring) {
                Completion::Received(_, buffer) => ring.recycle(buffer),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_ring_with_work_under_way_can_be_dropped() {
        let mut ring = Ring::new().expect("io_uring");
        let (near, far) = UnixStream::pair().expect("a pair");
        let token = ring.adopt(near.into()).expect("a socket");
        ring.receive(token);
        ring.send(token, outgoing(&vec![0; 16 << 20]));
        ring.wait(Wait::Poll).expect("the ring works");
        drop(ring);
        drop(far);
    }
}
