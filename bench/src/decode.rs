//! Reading a buffer of messages over and over, for a look at what a message costs before the kernel sees it.

use std::hint::black_box;
use std::time::Instant;

use anyhow::Result;
use bench::{Lengths, Messages, Reader, Sessions};
use clap::{Args, ValueEnum};

use crate::console;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How to read them
    #[arg(long, value_enum, default_value_t = Way::Events)]
    way: Way,
    /// Bytes of payload in each message
    #[arg(long, default_value_t = 64)]
    payload: usize,
    /// Payloads of other lengths in turn, as long on average
    #[arg(long)]
    mixed: bool,
    /// Bytes in the buffer
    #[arg(long, default_value_t = 64 << 10)]
    buffer: usize,
    /// How many times the buffer is read
    #[arg(long, default_value_t = 10_000)]
    rounds: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Event by event
    Events,
    /// As runs, giving each message a new id
    Run,
    /// As runs, on to another plugin of a relay
    Forward,
}

/// Prints the time that one message took.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let lengths = if flags.mixed { Lengths::Mixed(flags.payload) } else { Lengths::Alike(flags.payload) };
    let Messages { mut bytes, count } = Messages::fill(lengths, flags.buffer);
    let mut reader = Reader::default();
    let mut sessions = Sessions::default();
    let start = Instant::now();
    for _ in 0..flags.rounds {
        black_box(match flags.way {
            Way::Events => reader.read_events(black_box(&bytes)),
            Way::Run => reader.read_run(black_box(&mut bytes)),
            Way::Forward => sessions.forward(black_box(&mut bytes)),
        });
    }
    let count = count as f64 * f64::from(flags.rounds);
    console::say(format_args!("{count} messages, {:.2} ns each", start.elapsed().as_nanos() as f64 / count))
}
