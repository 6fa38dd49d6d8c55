//! The baseline for everything that copies: io_uring, two buffers for each direction, so that one receive and one send are
//! always under way, and one system call for all that is due. The only unsafe code of this crate.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Result, ensure};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, shutdown};

use super::BUFFER_BYTES;

/// Entries of the ring: two directions with a receive and a send each.
const ENTRIES: u32 = 8;

/// Buffers of a direction.
const BUFFERS: usize = 2;

/// Bit of `user_data` that tells a send from a receive; the others are the direction.
const SEND: u64 = 2;

/// `IORING_RECVSEND_POLL_FIRST`: waits for something to come before it tries to receive it.
const POLL_FIRST: u16 = 1;

/// Forwards until both ways are over.
pub(super) fn run(one: &OwnedFd, other: &OwnedFd) -> Result<()> {
    let mut ring: IoUring = IoUring::builder()
        .setup_submit_all()
        .setup_coop_taskrun()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(ENTRIES)?;
    ring.submitter().register_files(&[one.as_raw_fd(), other.as_raw_fd()])?;
    ring.submitter().register_ring_fd()?;
    let mut ways = [Way::new(0, other.as_fd()), Way::new(1, one.as_fd())];
    loop {
        for way in &mut ways {
            way.start(&mut ring)?;
        }
        if ways.iter().all(Way::is_over) {
            return Ok(());
        }
        ring.submit_and_wait(1)?;
        // Few at most: they are taken out first, as the queues are one borrow.
        let done: Vec<cqueue::Entry> = ring.completion().collect();
        for entry in done {
            ways[(entry.user_data() & 1) as usize].completed(&entry)?;
        }
    }
}

/// One direction.
struct Way<'a> {
    index: u64,
    to: BorrowedFd<'a>,
    buffers: [Vec<u8>; BUFFERS],
    /// Bytes in each buffer that are to be sent: 0 when it is free.
    full: [usize; BUFFERS],
    /// The buffer to receive into next, and that to send from.
    next: (usize, usize),
    receiving: bool,
    sending: bool,
    /// Whether the last receive has left nothing: then it is better to wait than to try.
    empty: bool,
    over: bool,
}

impl<'a> Way<'a> {
    fn new(index: u64, to: BorrowedFd<'a>) -> Self {
        Self {
            index,
            to,
            buffers: [vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]],
            full: [0; BUFFERS],
            next: (0, 0),
            receiving: false,
            sending: false,
            empty: true,
            over: false,
        }
    }

    fn is_over(&self) -> bool {
        self.over && !self.sending && self.full == [0; BUFFERS]
    }

    /// Starts a receive and a send, where there is none under way and a buffer for it.
    fn start(&mut self, ring: &mut IoUring) -> Result<()> {
        let (receive_into, send_from) = self.next;
        let [from, to] = [self.index, 1 - self.index].map(|index| types::Fixed(index as u32));
        if !self.sending && self.full[send_from] > 0 {
            self.sending = true;
            let send = opcode::Send::new(to, self.buffers[send_from].as_ptr(), self.full[send_from] as u32)
                .flags((SendFlags::NOSIGNAL.bits() | RecvFlags::WAITALL.bits()).cast_signed())
                .build();
            push(ring, &send.user_data(self.index | SEND))?;
        }
        if !self.receiving && !self.over && self.full[receive_into] == 0 {
            self.receiving = true;
            let receive = opcode::Recv::new(from, self.buffers[receive_into].as_mut_ptr(), BUFFER_BYTES as u32)
                .ioprio(if self.empty { POLL_FIRST } else { 0 })
                .build();
            push(ring, &receive.user_data(self.index))?;
        }
        Ok(())
    }

    /// A receive or a send has come to its end.
    fn completed(&mut self, entry: &cqueue::Entry) -> Result<()> {
        let (receive_into, send_from) = &mut self.next;
        let len = usize::try_from(entry.result()).map_err(|_| Errno::from_raw_os_error(-entry.result()))?;
        if entry.user_data() & SEND == 0 {
            self.receiving = false;
            self.empty = !cqueue::sock_nonempty(entry.flags());
            self.full[*receive_into] = len;
            self.over = len == 0;
            *receive_into = (*receive_into + 1) % BUFFERS;
        } else {
            self.sending = false;
            ensure!(len == self.full[*send_from], "only {len} bytes were sent");
            self.full[*send_from] = 0;
            *send_from = (*send_from + 1) % BUFFERS;
        }
        if self.is_over() {
            // Whoever is gone already needs no word.
            let _ = shutdown(self.to, Shutdown::Write);
        }
        Ok(())
    }
}

fn push(ring: &mut IoUring, entry: &squeue::Entry) -> Result<()> {
    // SAFETY: only `Way::start` calls this, with its own buffers. They live as long as the ring does, in `run`, and one
    // that an operation under way points to is not touched before its completion: `receiving` and `sending` say so.
    unsafe { ring.submission().push(entry)? };
    Ok(())
}
