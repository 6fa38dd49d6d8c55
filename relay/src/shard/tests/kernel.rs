//! A kernel in memory: sockets are queues of bytes, time stands still until it is told to move, and nothing completes
//! before the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use engine::batch::Batch;
use engine::buffers::Lease;
use engine::driver::{Completion, Driver, Received, Token};
use engine::pipes::Pipe;
use engine::testing::counting;

/// Receive buffers that the relay is configured to have.
pub(super) const RECEIVE_BUFFERS: usize = 8;

/// One connection, as the kernel has it.
#[derive(Debug, Default)]
pub(super) struct Socket {
    /// Bytes of the plugin that the relay has not received.
    pub(super) inbound: VecDeque<u8>,
    /// Bytes of the relay that the plugin has not read.
    pub(super) outbound: Vec<u8>,
    /// The plugin has closed its end.
    pub(super) hung_up: bool,
    armed: Option<Armed>,
    /// How many bytes are there when the relay is told that there are some.
    shown: usize,
    batch: Option<Box<Batch>>,
    /// The relay wants to hear of it when the plugin closes its end.
    hang_up_awaited: bool,
    /// The relay sends nothing more.
    pub(super) finished: bool,
    /// The relay has asked to close it.
    closing: bool,
    /// The relay has closed it.
    pub(super) closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Armed {
    Receive,
    Await,
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) sockets: BTreeMap<Token, Socket>,
    slots: Vec<bool>,
    adopted: u64,
    ready: VecDeque<Completion>,
    /// Shards to be woken.
    pub(super) wakes: Vec<usize>,
    pub(super) now: Instant,
    /// Receive buffers that are free.
    pub(super) buffers: usize,
}

impl Kernel {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sockets: BTreeMap::new(),
            slots: Vec::new(),
            adopted: 0,
            ready: VecDeque::new(),
            wakes: Vec::new(),
            now,
            buffers: usize::MAX,
        }
    }

    /// The token that was given out last.
    pub(super) fn last_token(&self) -> Token {
        *self.sockets.last_key_value().expect("something was adopted").0
    }

    pub(super) fn has_completions(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Completes an armed receive with at most `len` bytes; returns whether anything happened.
    pub(super) fn finish_receive(&mut self, token: Token, len: usize) -> bool {
        let buffers = self.buffers;
        let Some(socket) = self.sockets.get_mut(&token) else { return false };
        let Some(armed) = socket.armed else { return false };
        let received = if armed == Armed::Await {
            if socket.inbound.is_empty() && !socket.hung_up {
                return false;
            }
            socket.shown = len;
            Received::Ready
        } else if !socket.inbound.is_empty() {
            if buffers == 0 {
                Received::NoBuffers
            } else {
                let len = len.min(socket.inbound.len());
                Received::Data(Lease::from_vec(socket.inbound.drain(..len).collect()))
            }
        } else if socket.hung_up {
            Received::Eof
        } else {
            return false;
        };
        socket.armed = None;
        self.ready.push_back(Completion::Received { token, received });
        true
    }

    /// Completes the send under way; returns whether there was one.
    pub(super) fn finish_send(&mut self, token: Token) -> bool {
        let Some(socket) = self.sockets.get_mut(&token).filter(|socket| !socket.closing) else { return false };
        let Some(mut batch) = socket.batch.take() else { return false };
        batch.copy_to(&mut socket.outbound);
        self.ready.push_back(Completion::Sent { token, batch, result: Ok(()) });
        true
    }

    /// The plugin closes its end.
    pub(super) fn hang_up(&mut self, token: Token) {
        let socket = self.sockets.get_mut(&token).expect("it was adopted");
        socket.hung_up = true;
        if std::mem::take(&mut socket.hang_up_awaited) {
            self.ready.push_back(Completion::HungUp { token });
        }
    }

    fn free(&mut self, token: Token) {
        self.slots[token.slot()] = false;
        self.sockets.get_mut(&token).expect("it was adopted").closed = true;
    }
}

impl Driver for Kernel {
    fn listen(&mut self, _: OwnedFd) -> Token {
        unreachable!("the test has no listeners")
    }

    fn accept(&mut self, _: Token) {}

    fn adopt(&mut self, _: OwnedFd) -> Token {
        counting(false, || {
            let slot = self.slots.iter().position(|taken| !taken).unwrap_or(self.slots.len());
            if slot == self.slots.len() {
                self.slots.push(true);
            }
            self.slots[slot] = true;
            let token = Token(self.adopted << Token::SLOT_BITS | slot as u64);
            self.adopted += 1;
            self.sockets.insert(token, Socket::default());
            token
        })
    }

    fn receive(&mut self, token: Token) {
        let socket = self.sockets.get_mut(&token).expect("receives are for sockets that are there");
        assert!(socket.armed.is_none(), "one receive at a time");
        socket.armed = (!socket.closing).then_some(Armed::Receive);
    }

    fn await_bytes(&mut self, token: Token) {
        self.receive(token);
        let socket = self.sockets.get_mut(&token).expect("receives are for sockets that are there");
        socket.armed = socket.armed.map(|_| Armed::Await);
    }

    fn take_in(&mut self, token: Token, pipe: &mut Pipe, len: usize) -> io::Result<()> {
        counting(false, || {
            let socket = self.sockets.get_mut(&token).expect("it was adopted");
            assert!(socket.armed.is_none() && pipe.is_empty(), "into an empty pipe, with no receive armed");
            let len = len.min(socket.shown).min(pipe.capacity()).min(socket.inbound.len());
            pipe.put(&socket.inbound.drain(..len).collect::<Vec<_>>());
            if len > 0 { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        })
    }

    fn buffer(&mut self) -> Option<Lease> {
        counting(false, || {
            assert!(self.buffers > RECEIVE_BUFFERS / 8, "the last buffers are for those who receive");
            Some(Lease::from_vec(vec![0; 500]))
        })
    }

    fn send(&mut self, token: Token, batch: Box<Batch>) {
        let socket = self.sockets.get_mut(&token).expect("sends are for sockets that are there");
        assert!(socket.batch.is_none() && !socket.closing && !batch.is_empty(), "one send at a time");
        assert!(!socket.finished, "nothing is sent behind the end");
        socket.batch = Some(batch);
    }

    fn await_hang_up(&mut self, token: Token) {
        counting(false, || {
            let socket = self.sockets.get_mut(&token).expect("it was adopted");
            assert!(!socket.hang_up_awaited && !socket.closing, "awaited once");
            socket.hang_up_awaited = true;
            if socket.hung_up {
                self.hang_up(token);
            }
        })
    }

    fn has_hung_up(&mut self, token: Token) -> bool {
        self.sockets[&token].hung_up
    }

    fn finish(&mut self, token: Token) {
        let socket = self.sockets.get_mut(&token).expect("it was adopted");
        assert!(socket.batch.is_none() && !socket.closing, "nothing may be on its way");
        socket.finished = true;
    }

    fn untaken_bytes(&mut self, _: Token) -> usize {
        0
    }

    fn close(&mut self, token: Token) {
        counting(false, || {
            let socket = self.sockets.get_mut(&token).expect("it was adopted");
            assert!(!socket.closing, "closed twice");
            (socket.closing, socket.armed) = (true, None);
            match socket.batch.take() {
                Some(batch) => {
                    let result = Err(io::ErrorKind::ConnectionAborted.into());
                    self.ready.push_back(Completion::Sent { token, batch, result });
                }
                None => {
                    self.free(token);
                    self.ready.push_back(Completion::Closed { token });
                }
            }
        })
    }

    fn buffers_free(&mut self) -> usize {
        self.buffers
    }

    fn wake(&mut self, shard: usize) {
        counting(false, || {
            self.wakes.push(shard);
        })
    }

    fn wait(&mut self, _: bool, _: Option<Instant>) -> io::Result<()> {
        Ok(())
    }

    fn overflows(&self) -> u64 {
        0
    }

    fn is_ready(&mut self) -> bool {
        true
    }

    fn next(&mut self) -> Option<Completion> {
        counting(false, || {
            let completion = self.ready.pop_front()?;
            if let Completion::Sent { token, .. } = completion
                && self.sockets[&token].closing
            {
                // Its slot is free from here on, before the shard has heard of it.
                self.free(token);
                self.ready.push_front(Completion::Closed { token });
            }
            // What was received before the close is not wanted any more.
            match completion {
                Completion::Received { token, .. } if self.sockets[&token].closing => self.next(),
                completion => Some(completion),
            }
        })
    }

    fn next_at_once(&mut self) -> Option<Completion> {
        None
    }

    fn now(&self) -> Instant {
        self.now
    }
}
