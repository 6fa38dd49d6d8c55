//! Submission and completion queues of io_uring: entries go in, completions come out, and one system call moves both.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use io_uring::squeue::Entry;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue};

/// An io_uring, used by the one thread that built it.
///
/// The views of the two queues are kept, so that an entry or a completion costs no shared access of its own.
pub(super) struct Queues {
    submission: SubmissionQueue<'static>,
    completion: CompletionQueue<'static>,
    submitter: Submitter<'static>,
    /// Entries for which the kernel had no room at the time.
    backlog: VecDeque<Entry>,
    enter_flags: EnterFlags,
    /// Times that completions waited for room in their queue.
    overflows: u64,
    /// Behind the views in the order of fields, which is the order in which they are dropped.
    ring: Leaked,
}

struct Leaked(*mut IoUring);

impl Drop for Leaked {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and the views into it have been dropped.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl Queues {
    pub(super) fn new(ring: IoUring) -> Queues {
        let mut enter_flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        if ring.params().is_feature_no_iowait() {
            // An idle relay is not a machine that waits for its disks.
            enter_flags |= EnterFlags::NO_IOWAIT;
        }
        let ring = Leaked(Box::into_raw(Box::new(ring)));
        // SAFETY: the ring stays where it is until the views are gone, and nothing else is a way to it.
        let (mut submitter, submission, completion) = unsafe { &mut *ring.0 }.split();
        // Saves looking up the descriptor at each call; without it all works the same.
        let _ = submitter.register_ring_fd();
        Queues { submission, completion, submitter, backlog: VecDeque::new(), enter_flags, overflows: 0, ring }
    }

    pub(super) fn submitter(&self) -> &Submitter<'static> {
        &self.submitter
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring lives as long as `self`, and its descriptor as long as the ring.
        unsafe { BorrowedFd::borrow_raw((*self.ring.0).as_raw_fd()) }
    }

    /// Queues an entry for the next [`Queues::enter`].
    ///
    /// # Safety
    /// All that the entry points to must stay where it is until its completion has come.
    pub(super) unsafe fn push(&mut self, entry: Entry) {
        // SAFETY: passed on to the caller.
        if !self.backlog.is_empty() || unsafe { self.submission.push(&entry) }.is_err() {
            self.push_full(entry);
        }
    }

    /// Makes room by letting the kernel start what is queued. If it cannot, the next `enter` says why.
    #[cold]
    fn push_full(&mut self, entry: Entry) {
        self.backlog.push_back(entry);
        self.submission.sync();
        let _ = self.submitter.submit();
        self.submission.sync();
        self.push_backlog();
    }

    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: the caller of `push` has promised it for this entry.
            if unsafe { self.submission.push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// How many completions are at hand, at least.
    pub(super) fn completions(&mut self) -> usize {
        if self.completion.is_empty() {
            self.completion.sync();
        }
        self.completion.len()
    }

    /// How often completions have found no room in their queue: those that the kernel kept until there was some, counted
    /// once for each call that has made some, and those that it has lost.
    pub(super) fn overflows(&self) -> u64 {
        self.overflows + u64::from(self.completion.overflow())
    }

    /// Whether a completion is at hand, or the kernel has work for this thread that may yield some.
    pub(super) fn is_ready(&mut self) -> bool {
        self.submission.taskrun() || self.completions() > 0
    }

    /// The next completion, if one is at hand.
    pub(super) fn pop(&mut self) -> Option<cqueue::Entry> {
        self.completion.next().or_else(|| {
            self.completion.sync();
            self.completion.next()
        })
    }

    /// Starts what is queued and lets the kernel finish what it can; with `block` waits for a completion, no longer
    /// than `timeout` if there is one. Returns early on signals and when the kernel is short of memory.
    pub(super) fn enter(&mut self, block: bool, timeout: Option<Duration>) -> io::Result<()> {
        self.push_backlog();
        self.submission.sync();
        let queued = self.submission.len();
        let overflows = self.submission.cq_overflow();
        if !block && queued == 0 && !self.submission.taskrun() && !overflows {
            return Ok(());
        }
        self.overflows += u64::from(overflows);
        let time = timeout.map(Timespec::from);
        let args = time.as_ref().map_or(SubmitArgs::new(), |time| SubmitArgs::new().timespec(time));
        let flags = self.enter_flags.bits();
        // SAFETY: with EXT_ARG the argument is what `SubmitArgs` stands for, and the entries were promised to `push`.
        let result = unsafe { self.submitter.enter(queued as u32, u32::from(block), flags, Some(&args)) };
        self.submission.sync();
        self.completion.sync();
        match result {
            Err(error) if !is_passing(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        // The registration would keep the ring alive as long as the thread.
        let _ = self.submitter.unregister_ring_fd();
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY))
}
