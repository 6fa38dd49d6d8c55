//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::address::Address;
use crate::error::UsageError;
use crate::scenario::settings::Settings;
use crate::scenario::{self, Kind, Phase, Rate};

const EXAMPLES: &str = "\
Examples:
  minbus-load                                  a tour through a relay of its own, in about 20 s
  minbus-load flood --size 1KiB                only 1 KiB messages one way
  minbus-load rpc --pairs 8 --rate 20000       requests on time, whatever comes back
  minbus-load stream --sweep --html page.html  latency against load, as a page
  minbus-load churn presence --transport tcp   over TCP on the loopback interface
  minbus-load --file nightly.toml --json=a.json
  minbus-load --bus unix:/run/minbus/minbus.sock
                                               through a relay that runs already
  minbus-load compare a.json b.json            is b faster, or is that noise?

Exit status:
  0    each message arrived, once, in order and to the last byte as it was sent
  1    one did not, or something else went wrong; what was measured until then is reported
  2    wrong usage
  130  interrupted: what was measured until then is reported; a second signal ends at once";

/// Puts load on a Min-Bus relay, verifies every byte that comes through, and says how fast it was.
#[derive(Debug, Parser)]
#[command(name = "minbus-load", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) run: Run,
}

/// What else there is to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what a run would do, and do nothing
    Plan(Box<Run>),
    /// Compare two reports (of --json): ratios, their spread, and what is noise
    Compare {
        /// The report to compare with
        #[arg(value_name = "A.json")]
        before: PathBuf,
        /// The report to compare
        #[arg(value_name = "B.json")]
        after: PathBuf,
    },
    /// Measure the generator alone, against no relay at all, beside what the relay carries
    SelfTest {
        /// Measure each part for this long
        #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
        duration_s: f64,
        /// Print one JSON object in place of the table
        #[arg(long)]
        json: bool,
    },
}

/// A run.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What to do, one after the other [default: a tour]
    #[arg(value_enum, value_name = "SCENARIO")]
    scenarios: Vec<Kind>,

    /// Do the phases of this TOML file (docs/load.md); flags win over it
    #[arg(long, value_name = "FILE", conflicts_with = "scenarios")]
    file: Option<PathBuf>,

    #[command(flatten, next_help_heading = "Load")]
    settings: Settings,

    /// The same as --rate sweep: 10 to 95 % of what was measured to go
    #[arg(long, conflicts_with = "rate", help_heading = "Load")]
    sweep: bool,

    #[command(flatten, next_help_heading = "Relay and generator")]
    pub(crate) machine: Machine,

    #[command(flatten, next_help_heading = "Output")]
    pub(crate) output: Output,
}

/// What runs where.
#[derive(Debug, Args)]
pub(crate) struct Machine {
    /// Use the relay at unix:PATH, unix:@NAME (an abstract socket) or tcp:HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bus: Option<Address>,

    /// Start a relay as a process of its own, on temporary sockets [default without --bus]
    #[arg(long, conflicts_with = "bus")]
    pub(crate) embedded: bool,

    /// The process of the relay at --bus, for its use of the CPU [default: whoever listens on the unix socket]
    #[arg(long, value_name = "PID", requires = "bus")]
    pub(crate) relay_pid: Option<u32>,

    /// Threads of the embedded relay
    #[arg(long, value_name = "N", conflicts_with = "bus", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) shards: u32,

    /// Configuration of the embedded relay
    #[arg(long, value_name = "FILE", conflicts_with = "bus")]
    pub(crate) relay_config: Option<PathBuf>,

    /// Threads of the generator [default: one for each CPU that the embedded relay leaves]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: Option<u32>,

    /// Bind neither the relay nor the generator to CPUs
    #[arg(long)]
    pub(crate) no_pin: bool,
}

impl Default for Machine {
    /// An embedded relay with one thread.
    fn default() -> Self {
        Self { bus: None, embedded: true, relay_pid: None, shards: 1, relay_config: None, threads: None, no_pin: false }
    }
}

/// What becomes of the results.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Write the report as JSON to FILE, or to stdout in place of the table
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,

    /// Write a page with all of it to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write the histograms of all intervals to FILE, in the format .hlog of HdrHistogram
    #[arg(long, value_name = "FILE")]
    pub(crate) hdr: Option<PathBuf>,
}

impl Output {
    /// Whether the JSON goes to stdout, in place of the table.
    pub(crate) fn json_on_stdout(&self) -> bool {
        self.json.as_deref().is_some_and(|path| path == Path::new("-"))
    }

    /// Two forms in one file would be none.
    fn check(&self) -> Result<(), UsageError> {
        let json = self.json.as_ref().filter(|_| !self.json_on_stdout());
        let paths: Vec<&PathBuf> = [json, self.html.as_ref(), self.hdr.as_ref()].into_iter().flatten().collect();
        let twice = paths.iter().enumerate().find(|(index, path)| paths[..*index].contains(path));
        twice.map_or(Ok(()), |(_, path)| Err(UsageError::SameFile(path.to_path_buf())))
    }
}

impl Run {
    /// The phases that are asked for.
    pub(crate) fn phases(&self) -> Result<Vec<Phase>, UsageError> {
        if self.machine.bus.is_some() && self.settings.transport.is_some() {
            return Err(UsageError::TransportOfBus);
        }
        self.output.check()?;
        let mut settings = self.settings.clone();
        if self.sweep {
            settings.rate = Some(Rate::Sweep);
        }
        scenario::phases(&self.scenarios, self.file.as_deref(), &settings)
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
        let phases = |line: &str| {
            let flags = Flags::try_parse_from(line.split_whitespace()).expect(line);
            flags.run.phases().expect(line)
        };
        let kinds: Vec<_> = phases("minbus-load flood fan-in --size 100").iter().map(|phase| phase.kind).collect();
        assert_eq!(kinds, [Kind::Flood, Kind::FanIn]);
        assert_eq!(phases("minbus-load rpc --sweep --spin")[0].rate, Rate::Sweep);
        assert_eq!(phases("minbus-load --bus tcp:localhost:7400").len(), 4);
        let line = "minbus-load plan stream --rate 5 --round-trip=false";
        match Flags::try_parse_from(line.split_whitespace()).expect(line).command {
            Some(Command::Plan(run)) => assert_eq!(run.phases().expect(line)[0].rate, Rate::PerSecond(5.0)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "minbus-load splash",
            "minbus-load --size 15",
            "minbus-load --rate fast",
            "minbus-load --rate 5 --sweep",
            "minbus-load --shards 0",
            "minbus-load --bus nowhere",
            "minbus-load --bus unix:/tmp/b --embedded",
            "minbus-load --bus unix:/tmp/b --shards 2",
            "minbus-load --relay-pid 5",
            "minbus-load flood --file x.toml",
            "minbus-load compare a.json",
            "minbus-load flood plan",
        ] {
            assert!(Flags::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
        for line in [
            "minbus-load flood --pairs 0",
            "minbus-load --bus unix:/tmp/b --transport tcp",
            "minbus-load churn --sweep",
            "minbus-load --json=x --html x",
        ] {
            let flags = Flags::try_parse_from(line.split_whitespace()).expect(line);
            assert!(flags.run.phases().is_err(), "{line}");
        }
    }
}
