//! Random bytes that are made as they are written and hashed as they are read, so that no more than a block of them is
//! ever in memory.

use std::io::{ErrorKind, Read, Write};

use fastrand::Rng;
use sha2::{Digest, Sha256};

const BLOCK_LEN: usize = 64 * 1024;

/// A length, and the SHA-256 of that many bytes.
pub(super) type Sum = (u64, [u8; 32]);

/// Bytes that follow from their seed.
struct Random {
    rng: Rng,
    block: Vec<u8>,
    left: u64,
}

impl Random {
    fn new(seed: u64, len: u64) -> Self {
        Self { rng: Rng::with_seed(seed), block: vec![0; BLOCK_LEN], left: len }
    }

    fn next(&mut self) -> Option<&[u8]> {
        let len = self.left.min(BLOCK_LEN as u64);
        self.left -= len;
        let block = &mut self.block[..len as usize];
        self.rng.fill(block);
        (len > 0).then_some(block)
    }
}

/// Writes so many bytes.
pub(super) fn write(seed: u64, len: u64, mut to: impl Write) {
    let mut random = Random::new(seed, len);
    while let Some(block) = random.next() {
        to.write_all(block).expect("the tool takes all its input");
    }
}

/// Writes until nobody reads any more.
pub(super) fn write_without_end(mut to: impl Write) {
    let mut random = Random::new(0, u64::MAX);
    while let Some(block) = random.next() {
        if let Err(error) = to.write_all(block) {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            return;
        }
    }
}

/// What the bytes of a seed add up to.
pub(super) fn sum(seed: u64, len: u64) -> Sum {
    let mut hash = Sha256::new();
    let mut random = Random::new(seed, len);
    while let Some(block) = random.next() {
        hash.update(block);
    }
    (len, hash.finalize().into())
}

/// Reads to the end.
pub(super) fn sum_of(mut from: impl Read) -> Sum {
    let (mut hash, mut len, mut block) = (Sha256::new(), 0, vec![0; BLOCK_LEN]);
    loop {
        let read = from.read(&mut block).expect("the output can be read");
        if read == 0 {
            return (len, hash.finalize().into());
        }
        hash.update(&block[..read]);
        len += read as u64;
    }
}

/// Reads so many bytes, or to the end.
pub(super) fn skip(from: impl Read, len: u64) {
    let skipped = std::io::copy(&mut from.take(len), &mut std::io::sink()).expect("the output can be read");
    assert_eq!(skipped, len, "the bytes end too early");
}
