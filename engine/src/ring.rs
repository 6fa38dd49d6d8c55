//! The driver for real sockets: one io_uring for each shard.
//!
//! Receives are single shots that pick a buffer when there are bytes, so a silent connection holds none. Operations
//! are queued by the calls and start together in `wait`, in one system call; task work is deferred to that call too, so
//! that completions come only when the shard is ready for them.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, cqueue, opcode};
use rustix::net::Shutdown;
use slab::Slab;

use super::alarm::{Alarm, Wanted};
use super::batch::{Batch, Gather};
use super::buffers::{Buffers, Lease};
use super::driver::{Completion, Driver, Received, Token};
use super::kind::{Kind, NO_SOCKET};
use super::pipes::Pipe;
use super::probe::{RingError, Step, check, explain};
use super::push::push;
use super::queues::Queues;
use super::registry::RingRegistry;
use super::ring_settings::RingSettings;
use super::socket;

/// The kernel's name for our only group of buffers.
const BUFFER_GROUP: u16 = 0;
/// Buffers that the kernel has beyond one for each receive that is about to start, for those armed earlier.
const BUFFERS_AHEAD: usize = 32;
/// Whole sends or nothing; and no signal when the peer is gone.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
/// Lets a receive wait for bytes before it tries (`IORING_RECVSEND_POLL_FIRST`). After a receive that has left none
/// behind this saves a vain try: 7 to 12 % of the processor time of a message that is answered before the next one.
const POLL_FIRST: u16 = 1;
/// How often a dropped ring asks the kernel to let go of its operations, and how long each time.
const FAREWELL_TRIES: u32 = 20;
const FAREWELL_WAIT: Duration = Duration::from_millis(50);

/// The io_uring of one shard, and the sockets in its care. It cannot leave its thread.
pub struct Ring {
    sockets: Slab<Socket>,
    queues: Queues,
    buffers: Buffers,
    /// Completions that came about without the kernel.
    ready: VecDeque<Completion>,
    registry: Arc<RingRegistry>,
    shard: usize,
    alarm: Alarm,
    /// Shards to be woken by the next `wait`, each once.
    wakes: Vec<usize>,
    /// Sockets adopted so far, which numbers them.
    adopted: u64,
    /// Operations whose last completion is still to come.
    under_way: usize,
    /// Receives among them, and those of them that the kernel has not started.
    receives: usize,
    receives_queued: usize,
    /// The shard was told last that there are no buffers.
    starved: bool,
    /// The shard has woken itself.
    nudged: bool,
    /// The ring is being dropped: nothing is armed again.
    leaving: bool,
}

struct Socket {
    fd: OwnedFd,
    token: Token,
    /// Operations on the socket whose last completion is still to come.
    under_way: u8,
    listening: bool,
    /// The last receive has left bytes behind, as far as can be told.
    more_waits: bool,
    closing: bool,
    /// The batch that the kernel is sending.
    batch: Option<Box<Batch>>,
}

impl Ring {
    /// Builds the ring of a shard, on the thread that will use it, and lets the others of the registry reach it.
    ///
    /// # Errors
    /// The machine lacks something, or refuses; the error says what to do.
    ///
    /// # Panics
    /// When the registry has no such shard.
    pub fn new(settings: RingSettings, shard: usize, registry: &Arc<RingRegistry>) -> Result<Ring, RingError> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(settings.completions())
            .build(settings.entries.max(1))
            .map_err(|error| explain(Step::Setup, error))?;
        check(&ring)?;
        let waker = registry.waker(shard);
        let event_fd = waker.event_fd();
        let mut ring = Ring {
            sockets: Slab::new(),
            queues: Queues::new(ring),
            buffers: Buffers::new(settings.receive_buffers, settings.receive_buffer_bytes, waker),
            ready: VecDeque::new(),
            registry: Arc::clone(registry),
            shard,
            alarm: Alarm::default(),
            wakes: Vec::new(),
            adopted: 0,
            under_way: 0,
            receives: 0,
            receives_queued: 0,
            starved: false,
            nudged: false,
            leaving: false,
        };
        ring.register_buffers().map_err(|error| explain(Step::RegisterBuffers, error))?;
        registry.join(shard, ring.queues.fd()).map_err(|error| explain(Step::Join, error))?;
        ring.poll_event(event_fd);
        Ok(ring)
    }

    fn register_buffers(&mut self) -> io::Result<()> {
        let (address, entries) = (self.buffers.ring_address(), self.buffers.ring_entries());
        // SAFETY: the ring of buffers lives until `drop` has unregistered it.
        unsafe { self.queues.submitter().register_buf_ring_with_flags(address, entries, BUFFER_GROUP, 0) }
    }

    fn insert(&mut self, fd: OwnedFd, listening: bool) -> Token {
        // io_uring waits for a socket only if it is a blocking one. Fails for nothing that is a socket.
        let _ = rustix::io::ioctl_fionbio(&fd, false);
        let vacant = self.sockets.vacant_entry();
        let token = Token(self.adopted << Token::SLOT_BITS | vacant.key() as u64);
        self.adopted += 1;
        vacant.insert(Socket { fd, token, under_way: 0, listening, more_waits: false, closing: false, batch: None });
        token
    }

    fn socket(&mut self, token: Token) -> Option<&mut Socket> {
        self.sockets.get_mut(token.slot()).filter(|socket| socket.token == token)
    }

    /// A socket that may have new operations.
    fn open_socket(&mut self, token: Token) -> Option<&mut Socket> {
        self.socket(token).filter(|socket| !socket.closing)
    }

    /// Queues an operation that ends in a completion.
    ///
    /// # Safety
    /// All that it points to must stay where it is until that completion.
    unsafe fn begin(&mut self, entry: Entry, kind: Kind, token: Token) {
        self.under_way += 1;
        // SAFETY: passed on to the caller.
        unsafe { self.queues.push(entry.user_data(kind.data(token))) };
    }

    /// Queues the next part of the send of a socket.
    fn push_send(&mut self, token: Token) {
        let Some(socket) = self.socket(token) else { return };
        let Some(batch) = &mut socket.batch else { return };
        let fd = Fd(socket.fd.as_raw_fd());
        let entry = match batch.gather() {
            Gather::One { start, len } => opcode::Send::new(fd, start, len).flags(SEND_FLAGS).build(),
            Gather::Many(header) => opcode::SendMsg::new(fd, header).flags(SEND_FLAGS as u32).build(),
            Gather::Piped(_) => return self.push_now(token),
        };
        socket.under_way += 1;
        // SAFETY: the batch is boxed, and stays untouched in the socket until the completion.
        unsafe { self.begin(entry, Kind::Send, token) };
    }

    fn push_receive(&mut self, token: Token) {
        let bytes = self.buffers.buffer_bytes();
        let Some(socket) = self.open_socket(token) else { return };
        let fd = Fd(socket.fd.as_raw_fd());
        let poll_first = if socket.more_waits { 0 } else { POLL_FIRST };
        let receive = opcode::Recv::new(fd, ptr::null_mut(), bytes).buf_group(BUFFER_GROUP).ioprio(poll_first);
        socket.under_way += 1;
        self.receives += 1;
        self.receives_queued += 1;
        // SAFETY: it points to nothing but the buffers, which outlive their registration.
        unsafe { self.begin(receive.build().flags(Flags::BUFFER_SELECT), Kind::Receive, token) };
    }

    /// Sends a batch with pipes in it as far as the socket takes it, and waits for room if need be.
    fn push_now(&mut self, token: Token) {
        let Some(socket) = self.socket(token) else { return };
        let Some(mut batch) = socket.batch.take() else { return };
        let result = if socket.closing { Err(failure(-libc::ECANCELED)) } else { push(&mut batch, socket.fd.as_fd()) };
        match result {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.batch = Some(batch);
                self.push_poll(token, libc::POLLOUT, Kind::Writable);
            }
            result => self.ready.push_back(Completion::Sent { token, batch, result }),
        }
    }

    fn push_poll(&mut self, token: Token, events: i16, kind: Kind) {
        let Some(socket) = self.socket(token) else { return };
        let entry = opcode::PollAdd::new(Fd(socket.fd.as_raw_fd()), events as u32).build();
        socket.under_way += 1;
        // SAFETY: it points to nothing.
        unsafe { self.begin(entry, kind, token) };
    }

    fn push_accept(&mut self, token: Token) {
        let Some(socket) = self.open_socket(token) else { return };
        let entry = opcode::AcceptMulti::new(Fd(socket.fd.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        socket.under_way += 1;
        // SAFETY: it points to nothing.
        unsafe { self.begin(entry, Kind::Accept, token) };
    }

    fn poll_event(&mut self, event_fd: RawFd) {
        // Edge-triggered: the counter need not be read.
        let entry = opcode::PollAdd::new(Fd(event_fd), libc::POLLIN as u32).multi(true).build();
        // SAFETY: it points to nothing.
        unsafe { self.begin(entry, Kind::Event, NO_SOCKET) };
    }

    fn set_alarm(&mut self, until: Instant) {
        match self.alarm.set(until, Instant::now, Kind::Alarm.data(NO_SOCKET)) {
            // SAFETY: the kernel reads the time when it takes the operation; the alarm keeps it for longer than that.
            Some(Wanted::Start(entry)) => unsafe { self.begin(entry, Kind::Alarm, NO_SOCKET) },
            Some(Wanted::Move(entry)) => {
                let entry = entry.flags(Flags::SKIP_SUCCESS).user_data(Kind::Other.data(NO_SOCKET));
                // SAFETY: as above. It has a completion only if it fails: then the timer has just rung.
                unsafe { self.queues.push(entry) };
            }
            None => {}
        }
    }

    fn push_wakes(&mut self) {
        let data = Kind::Other.data(NO_SOCKET);
        while let Some(shard) = self.wakes.pop() {
            let Some(ring) = self.registry.ring(shard) else { continue };
            let entry = opcode::MsgRingData::new(Fd(ring.as_raw_fd()), 0, data, None).build();
            // SAFETY: it points to nothing. It has a completion only if it fails: then the other ring is full, and awake.
            unsafe { self.queues.push(entry.flags(Flags::SKIP_SUCCESS).user_data(data)) };
        }
    }

    /// Makes something of a completion of the kernel; many are of no interest to the shard.
    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Completion> {
        let (kind, token) = Kind::of(entry.user_data());
        let more = cqueue::more(entry.flags());
        if kind == Kind::Other {
            return None;
        }
        if !more {
            self.under_way -= 1;
        }
        match kind {
            Kind::Receive => self.received(token, entry),
            Kind::Send => self.sent(token, entry.result()),
            Kind::Accept => self.accepted(token, entry.result(), more),
            Kind::Readable => {
                let open = self.settle(token);
                open.then(|| Completion::Received { token, received: readable(entry.result()) })
            }
            Kind::HangUp => {
                let open = self.settle(token);
                open.then_some(Completion::HungUp { token })
            }
            Kind::Writable => {
                self.push_now(token);
                self.settle(token);
                None
            }
            Kind::Cancel => {
                self.settle(token);
                None
            }
            Kind::Alarm => {
                self.alarm.rang();
                None
            }
            Kind::Event | Kind::Other => {
                if !more && !self.leaving {
                    self.poll_event(self.registry.waker(self.shard).event_fd());
                }
                None
            }
        }
    }

    fn received(&mut self, token: Token, entry: &cqueue::Entry) -> Option<Completion> {
        self.receives -= 1;
        let result = entry.result();
        let lease = cqueue::buffer_select(entry.flags()).map(|slot| {
            // SAFETY: the kernel has just reported this buffer, with so many bytes in it.
            unsafe { self.buffers.take(slot, usize::try_from(result).unwrap_or(0)) }
        });
        let filled = lease.as_ref().is_some_and(|lease| lease.len() == self.buffers.buffer_bytes() as usize);
        if let Some(socket) = self.socket(token) {
            socket.more_waits = filled || cqueue::sock_nonempty(entry.flags());
        }
        if !self.settle(token) {
            return None;
        }
        let received = match (result, lease) {
            (1.., Some(lease)) => Received::Data(lease),
            (0, _) => Received::Eof,
            (error, _) if error == -libc::ENOBUFS => {
                if self.buffers.has_spare() {
                    // Only the kernel's share was used up.
                    self.push_receive(token);
                    return None;
                }
                self.starved = true;
                Received::NoBuffers
            }
            (error, _) => Received::Failed(failure(error)),
        };
        Some(Completion::Received { token, received })
    }

    fn sent(&mut self, token: Token, result: i32) -> Option<Completion> {
        let socket = self.socket(token)?;
        let batch = socket.batch.as_mut()?;
        let result = match result {
            1.. if batch.taken(result as usize) => Ok(()),
            1.. if socket.closing => Err(failure(-libc::ECANCELED)),
            1.. => {
                socket.under_way -= 1;
                self.push_send(token);
                return None;
            }
            0 => Err(io::ErrorKind::WriteZero.into()),
            error => Err(failure(error)),
        };
        let batch = socket.batch.take()?;
        self.settle(token);
        Some(Completion::Sent { token, batch, result })
    }

    fn accepted(&mut self, listener: Token, result: i32, more: bool) -> Option<Completion> {
        // SAFETY: the kernel has just made this descriptor, for us.
        let socket = (result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(result) });
        let open = if more { self.open_socket(listener).is_some() } else { self.settle(listener) };
        if !open {
            return None;
        }
        Some(match socket {
            Some(socket) => {
                if !more {
                    self.push_accept(listener);
                }
                Completion::Accepted { listener, socket }
            }
            None => Completion::AcceptFailed { listener, error: failure(result) },
        })
    }

    /// Counts the end of an operation on a socket, which is the end of a socket that is being closed if it was the
    /// last. Says whether the shard still wants to hear of it.
    fn settle(&mut self, token: Token) -> bool {
        let Some(socket) = self.socket(token) else { return false };
        socket.under_way -= 1;
        let open = !socket.closing;
        if !open && socket.under_way == 0 {
            self.sockets.remove(token.slot());
            self.ready.push_back(Completion::Closed { token });
        }
        open
    }
}

impl Driver for Ring {
    fn listen(&mut self, listener: OwnedFd) -> Token {
        self.insert(listener, true)
    }

    fn accept(&mut self, listener: Token) {
        self.push_accept(listener);
    }

    fn adopt(&mut self, socket: OwnedFd) -> Token {
        self.insert(socket, false)
    }

    fn receive(&mut self, token: Token) {
        self.push_receive(token);
    }

    fn await_bytes(&mut self, token: Token) {
        if self.open_socket(token).is_some() {
            self.push_poll(token, libc::POLLIN, Kind::Readable);
        }
    }

    fn take_in(&mut self, token: Token, pipe: &mut Pipe, len: usize) -> io::Result<()> {
        let socket = self.open_socket(token).ok_or(io::ErrorKind::NotConnected)?;
        match pipe.fill(socket.fd.as_fd(), len)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn buffer(&mut self) -> Option<Lease> {
        self.buffers.take_spare()
    }

    fn send(&mut self, token: Token, mut batch: Box<Batch>) {
        let result = match self.open_socket(token) {
            Some(socket) if !batch.is_empty() => {
                debug_assert!(socket.batch.is_none(), "one send at a time");
                batch.start();
                let has_pipes = batch.has_pipes();
                socket.batch = Some(batch);
                return if has_pipes { self.push_now(token) } else { self.push_send(token) };
            }
            Some(_) => Ok(()),
            None => Err(failure(-libc::ENOTCONN)),
        };
        self.ready.push_back(Completion::Sent { token, batch, result });
    }

    fn await_hang_up(&mut self, token: Token) {
        if self.open_socket(token).is_some() {
            self.push_poll(token, libc::POLLRDHUP, Kind::HangUp);
        }
    }

    fn has_hung_up(&mut self, token: Token) -> bool {
        self.socket(token).is_none_or(|socket| socket::has_hung_up(&socket.fd))
    }

    fn finish(&mut self, token: Token) {
        // Fails when the peer was first.
        self.open_socket(token).into_iter().for_each(|socket| _ = rustix::net::shutdown(&socket.fd, Shutdown::Write));
    }

    fn untaken_bytes(&mut self, token: Token) -> usize {
        self.open_socket(token).map_or(0, |socket| socket::untaken_bytes(&socket.fd))
    }

    fn close(&mut self, token: Token) {
        let Some(socket) = self.open_socket(token) else { return };
        socket.closing = true;
        // Tells the peer at once, whatever is armed. Fails when the peer was first. A listener may be shared with other
        // shards or with a service manager, and must go on for them.
        if !socket.listening {
            let _ = rustix::net::shutdown(&socket.fd, Shutdown::Both);
        }
        if socket.under_way == 0 {
            socket.under_way = 1;
            self.settle(token);
            return;
        }
        let cancel = CancelBuilder::fd(Fd(socket.fd.as_raw_fd())).all();
        socket.under_way += 1;
        // SAFETY: it points to nothing; the descriptor stays open until its completion.
        unsafe { self.begin(opcode::AsyncCancel2::new(cancel).build(), Kind::Cancel, token) };
    }

    fn buffers_free(&mut self) -> usize {
        let free = self.buffers.free();
        self.starved = free == 0;
        free
    }

    fn wake(&mut self, shard: usize) {
        if shard == self.shard {
            self.nudged = true;
        } else if !self.wakes.contains(&shard) {
            self.wakes.push(shard);
        }
    }

    fn wait(&mut self, block: bool, until: Option<Instant>) -> io::Result<()> {
        self.push_wakes();
        // Completions that the shard has not taken yet hold buffers that count as the kernel's.
        let soon = self.receives_queued + self.queues.completions() + BUFFERS_AHEAD;
        self.buffers.provide(self.receives.min(soon));
        self.receives_queued = 0;
        let nudged = mem::take(&mut self.nudged);
        let block = block && !nudged && self.ready.is_empty() && self.queues.completions() == 0;
        if block && let Some(until) = until {
            self.set_alarm(until);
        }
        if !(block && self.starved) {
            return self.queues.enter(block, None);
        }
        // A buffer that comes back from another thread must end the wait, or prevent it.
        self.starved = self.buffers.free() == 0 && self.buffers.starve();
        let result = self.queues.enter(self.starved, None);
        self.buffers.wake_up();
        result
    }

    fn is_ready(&mut self) -> bool {
        self.nudged || !self.ready.is_empty() || self.queues.is_ready()
    }

    fn overflows(&self) -> u64 {
        self.queues.overflows()
    }

    fn next(&mut self) -> Option<Completion> {
        loop {
            if let Some(completion) = self.ready.pop_front() {
                return Some(completion);
            }
            let entry = self.queues.pop()?;
            if let Some(completion) = self.complete(&entry) {
                return Some(completion);
            }
        }
    }

    fn next_at_once(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

impl Drop for Ring {
    /// Closes all sockets and waits until the kernel has let go of every operation, because their memory goes next.
    fn drop(&mut self) {
        self.leaving = true;
        self.registry.leave(self.shard);
        let open: Vec<Token> = self.sockets.iter().map(|(_, socket)| socket.token).collect();
        open.into_iter().for_each(|token| self.close(token));
        let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        // SAFETY: it points to nothing.
        unsafe { self.queues.push(cancel.user_data(Kind::Other.data(NO_SOCKET))) };
        for _ in 0..FAREWELL_TRIES {
            while self.next().is_some() {}
            if self.under_way == 0 || self.queues.enter(true, Some(FAREWELL_WAIT)).is_err() {
                break;
            }
        }
        if self.under_way > 0 {
            // Better lost than freed under the kernel's hands.
            mem::forget(mem::take(&mut self.sockets));
        }
        let _ = self.queues.submitter().unregister_buf_ring(BUFFER_GROUP);
    }
}

/// What a wait for bytes has come to.
fn readable(result: i32) -> Received {
    if result < 0 { Received::Failed(failure(result)) } else { Received::Ready }
}

/// The error that a negative result stands for.
fn failure(result: i32) -> io::Error {
    io::Error::from_raw_os_error(-result)
}
