//! Buffers full of messages.

use bpmux::{Flags, Kind, chunk};

/// The id of the half on which the messages are: the first that the relay takes, so that giving messages the id that they
/// have towards a reader leaves them as they were.
pub const ID: u64 = 1;

/// How long the payloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// All of this length.
    Alike(usize),
    /// No two in a row of the same length, and this on average.
    Mixed(usize),
}

/// Plain messages of one half, one behind the other.
#[derive(Clone, Debug)]
pub struct Messages {
    /// As they stand on the wire.
    pub bytes: Vec<u8>,
    /// How many they are.
    pub count: usize,
}

impl Messages {
    /// As many as a buffer of `buffer_len` bytes holds whole, but one at least.
    #[must_use]
    pub fn fill(lengths: Lengths, buffer_len: usize) -> Self {
        let mut messages = Self { bytes: Vec::new(), count: 0 };
        loop {
            let message = message(lengths, messages.count);
            if messages.count > 0 && messages.bytes.len() + message.len() > buffer_len {
                return messages;
            }
            messages.bytes.extend_from_slice(&message);
            messages.count += 1;
        }
    }
}

fn message(lengths: Lengths, number: usize) -> Vec<u8> {
    let len = match lengths {
        Lengths::Alike(len) => len,
        // A quarter less and a quarter more, in turn.
        Lengths::Mixed(len) => len - len / 4 + number % 2 * (len / 2),
    };
    let mut message = Vec::new();
    chunk::put_payload_head(Kind::OutSink, Flags::NONE, ID, len as u64, &mut message);
    message.resize(message.len() + len, 0x5a);
    message
}
