//! What a run does: phases, one after the other, each of a kind. From flags and a file ([`settings`]) to what has been
//! checked ([`Phase`]), and from there to the steps of each phase.

pub(crate) mod settings;
pub(crate) mod size;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use self::settings::{File, Settings};
use self::size::SizeSpec;
use crate::error::UsageError;
use crate::traffic::sizes::Sizes;

/// What the plugins of a phase do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Messages one way, as fast as they go
    Flood,
    /// Requests and responses
    Rpc,
    /// Messages one way at a rate, whatever happens (an open loop)
    Stream,
    /// Many plugins write to one
    FanIn,
    /// One plugin writes to many
    FanOut,
    /// Each plugin writes to each other
    Mesh,
    /// Large messages one way
    Bulk,
    /// Plugins connect, register, open a channel, exchange a message, close and leave, over and over
    Churn,
    /// Plugins come and go, and watchers are told of it
    Presence,
    /// Bulk beside requests and responses
    Mixed,
    /// Requests and responses alone, and then beside readers that have stopped reading
    Stalled,
}

impl Kind {
    /// Whether a sweep of it has a meaning.
    fn sweeps(self) -> bool {
        !matches!(self, Self::Churn | Self::Presence | Self::Mixed | Self::Stalled)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

/// What a file may say without quotes where it is a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(f64),
    Text(String),
}

impl NumberOrText {
    fn parse<T: FromStr>(self) -> Result<T, T::Err> {
        match self {
            Self::Number(number) => number.to_string().parse(),
            Self::Text(text) => text.parse(),
        }
    }
}

/// How often messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub(crate) enum Rate {
    /// As fast as they go.
    Max,
    /// So many a second, over all channels.
    PerSecond(f64),
    /// At 10 to 95 % of what was measured to go.
    Sweep,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Self::Max),
            "sweep" => Ok(Self::Sweep),
            _ => match text.replace('_', "").parse() {
                Ok(rate) if (0.001..=1e9).contains(&rate) => Ok(Self::PerSecond(rate)),
                _ => Err("a rate is max, sweep, or 0.001 to 1000000000 messages a second".into()),
            },
        }
    }
}

impl TryFrom<NumberOrText> for Rate {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        value.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::PerSecond(rate) => write!(f, "{rate}/s"),
            Self::Sweep => f.write_str("sweep"),
        }
    }
}

/// What carries the bytes to and from the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// Unix stream sockets
    Unix,
    /// TCP on the loopback interface
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Unix { "unix" } else { "tcp" })
    }
}

/// A phase, checked.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) transport: Transport,
    pub(crate) size: SizeSpec,
    pub(crate) request: Sizes,
    pub(crate) response: Sizes,
    pub(crate) bulk: Sizes,
    pub(crate) pairs: u32,
    pub(crate) connections: u32,
    pub(crate) channels: u32,
    pub(crate) bulk_pairs: u32,
    pub(crate) watchers: u32,
    pub(crate) stalled: u32,
    pub(crate) rate: Rate,
    pub(crate) in_flight: u32,
    pub(crate) round_trip: bool,
    pub(crate) spin: Option<bool>,
    pub(crate) duration: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) seed: u64,
}

/// A part of a phase, with plugins of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Step {
    /// What distinguishes it from the other steps; empty if there is but one.
    pub(crate) label: String,
    /// Messages a second, in an open loop.
    pub(crate) rate: Option<f64>,
    /// The share of the capacity that this is.
    pub(crate) load_percent: Option<u32>,
    /// Whether it only finds out how much goes.
    pub(crate) probes: bool,
    /// Whether readers stop that are there for it.
    pub(crate) stalls: bool,
}

/// The shares of the capacity that a sweep goes through, in percent.
pub(crate) const SWEEP_PERCENT: [u32; 10] = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95];

impl Phase {
    /// The steps that are known before anything is measured.
    pub(crate) fn first_steps(&self) -> Vec<Step> {
        let step = Step::default();
        match (self.kind, self.rate) {
            (_, Rate::Sweep) => vec![Step { label: "capacity".into(), probes: true, ..step }],
            (Kind::Stalled, _) => vec![
                Step { label: "alone".into(), ..step.clone() },
                Step { label: format!("beside {}", self.stalled), stalls: true, ..step },
            ],
            (_, Rate::PerSecond(rate)) => vec![Step { rate: Some(rate), ..step }],
            (_, Rate::Max) => vec![step],
        }
    }

    /// The steps that follow when `capacity` messages a second have been measured.
    pub(crate) fn steps_at(&self, capacity: f64) -> Vec<Step> {
        let step = |percent: u32| Step {
            label: format!("{percent} %"),
            rate: Some((capacity * f64::from(percent) / 100.0).max(1.0)),
            load_percent: Some(percent),
            ..Step::default()
        };
        if self.rate == Rate::Sweep { SWEEP_PERCENT.map(step).into() } else { Vec::new() }
    }

    /// How long all of it takes at the least.
    pub(crate) fn time(&self) -> Duration {
        let steps = self.first_steps().len() + self.steps_at(1.0).len();
        (self.warm_up + self.duration) * steps as u32
    }

    /// The settings that matter for its kind, for people to read.
    pub(crate) fn describe(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("transport", self.transport.to_string()), ("size", self.size.to_string())];
        let mut add = |applies: bool, name, value: String| {
            if applies {
                all.push((name, value));
            }
        };
        let in_pairs =
            matches!(self.kind, Kind::Flood | Kind::Rpc | Kind::Stream | Kind::Bulk | Kind::Mixed | Kind::Stalled);
        add(in_pairs, "pairs", self.pairs.to_string());
        add(!in_pairs, "connections", self.connections.to_string());
        add(in_pairs && self.channels > 1, "channels", self.channels.to_string());
        add(self.kind == Kind::Mixed, "bulk pairs", self.bulk_pairs.to_string());
        add(self.kind == Kind::Presence, "watchers", self.watchers.to_string());
        add(self.kind == Kind::Stalled, "stalled readers", self.stalled.to_string());
        add(true, "rate", self.rate.to_string());
        add(self.is_round_trip() && self.rate == Rate::Max, "in flight", self.in_flight.to_string());
        add(true, "seed", self.seed.to_string());
        all
    }

    /// Whether threads of the generator wait without sleeping, given whether each has a CPU to itself: else a latency
    /// would be that of their own wake-ups, too.
    pub(crate) fn spins(&self, has_cpus: bool) -> bool {
        let is_about_latency = self.is_round_trip() || matches!(self.rate, Rate::PerSecond(_) | Rate::Sweep);
        self.spin.unwrap_or(has_cpus && is_about_latency)
    }

    /// Whether messages are answered.
    pub(crate) fn is_round_trip(&self) -> bool {
        self.round_trip || matches!(self.kind, Kind::Rpc | Kind::Mixed | Kind::Stalled)
    }
}

/// The tour: what is done when nothing is said.
fn tour() -> Vec<Settings> {
    let phase = |kind, name: &str, duration_s| Settings {
        scenario: Some(kind),
        name: Some(name.into()),
        duration_s: Some(duration_s),
        ..Settings::default()
    };
    let mut stalled = phase(Kind::Stalled, "stalled", 2.5);
    stalled.stalled = Some(4);
    vec![phase(Kind::Flood, "flood", 4.0), phase(Kind::Rpc, "rpc", 4.0), phase(Kind::Bulk, "bulk", 4.0), stalled]
}

/// The phases of a run: those of the file, or of these kinds, or the tour. Flags win over all of them.
pub(crate) fn phases(kinds: &[Kind], file: Option<&Path>, flags: &Settings) -> Result<Vec<Phase>, UsageError> {
    let settings = match file {
        Some(path) => File::read(path)?.into_settings(),
        None if kinds.is_empty() => tour(),
        None => kinds.iter().map(|&kind| Settings { scenario: Some(kind), ..Settings::default() }).collect(),
    };
    settings.into_iter().map(|phase| flags.clone().or(phase).check()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(kind: Kind, rate: Rate) -> Phase {
        let flags = Settings { rate: Some(rate), ..Settings::default() };
        phases(&[kind], None, &flags).expect("valid").remove(0)
    }

    #[test]
    fn the_tour_takes_about_20_seconds() {
        let phases = phases(&[], None, &Settings::default()).expect("valid");
        let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["flood", "rpc", "bulk", "stalled"]);
        let time: Duration = phases.iter().map(Phase::time).sum();
        assert!((Duration::from_secs(17)..Duration::from_secs(21)).contains(&time), "{time:?}");
    }

    #[test]
    fn a_sweep_has_steps_once_the_capacity_is_known() {
        let phase = phase(Kind::Rpc, Rate::Sweep);
        assert!(phase.first_steps()[0].probes && phase.first_steps().len() == 1);
        let steps = phase.steps_at(1000.0);
        assert_eq!(steps.len(), SWEEP_PERCENT.len());
        assert_eq!((steps[0].rate, steps[9].rate), (Some(100.0), Some(950.0)));
    }

    #[test]
    fn flags_win_over_phases() {
        let flags = Settings { duration_s: Some(1.5), seed: Some(9), ..Settings::default() };
        let phases = phases(&[], None, &flags).expect("valid");
        assert!(phases.iter().all(|phase| phase.duration == Duration::from_millis(1500) && phase.seed == 9));
    }

    #[test]
    fn rates_survive() {
        for (text, rate) in [("max", Rate::Max), ("sweep", Rate::Sweep), ("1_000", Rate::PerSecond(1000.0))] {
            assert_eq!(text.parse(), Ok(rate));
        }
        for text in ["", "-1", "NaN", "0", "fast"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
