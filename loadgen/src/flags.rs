//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::address::Address;
use crate::payload::STAMP;

/// The longest message, in bytes.
const SIZE_MAX: u64 = 16 << 20;

/// The longest phase, in seconds: a week.
const DURATION_S_MAX: f64 = 7.0 * 86_400.0;

const EXAMPLES: &str = "\
Examples:
  minbus-load                                  all of it, through a relay of its own, in about 17 s
  minbus-load flood --size 1024                only 1 KiB messages one way
  minbus-load ping-pong --transport tcp        round trips over TCP on the loopback interface
  minbus-load --shards 2 --duration-s 10       a relay with two threads, longer
  minbus-load --bus unix:/run/minbus/minbus.sock --json
                                               through a relay that runs already, for a program to read

Exit status:
  0    each message arrived, once, in order and to the last byte as it was sent
  1    one did not, or nothing could be measured
  2    wrong usage
  130  interrupted: what was measured until then is reported; a second signal ends at once";

/// Sends data from one plugin to another through a Min-Bus relay, verifies every byte of it, and says how fast it was.
#[derive(Debug, Parser)]
#[command(name = "minbus-load", version, after_help = EXAMPLES)]
pub(crate) struct Flags {
    /// What to do [default: all, one after the other]
    #[arg(value_enum, value_name = "PHASE")]
    phases: Vec<Phase>,

    /// Use the relay at unix:PATH or tcp:HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bus: Option<Address>,

    /// Start a relay as a process of its own, on a temporary socket [default without --bus]
    #[arg(long, conflicts_with = "bus")]
    embedded: bool,

    /// What carries the bytes to and from the embedded relay
    #[arg(long, value_enum, conflicts_with = "bus", default_value_t = Transport::Unix)]
    pub(crate) transport: Transport,

    /// Threads of the embedded relay
    #[arg(long, value_name = "N", conflicts_with = "bus", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) shards: u32,

    /// Measure each phase for this long, after a warm-up of at most half a second
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = duration)]
    pub(crate) duration_s: Duration,

    /// Bytes of each message, at least 16 [default: 64, and for a second flood 65536]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(STAMP as u64..=SIZE_MAX))]
    size: Option<u64>,

    /// Print one JSON object in place of the table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What two plugins do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// Messages one way, as fast as they go
    Flood,
    /// One message there and one back, over and over
    PingPong,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Unix stream sockets
    Unix,
    /// TCP on the loopback interface
    Tcp,
}

/// A phase to run, with the size of its messages in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Flood(usize),
    PingPong(usize),
}

impl Flags {
    /// What is to be done, in order.
    pub(crate) fn tasks(&self) -> Vec<Task> {
        let sizes = |defaults: &[usize]| self.size.map_or_else(|| defaults.to_vec(), |size| vec![size as usize]);
        let asked = |phase| self.phases.is_empty() || self.phases.contains(&phase);
        let mut tasks = Vec::new();
        if asked(Phase::Flood) {
            tasks.extend(sizes(&[64, 65_536]).into_iter().map(Task::Flood));
        }
        if asked(Phase::PingPong) {
            tasks.extend(sizes(&[64]).into_iter().map(Task::PingPong));
        }
        tasks
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=DURATION_S_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("a phase lasts 0.01 to {DURATION_S_MAX} seconds")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn flags_choose_what_is_done() {
        let check = |line: &str, expected: &[Task]| {
            let flags = Flags::try_parse_from(line.split_whitespace()).expect(line);
            assert_eq!(flags.tasks(), expected, "{line}");
        };
        check("minbus-load", &[Task::Flood(64), Task::Flood(65_536), Task::PingPong(64)]);
        check("minbus-load --size 100 --duration-s 0.5", &[Task::Flood(100), Task::PingPong(100)]);
        check("minbus-load ping-pong --embedded --shards 2", &[Task::PingPong(64)]);
        check("minbus-load flood --bus tcp:localhost:7400", &[Task::Flood(64), Task::Flood(65_536)]);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "minbus-load splash",
            "minbus-load --size 15",
            "minbus-load --size 16777217",
            "minbus-load --duration-s 0",
            "minbus-load --duration-s NaN",
            "minbus-load --shards 0",
            "minbus-load --bus nowhere",
            "minbus-load --bus unix:/tmp/b --embedded",
            "minbus-load --bus unix:/tmp/b --shards 2",
            "minbus-load --bus unix:/tmp/b --transport tcp",
        ] {
            assert!(Flags::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
