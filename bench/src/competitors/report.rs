//! What came out: all samples for machines, medians for people.

use serde::Serialize;

use super::case::{Case, Traffic};
use super::competitor::Competitor;
use super::figures::{Figures, Stalled};
use crate::baseline::outcome::Spread;
use crate::baseline::sample::Sample;
use crate::baseline::table::{Table, micros, percent, significant};
use crate::rounds::Head;

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) competitors: Vec<About>,
    pub(super) cases: Vec<Outcome>,
}

/// Who took part.
#[derive(Debug, Serialize)]
pub(super) struct About {
    name: &'static str,
    version: String,
    settings: &'static str,
    /// Why it did not.
    missing: Option<String>,
}

/// What was measured in a case.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    name: String,
    title: String,
    #[serde(skip)]
    traffic: Traffic,
    #[serde(skip)]
    flow_size: Option<usize>,
    #[serde(skip)]
    is_tcp: bool,
    competitors: Vec<Series>,
}

/// The figures of a competitor, one for each round.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    name: &'static str,
    /// Whether it passes messages on to whom they are addressed.
    #[serde(skip)]
    is_bus: bool,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    pub(super) rounds: Vec<Figures>,
}

/// The head of a column, and what stands in it.
type Column = (&'static str, fn(&Outcome, &Series) -> String);

impl About {
    pub(super) fn of(competitor: &Competitor) -> Self {
        let missing = competitor.missing();
        let version = if missing.is_some() { "-".to_owned() } else { competitor.version() };
        Self { name: competitor.name, version, settings: competitor.settings, missing }
    }
}

impl Report {
    /// What was to be reached.
    pub(super) fn summary(&self) -> String {
        format!("Ahead of the others\n{}", self.goals().text())
    }

    /// All of it.
    pub(super) fn markdown(&self) -> String {
        let mut text = self.head.text();
        let mut competitors = Table::new("competitor", ["version", "settings"].into_iter());
        for About { name, version, settings, missing } in &self.competitors {
            let what = missing.clone().unwrap_or_else(|| (*settings).to_owned());
            competitors.row(name, [version.clone(), what].into_iter());
        }
        text += &format!(
            "\n### Who took part\n\n{}\n### Ahead of the others\n\n{}",
            competitors.markdown(),
            self.goals().markdown()
        );
        for case in &self.cases {
            text += &format!("\n### {}\n\n{}", case.heading(), case.table().markdown());
            case.absences().iter().for_each(|absence| text += &format!("\n{absence}\n"));
        }
        text
    }

    /// A row for each one-way case: how far ahead minbus is of the best of the others.
    fn goals(&self) -> Table {
        let heads = ["compared with", "their CPU / ours", "goal", "reached"];
        let mut table = Table::new("case", heads.into_iter());
        for outcome in &self.cases {
            for (name, goal) in outcome.goals() {
                let Some(ratio) = outcome.ratio(name, Sample::cpu_ns_per_message) else { continue };
                let reached = if ratio.median >= goal { "yes" } else { "no" };
                let cells = [name.to_owned(), ratio.text(2), format!("at least {goal}"), reached.to_owned()];
                table.row(&outcome.name, cells.into_iter());
            }
        }
        table
    }
}

/// How far the relay is to be ahead of NATS with small messages.
const NATS_GOAL: f64 = 4.0;

impl Outcome {
    pub(super) fn new(case: &Case, competitors: Vec<Series>) -> Self {
        let is_tcp = case.transport == crate::baseline::server::Transport::Tcp;
        let (name, title) = (case.name.clone(), case.title.clone());
        Self { name, title, traffic: case.traffic, flow_size: case.flow_size(), is_tcp, competitors }
    }

    pub(super) fn heading(&self) -> String {
        format!("{} (`{}`)", self.title, self.name)
    }

    /// Whom the relay is to be ahead of here, and how far: everybody who delivers messages, and where these are large also
    /// the proxy, which only moves bytes.
    fn goals(&self) -> Vec<(&'static str, f64)> {
        let Some(size) = self.flow_size else { return Vec::new() };
        let others = self
            .competitors
            .iter()
            .skip(1)
            .filter(|series| series.is_bus || series.name == "haproxy" && size >= 64 << 10);
        let is_small_tcp = size == 64 && self.is_tcp;
        others
            .map(|series| (series.name, if series.name == "nats" && is_small_tcp { NATS_GOAL } else { 1.0 }))
            .collect()
    }

    /// A figure of a competitor as a multiple of ours: of the ratios of each round the median, the least and the greatest.
    fn ratio(&self, name: &str, figure: fn(&Sample) -> f64) -> Option<Spread> {
        let ours = &self.competitors.first()?.rounds;
        let theirs = &self.competitors.iter().find(|series| series.name == name)?.rounds;
        Spread::of(theirs.iter().zip(ours).map(|(their, our)| figure(&their.sample) / figure(&our.sample)))
    }

    /// A table of medians.
    pub(super) fn table(&self) -> Table {
        let columns: &[Column] = match self.traffic {
            Traffic::Flow { .. } => &FLOW,
            Traffic::Closed => &TRIPS,
            Traffic::Open => &RATE,
            Traffic::Stalled => &STALLED,
            Traffic::Idle(_) => &IDLE,
        };
        let mut table = Table::new("", columns.iter().map(|(head, _)| *head));
        for series in &self.competitors {
            match &series.failure {
                Some(_) => table.row(series.name, columns.iter().map(|_| "-".to_owned())),
                None => table.row(series.name, columns.iter().map(|(_, cell)| cell(self, series))),
            }
        }
        table
    }

    /// Who did not take part, and why.
    pub(super) fn absences(&self) -> Vec<String> {
        let absent = self.competitors.iter().filter_map(|series| Some((series.name, series.failure.as_ref()?)));
        absent.map(|(name, why)| format!("{name}: {why}")).collect()
    }
}

impl Series {
    pub(super) fn of(competitor: &Competitor) -> Self {
        Self { name: competitor.name, is_bus: competitor.is_bus(), failure: competitor.missing(), rounds: Vec::new() }
    }

    fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        Spread::of(self.rounds.iter().map(figure)).map_or(f64::NAN, |spread| spread.median)
    }

    fn stalled(&self, figure: impl Fn(&Stalled) -> f64) -> f64 {
        self.median(|figures| figures.stalled.as_ref().map_or(f64::NAN, &figure))
    }
}

const CPU_RATIO: Column = ("CPU / minbus", |outcome, series| ratio(outcome, series, Sample::cpu_ns_per_message));
const PEAK: Column = ("RSS peak MiB", |_, series| mebibytes(series.median(|figures| figures.memory_peak_bytes as f64)));
const LOST: Column = ("lost", |_, series| series.rounds.iter().map(|figures| figures.lost).sum::<u64>().to_string());
const BUSY: Column = ("server busy", |_, series| percent(series.median(|figures| figures.sample.busy()[0])));

const FLOW: [Column; 7] = [
    ("CPU ns/message", |_, series| significant(series.median(|figures| figures.sample.cpu_ns_per_message()))),
    ("CPU s/GB", |_, series| format!("{:.3}", series.median(|figures| figures.sample.cpu_s_per_gb()))),
    CPU_RATIO,
    ("messages/s", |_, series| format!("{:.0}", series.median(|figures| figures.sample.messages_per_s()))),
    BUSY,
    PEAK,
    LOST,
];

const P50: Column = ("p50 µs", |_, series| micros(series.median(|figures| figures.sample.p50_ns())));
const P99: Column = ("p99 µs", |_, series| micros(series.median(|figures| figures.sample.p99_ns())));
const P999: Column = ("p99.9 µs", |_, series| micros(series.median(|figures| figures.sample.p999_ns())));
const CPU_TRIP: Column =
    ("CPU µs/trip", |_, series| micros(series.median(|figures| figures.sample.cpu_ns_per_message())));

const TRIPS: [Column; 6] =
    [P50, P99, P999, ("p50 / minbus", |outcome, series| ratio(outcome, series, Sample::p50_ns)), CPU_TRIP, CPU_RATIO];

const RATE: [Column; 6] = [
    ("can carry/s", |_, series| format!("{:.0}", series.median(|figures| figures.capacity_per_s.unwrap_or(f64::NAN)))),
    ("carried/s", |_, series| format!("{:.0}", series.median(|figures| figures.sample.messages_per_s()))),
    P50,
    P99,
    P999,
    CPU_TRIP,
];

const STALLED: [Column; 8] = [
    ("alone: trips/s", |_, series| format!("{:.0}", series.stalled(|stalled| stalled.alone_per_s))),
    ("p99 µs", |_, series| micros(series.stalled(|stalled| stalled.alone.p99_ns))),
    ("beside: trips/s", |_, series| format!("{:.0}", series.stalled(|stalled| stalled.beside_per_s))),
    ("p99 µs", |_, series| micros(series.stalled(|stalled| stalled.beside.p99_ns))),
    ("the writer is", |_, series| {
        let last = series.rounds.last().and_then(|figures| figures.stalled);
        last.map_or("-", |stalled| stalled.fate.text()).to_owned()
    }),
    ("taken MiB", |_, series| mebibytes(series.stalled(|stalled| stalled.taken_bytes))),
    ("lost MiB", |_, series| mebibytes(series.median(|figures| (figures.lost * STALLED_SIZE) as f64))),
    ("RSS growth MiB", |_, series| mebibytes(series.stalled(|stalled| stalled.memory_growth_bytes))),
];

/// Bytes of a message to a reader that stands still.
const STALLED_SIZE: u64 = super::stalled::SIZE as u64;

const IDLE: [Column; 1] = [("KiB each", |_, series| {
    Spread::of(series.rounds.iter().map(|figures| figures.sample.bytes_each() / 1024.0))
        .map_or_else(|| "-".to_owned(), |spread| spread.text(1))
})];

fn ratio(outcome: &Outcome, series: &Series, figure: fn(&Sample) -> f64) -> String {
    outcome.ratio(series.name, figure).map_or_else(|| "-".to_owned(), |spread| spread.text(2))
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1}", bytes / f64::from(1 << 20))
}
