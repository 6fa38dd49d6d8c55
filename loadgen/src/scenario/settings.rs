//! Settings as they are given, by flags or in a file, and the check that makes a phase of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use super::size::SizeSpec;
use super::{Kind, Phase, Rate, Transport};
use crate::error::UsageError;

/// Plugins of one kind in a phase.
const PLUGINS_MAX: u32 = 1_000_000;

/// A phase lasts 10 ms to a week.
const DURATION_S: (f64, f64) = (0.01, 7.0 * 86_400.0);

/// A phase that does not say how long it lasts.
const DURATION_S_DEFAULT: f64 = 5.0;

/// The longest warm-up that nobody has asked for: connections, caches and credit are at their usual state long before.
const WARM_UP_S_DEFAULT: f64 = 0.5;

/// The settings of a phase that were given.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// What it is called in the report.
    #[arg(skip)]
    pub(crate) name: Option<String>,

    #[arg(skip)]
    pub(crate) scenario: Option<Kind>,

    /// Bytes of messages: 64, 4KiB, 16..1024, or @FILE with a size and a weight in each line
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: Option<SizeSpec>,

    /// Bytes of responses [default: those of messages]
    #[arg(long, value_name = "SIZE")]
    pub(crate) response_size: Option<SizeSpec>,

    /// Bytes of the messages that requests and responses are beside (mixed, stalled)
    #[arg(long, value_name = "SIZE")]
    pub(crate) bulk_size: Option<SizeSpec>,

    /// Plugins that write, each to a reader of its own
    #[arg(long, value_name = "N")]
    pub(crate) pairs: Option<u32>,

    /// Plugins that write (fan-in), read (fan-out), do both (mesh), or come and go (churn, presence)
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<u32>,

    /// Channels that each writer of a pair opens, to as many readers
    #[arg(long, value_name = "N")]
    pub(crate) channels: Option<u32>,

    /// Pairs with bulk (mixed)
    #[arg(long, value_name = "N")]
    pub(crate) bulk_pairs: Option<u32>,

    /// Plugins that watch (presence)
    #[arg(long, value_name = "N")]
    pub(crate) watchers: Option<u32>,

    /// Readers that stop reading (stalled)
    #[arg(long, value_name = "N")]
    pub(crate) stalled: Option<u32>,

    /// Messages a second over all channels, sent on time whatever comes back; max; or sweep: 10 to 95 % of what goes
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,

    /// Requests on a channel that may be unanswered, where there is no rate
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<u32>,

    /// Whether messages are answered (fan-in, fan-out, mesh)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) round_trip: Option<bool>,

    /// Whether threads of the generator never sleep, so that no latency is that of their own waking [default: where
    /// latency is measured and each thread has a CPU of its own]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) spin: Option<bool>,

    /// Measure each step for this long [default: 5]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration_s: Option<f64>,

    /// Run for this long before that [default: as long, at most 0.5]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) warm_up_s: Option<f64>,

    /// Chooses sizes and content
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// What carries the bytes to and from the embedded relay [default: unix]
    #[arg(long, value_enum)]
    pub(crate) transport: Option<Transport>,
}

impl Settings {
    /// These, and those of `other` where these say nothing.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            scenario: self.scenario.or(other.scenario),
            size: self.size.or(other.size),
            response_size: self.response_size.or(other.response_size),
            bulk_size: self.bulk_size.or(other.bulk_size),
            pairs: self.pairs.or(other.pairs),
            connections: self.connections.or(other.connections),
            channels: self.channels.or(other.channels),
            bulk_pairs: self.bulk_pairs.or(other.bulk_pairs),
            watchers: self.watchers.or(other.watchers),
            stalled: self.stalled.or(other.stalled),
            rate: self.rate.or(other.rate),
            in_flight: self.in_flight.or(other.in_flight),
            round_trip: self.round_trip.or(other.round_trip),
            spin: self.spin.or(other.spin),
            duration_s: self.duration_s.or(other.duration_s),
            warm_up_s: self.warm_up_s.or(other.warm_up_s),
            seed: self.seed.or(other.seed),
            transport: self.transport.or(other.transport),
        }
    }

    /// The phase that they make.
    pub(crate) fn check(self) -> Result<Phase, UsageError> {
        let kind = self.scenario.ok_or(UsageError::NoScenario)?;
        let (size, bulk) = default_sizes(kind);
        let size = self.size.unwrap_or(SizeSpec::Fixed(size));
        let connections = if matches!(kind, Kind::FanIn | Kind::FanOut) { 16 } else { 8 };
        let rate = if kind == Kind::Stream { Rate::PerSecond(100_000.0) } else { Rate::Max };
        let duration_s = self.duration_s.unwrap_or(DURATION_S_DEFAULT);
        let phase = Phase {
            name: self.name.unwrap_or_else(|| kind.to_string()),
            kind,
            transport: self.transport.unwrap_or(Transport::Unix),
            request: size.resolve()?,
            response: self.response_size.as_ref().unwrap_or(&size).resolve()?,
            bulk: self.bulk_size.unwrap_or(SizeSpec::Fixed(bulk)).resolve()?,
            size,
            pairs: count("pairs", self.pairs, 1)?,
            connections: count("connections", self.connections, connections)?,
            channels: count("channels", self.channels, 1)?,
            bulk_pairs: count("bulk-pairs", self.bulk_pairs, 1)?,
            watchers: count("watchers", self.watchers, 8)?,
            stalled: count("stalled", self.stalled, 4)?,
            rate: self.rate.unwrap_or(rate),
            in_flight: count("in-flight", self.in_flight, 1)?,
            round_trip: self.round_trip.unwrap_or(false),
            spin: self.spin,
            duration: seconds("duration-s", duration_s, DURATION_S)?,
            warm_up: seconds(
                "warm-up-s",
                self.warm_up_s.unwrap_or(duration_s.min(WARM_UP_S_DEFAULT)),
                (0.0, DURATION_S.1),
            )?,
            seed: self.seed.unwrap_or(1),
        };
        if phase.rate == Rate::Sweep && !kind.sweeps() {
            return Err(UsageError::NoSweep(kind.to_string()));
        }
        if kind == Kind::Mesh && phase.connections < 2 {
            return Err(UsageError::Count { name: "connections", max: PLUGINS_MAX });
        }
        Ok(phase)
    }
}

/// Sizes of messages and of bulk, in bytes, where nothing is said.
fn default_sizes(kind: Kind) -> (usize, usize) {
    match kind {
        Kind::Bulk => (1 << 20, 1 << 20),
        Kind::Stalled => (64, 64 << 10),
        _ => (64, 1 << 20),
    }
}

fn count(name: &'static str, given: Option<u32>, default: u32) -> Result<u32, UsageError> {
    match given.unwrap_or(default) {
        count @ 1..=PLUGINS_MAX => Ok(count),
        _ => Err(UsageError::Count { name, max: PLUGINS_MAX }),
    }
}

fn seconds(name: &'static str, given: f64, (min, max): (f64, f64)) -> Result<Duration, UsageError> {
    if (min..=max).contains(&given) {
        Ok(Duration::from_secs_f64(given))
    } else {
        Err(UsageError::Seconds { name, min, max })
    }
}

/// A file of phases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Settings of all phases that do not say otherwise.
    #[serde(default)]
    defaults: Settings,
    phase: Vec<Settings>,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, UsageError> {
        let unreadable = |source| UsageError::Unreadable { path: PathBuf::from(path), source };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text).map_err(|source| UsageError::Toml { path: path.into(), source: Box::new(source) })
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The phases in order.
    pub(crate) fn into_settings(self) -> Vec<Settings> {
        self.phase.into_iter().map(|phase| phase.or(self.defaults.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_defaults_and_phases() {
        let text = "[defaults]\nduration_s = 2\nsize = \"1 KiB\"\n\
                    [[phase]]\nscenario = \"flood\"\nsize = 64\n\
                    [[phase]]\nname = \"calls\"\nscenario = \"rpc\"\nrate = 5000\npairs = 3\n\
                    [[phase]]\nscenario = \"fan-in\"\nrate = \"sweep\"\nround_trip = true\n";
        let settings = File::parse(text).expect("valid").into_settings();
        let phases: Vec<Phase> = settings.into_iter().map(|settings| settings.check().expect("valid")).collect();
        assert_eq!(phases[0].request, crate::traffic::sizes::Sizes::Fixed(64));
        assert_eq!(phases[1].request, crate::traffic::sizes::Sizes::Fixed(1024));
        assert_eq!((phases[1].name.as_str(), phases[1].rate, phases[1].pairs), ("calls", Rate::PerSecond(5000.0), 3));
        assert!(phases[2].rate == Rate::Sweep && phases[2].round_trip);
        assert!(phases.iter().all(|phase| phase.duration == Duration::from_secs(2)));
    }

    #[test]
    fn mistakes_are_refused() {
        for text in ["", "[[phase]]\nscenario = \"splash\"", "[[phase]]\nsizes = 5", "[[phase]]\nsize = 5", "phase = 1"]
        {
            assert!(File::parse(text).is_err(), "{text}");
        }
        let check = |settings: Settings| settings.check().map(|_| ()).map_err(|error| error.to_string());
        let flood = Settings { scenario: Some(Kind::Flood), ..Settings::default() };
        assert_eq!(check(flood.clone()), Ok(()));
        assert!(check(Settings::default()).is_err());
        for wrong in [
            Settings { pairs: Some(0), ..flood.clone() },
            Settings { duration_s: Some(0.0), ..flood.clone() },
            Settings { duration_s: Some(f64::NAN), ..flood.clone() },
            Settings { warm_up_s: Some(-1.0), ..flood.clone() },
            Settings { scenario: Some(Kind::Churn), rate: Some(Rate::Sweep), ..flood.clone() },
            Settings { scenario: Some(Kind::Mesh), connections: Some(1), ..flood },
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong:?}");
        }
    }
}
