//! `bench`: measurements that are better taken by a plain program than by criterion, such as a count of instructions:
//! `valgrind --tool=callgrind --toggle-collect='*read_*' bench decode --way run`.

use std::hint::black_box;
use std::time::Instant;

use bench::{Reader, messages, messages_in};
use clap::{Parser, ValueEnum};

/// Benchmarks of Min-Bus.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Reads a buffer of messages again and again, and prints the time that one message took
    Decode {
        /// How to read them
        #[arg(long, value_enum, default_value_t = Way::Events)]
        way: Way,
        /// Bytes of payload in each message
        #[arg(long, default_value_t = 64)]
        payload: usize,
        /// Bytes in the buffer
        #[arg(long, default_value_t = 64 << 10)]
        buffer: usize,
        /// How many times the buffer is read
        #[arg(long, default_value_t = 10_000)]
        rounds: u32,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// Event by event
    Events,
    /// As runs, giving each message a new id
    Run,
}

fn main() {
    let Command::Decode { way, payload, buffer, rounds } = Command::parse();
    let count = messages_in(buffer, payload);
    let mut input = messages(payload, count);
    let mut reader = Reader::default();
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(match way {
            Way::Events => reader.read_events(black_box(&input)),
            Way::Run => reader.read_run(black_box(&mut input)),
        });
    }
    let count = count as f64 * f64::from(rounds);
    println!("{count} messages, {:.2} ns each", start.elapsed().as_nanos() as f64 / count);
}
