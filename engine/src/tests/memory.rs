//! Leases and batches against plain vectors that do the same; the kernel is played by the test.

use std::collections::BTreeSet;
use std::thread;

use io_uring::types::BufRingEntry;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::batch::{Batch, Gather};
use crate::buffers::{Buffers, Lease};
use crate::head_arena::HeadArena;
use crate::pipes::Pipes;
use crate::registry::Waker;

const BUFFERS: u16 = 3;
const BUFFER_BYTES: u32 = 64;

fn buffers() -> (Buffers, Kernel) {
    (Buffers::new(BUFFERS, BUFFER_BYTES, Waker::new().unwrap()), Kernel::default())
}

/// Plays the kernel: takes buffers from the ring in order and fills them.
#[derive(Default)]
struct Kernel {
    head: u16,
}

impl Kernel {
    fn fill(&mut self, buffers: &mut Buffers, bytes: &[u8]) -> (u16, Lease) {
        let entries = std::ptr::with_exposed_provenance::<BufRingEntry>(buffers.ring_address() as usize);
        // SAFETY: the caller has seen to a buffer being provided: its entry is valid, and nobody else has the buffer.
        unsafe {
            let entry = &*entries.add(usize::from(self.head % buffers.ring_entries()));
            assert_eq!(entry.len(), BUFFER_BYTES);
            let to = std::ptr::with_exposed_provenance_mut::<u8>(entry.addr() as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            self.head = self.head.wrapping_add(1);
            (entry.bid(), buffers.take(entry.bid(), bytes.len()))
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Fill(Vec<u8>),
    Split(Index, Index),
    Advance(Index, Index),
    Truncate(Index, Index),
    Write(Index, u8),
    Drop(Index),
    DropElsewhere(Index),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 1..=BUFFER_BYTES as usize).prop_map(Act::Fill),
        3 => any::<(Index, Index)>().prop_map(|(lease, at)| Act::Split(lease, at)),
        1 => any::<(Index, Index)>().prop_map(|(lease, at)| Act::Advance(lease, at)),
        1 => any::<(Index, Index)>().prop_map(|(lease, at)| Act::Truncate(lease, at)),
        2 => any::<(Index, u8)>().prop_map(|(lease, byte)| Act::Write(lease, byte)),
        4 => any::<Index>().prop_map(Act::Drop),
        1 => any::<Index>().prop_map(Act::DropElsewhere),
    ]
}

proptest! {
    #[test]
    fn leases_own_their_ranges_and_give_buffers_back_once(acts in prop::collection::vec(act(), 1..80)) {
        let (mut buffers, mut kernel) = buffers();
        let mut leases: Vec<(u16, Lease, Vec<u8>)> = Vec::new();
        for act in acts {
            match act {
                Act::Fill(bytes) if buffers.free() > 0 => {
                    buffers.provide(1);
                    let (slot, lease) = kernel.fill(&mut buffers, &bytes);
                    leases.push((slot, lease, bytes));
                }
                _ if leases.is_empty() => {}
                Act::Fill(_) => prop_assert!(!buffers.has_spare()),
                Act::Split(which, at) => {
                    let (slot, lease, model) = which.get_mut(&mut leases);
                    let at = at.index(model.len() + 1);
                    let head = lease.split_to(at);
                    let tail = model.split_off(at);
                    let split = (*slot, head, std::mem::replace(model, tail));
                    leases.push(split);
                }
                Act::Advance(which, at) => {
                    let (_, lease, model) = which.get_mut(&mut leases);
                    let at = at.index(model.len() + 1);
                    lease.advance(at);
                    model.drain(..at);
                }
                Act::Truncate(which, at) => {
                    let (_, lease, model) = which.get_mut(&mut leases);
                    let at = at.index(model.len() + 10);
                    lease.truncate(at);
                    model.truncate(at);
                }
                Act::Write(which, byte) => {
                    let (_, lease, model) = which.get_mut(&mut leases);
                    lease.fill(byte);
                    model.fill(byte);
                }
                Act::Drop(which) => drop(leases.swap_remove(which.index(leases.len()))),
                Act::DropElsewhere(which) => {
                    let (_, lease, _) = leases.swap_remove(which.index(leases.len()));
                    thread::spawn(|| drop(lease)).join().unwrap();
                }
            }
            for (_, lease, model) in &leases {
                prop_assert_eq!(&lease[..], &model[..]);
            }
            let held: BTreeSet<u16> = leases.iter().map(|(slot, ..)| *slot).collect();
            prop_assert_eq!(buffers.free(), usize::from(BUFFERS) - held.len());
        }
        // The rest outlives its home.
        drop(buffers);
        for (_, lease, model) in &leases {
            prop_assert_eq!(&lease[..], &model[..]);
        }
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Put(Vec<u8>),
    Encode(Vec<u8>),
    Lease(Vec<u8>),
    Block(Vec<u8>),
    Static(&'static [u8]),
    Pipe(Vec<u8>),
    /// Two ranges of one buffer, one behind the other.
    Neighbours(Vec<u8>, Index),
    Clear,
}

fn piece() -> impl Strategy<Value = Piece> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        10 => bytes().prop_map(Piece::Put),
        10 => bytes().prop_map(Piece::Encode),
        10 => bytes().prop_map(Piece::Lease),
        10 => bytes().prop_map(Piece::Block),
        10 => (0..20_usize).prop_map(|len| Piece::Static(&b"bytes that live for ever"[..len])),
        5 => bytes().prop_map(Piece::Pipe),
        10 => (bytes(), any::<Index>()).prop_map(|(bytes, at)| Piece::Neighbours(bytes, at)),
        1 => Just(Piece::Clear),
    ]
}

/// What the kernel would read, if it took so many bytes at most.
fn read(batch: &mut Batch, take: usize) -> Vec<u8> {
    // SAFETY: the addresses lead into the batch, which is not touched while they are read.
    let mut bytes = unsafe {
        match batch.gather() {
            Gather::One { start, len } => std::slice::from_raw_parts(start, len as usize).to_vec(),
            Gather::Many(header) => {
                let parts = std::slice::from_raw_parts((*header).msg_iov, (*header).msg_iovlen);
                assert!((2..=1024).contains(&parts.len()));
                let bytes = |part: &libc::iovec| std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len);
                parts.iter().map(bytes).collect::<Vec<_>>().concat()
            }
            Gather::Piped(pipe) => {
                let mut bytes = vec![0; pipe.len().min(take)];
                pipe.read(&mut bytes);
                bytes
            }
        }
    };
    bytes.truncate(take);
    bytes
}

proptest! {
    #[test]
    fn batches_go_out_in_order_whatever_the_kernel_takes(
        pieces in prop::collection::vec(piece(), 0..40),
        takes in prop::collection::vec(1_usize..50, 1..20),
    ) {
        let pipes = Pipes::new(40, 1);
        let mut head_arena = HeadArena::new();
        let mut batch = Batch::new();
        let mut model = Vec::new();
        for piece in pieces {
            match &piece {
                Piece::Put(bytes)
                | Piece::Encode(bytes)
                | Piece::Lease(bytes)
                | Piece::Block(bytes)
                | Piece::Pipe(bytes)
                | Piece::Neighbours(bytes, _) => {
                    model.extend_from_slice(bytes);
                }
                Piece::Static(bytes) => model.extend_from_slice(bytes),
                Piece::Clear => model.clear(),
            }
            match piece {
                Piece::Put(bytes) => batch.put(&bytes),
                Piece::Encode(bytes) => batch.staged().extend(bytes),
                Piece::Lease(bytes) => batch.lease(Lease::from_vec(bytes)),
                Piece::Block(bytes) => batch.block(bytes),
                Piece::Static(bytes) => batch.put_static(bytes),
                Piece::Pipe(bytes) => {
                    let mut pipe = pipes.take().unwrap();
                    let (first, rest) = bytes.split_at(bytes.len() / 2);
                    pipe.append_head(first, &mut head_arena);
                    pipe.put(rest);
                    batch.pipe(pipe);
                }
                Piece::Neighbours(bytes, at) => {
                    let at = at.index(bytes.len() + 1);
                    let mut lease = Lease::from_vec(bytes);
                    let head = lease.split_to(at);
                    batch.lease(head);
                    batch.lease(lease);
                }
                Piece::Clear => batch.clear(drop),
            }
            prop_assert_eq!(batch.len(), model.len());
            prop_assert_eq!(batch.is_empty(), model.is_empty());
            if !batch.has_pipes() {
                let mut copy = Vec::new();
                batch.copy_to(&mut copy);
                prop_assert_eq!(copy, &model[..]);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut out = Vec::new();
        batch.start();
        for take in takes.iter().cycle() {
            let taken = read(&mut batch, *take);
            prop_assert!(!taken.is_empty());
            out.extend_from_slice(&taken);
            if batch.taken(taken.len()) {
                break;
            }
        }
        prop_assert_eq!(out, model);
    }
}

#[test]
fn neighbours_go_out_as_one_part() {
    let (mut buffers, mut kernel) = buffers();
    buffers.provide(2);
    let (_, mut one) = kernel.fill(&mut buffers, &[1; BUFFER_BYTES as usize]);
    let (_, other) = kernel.fill(&mut buffers, &[2; BUFFER_BYTES as usize]);
    let mut batch = Batch::new();
    let head = one.split_to(10);
    batch.lease(head);
    batch.lease(one);
    assert_eq!((batch.parts(), batch.len()), (1, 64));
    // Another buffer may lie right behind the first, and must not be taken for a part of it.
    batch.lease(other);
    assert_eq!((batch.parts(), batch.len()), (2, 128));
    assert_eq!(buffers.free(), 1);
    batch.clear(drop);
    assert_eq!(buffers.free(), 3);
}

/// Pipes refer to what is on a arena: it stays as it is, whatever is written behind it and when the arena is gone.
#[test]
fn what_is_in_a_head_arena_stays() {
    const BYTES: usize = 1000;
    let pipes = Pipes::new(2, 1 << 20);
    let mut head_arena = HeadArena::new();
    let mut pipe = pipes.take().unwrap();
    (0..200).for_each(|round| pipe.append_head(&[round; BYTES], &mut head_arena));
    assert!(pipe.len() == 200 * BYTES && !pipe.is_full());
    drop(head_arena);
    let mut out = Vec::new();
    pipe.copy_to(&mut out);
    let expected: Vec<u8> = (0..200).flat_map(|round| [round; BYTES]).collect();
    assert!(out == expected, "bytes have changed");
}

#[test]
fn a_trimmed_batch_keeps_room_within_bounds() {
    let mut batch = Batch::new();
    batch.put(&vec![0; 1 << 20]);
    (0..5000).for_each(|_| batch.lease(Lease::from_vec(vec![0])));
    batch.clear(drop);
    assert!(batch.staged().capacity() >= 1 << 20);
    batch.trim();
    let kept = batch.staged().capacity();
    assert!((1..=64 * 1024).contains(&kept), "keeps {kept} bytes");
}

#[test]
fn the_buffer_used_last_is_used_next() {
    let (mut buffers, mut kernel) = buffers();
    let mut slots = BTreeSet::new();
    for round in 0..10 {
        buffers.provide(1);
        let (slot, lease) = kernel.fill(&mut buffers, &[round]);
        slots.insert(slot);
        drop(lease);
    }
    assert_eq!(slots.len(), 1);
}

#[test]
fn leases_die_on_many_threads_while_their_home_goes() {
    for _ in 0..300 {
        let (mut buffers, mut kernel) = buffers();
        buffers.provide(3);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (_, mut lease) = kernel.fill(&mut buffers, &[7; 20]);
                let head = lease.split_to(5);
                [thread::spawn(move || assert_eq!(&head[..], [7; 5])), thread::spawn(|| drop(lease))]
            })
            .collect();
        if buffers.free() == 0 {
            let _ = buffers.starve();
        }
        drop(buffers);
        threads.into_iter().flatten().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn starving_is_refused_when_a_buffer_is_back() {
    let (mut buffers, mut kernel) = buffers();
    buffers.provide(3);
    let (_, lease) = kernel.fill(&mut buffers, &[0]);
    assert!(buffers.starve());
    buffers.wake_up();
    drop(lease);
    assert!(!buffers.starve());
    buffers.wake_up();
    assert_eq!(buffers.free(), 3);
    assert!(buffers.starve());
}
