//! Model tests of receive buffers: every order in which other threads can give them back, while their home takes them,
//! starves or goes.
//!
//! A cell stands for the bytes of each buffer: loom reports whoever reaches it while another thread may still use it. It
//! also reports memory of the region that is not freed, or freed twice.

use std::os::fd::BorrowedFd;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::super::buffers::{Buffers, Lease};
use super::super::registry::Waker;

const BUFFER_BYTES: u32 = 8;

/// A lease on a whole buffer and the cell that stands for its bytes.
struct Held {
    lease: Lease,
    bytes: Arc<UnsafeCell<()>>,
}

fn home(buffers: u16) -> (Buffers, Waker) {
    let waker = Waker::new().expect("a file descriptor is left");
    (Buffers::new(buffers, BUFFER_BYTES, waker.clone()), waker)
}

fn take(buffers: &mut Buffers) -> Held {
    Held { lease: buffers.take_spare().expect("a buffer is free"), bytes: Arc::default() }
}

/// Reads and drops a lease on a thread of its own.
fn read_and_drop(lease: Lease, bytes: &Arc<UnsafeCell<()>>) -> JoinHandle<()> {
    let bytes = bytes.clone();
    thread::spawn(move || {
        bytes.with(|_| ());
        drop(lease);
    })
}

/// Takes the next buffer that comes home.
fn await_spare(buffers: &mut Buffers) -> Lease {
    loop {
        if let Some(lease) = buffers.take_spare() {
            return lease;
        }
        thread::yield_now();
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("the thread ends well"));
}

/// Whether somebody has woken the home.
fn is_woken(waker: &Waker) -> bool {
    // SAFETY: the waker owns the descriptor and lives longer.
    let event = unsafe { BorrowedFd::borrow_raw(waker.event_fd()) };
    rustix::io::read(event, &mut [0; 8]).is_ok()
}

#[test]
fn each_buffer_comes_home_once_and_when_nobody_uses_it() {
    loom::model(|| {
        let (mut buffers, _) = home(2);
        let held = [take(&mut buffers), take(&mut buffers)];
        let all = held.each_ref().map(|held| (held.lease.as_ptr(), held.bytes.clone()));
        let threads = held.map(|held| read_and_drop(held.lease, &held.bytes));
        let back = [await_spare(&mut buffers), await_spare(&mut buffers)];
        for lease in &back {
            let (_, bytes) = all.iter().find(|(start, _)| *start == lease.as_ptr()).expect("it was out");
            bytes.with_mut(|_| ());
        }
        assert_ne!(back[0].as_ptr(), back[1].as_ptr(), "a buffer came home twice");
        join(threads);
    });
}

#[test]
fn a_buffer_comes_home_when_its_last_range_dies() {
    loom::model(|| {
        let (mut buffers, _) = home(1);
        let Held { mut lease, bytes } = take(&mut buffers);
        let head = lease.split_to(3);
        let threads = [read_and_drop(head, &bytes), read_and_drop(lease, &bytes)];
        let _back = await_spare(&mut buffers);
        bytes.with_mut(|_| ());
        join(threads);
    });
}

#[test]
fn a_starved_home_is_woken() {
    loom::model(|| {
        let (mut buffers, waker) = home(2);
        let held = [take(&mut buffers), take(&mut buffers)];
        let threads = held.map(|held| read_and_drop(held.lease, &held.bytes));
        // Woken for another reason, it starves again.
        if buffers.free() == 0 && buffers.starve() {
            buffers.wake_up();
        }
        let sleeps = buffers.free() == 0 && {
            is_woken(&waker);
            buffers.starve()
        };
        join(threads);
        assert!(!sleeps || is_woken(&waker), "nobody wakes the home");
        buffers.wake_up();
        assert_eq!(buffers.free(), 2, "a buffer is lost");
    });
}

#[test]
fn whoever_is_last_frees_the_region() {
    for starved in [false, true] {
        loom::model(move || {
            let (mut buffers, _) = home(2);
            let held = [take(&mut buffers), take(&mut buffers)];
            let threads = held.map(|held| read_and_drop(held.lease, &held.bytes));
            if starved && buffers.free() == 0 {
                buffers.starve();
            }
            drop(buffers);
            join(threads);
        });
    }
}

#[test]
fn whoever_is_last_frees_plain_bytes() {
    loom::model(|| {
        let mut lease = Lease::from_vec(vec![7; 8]);
        let head = lease.split_to(3);
        let thread = thread::spawn(move || assert_eq!(head[..], [7; 3]));
        drop(lease);
        join([thread]);
    });
}
