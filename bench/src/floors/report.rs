//! What came out: all samples for machines, medians for people.

use serde::Serialize;

use super::case::Case;
use super::sample::Sample;
use super::table::Table;

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) kernel: String,
    pub(super) server_cpu: usize,
    pub(super) plugins_cpu: usize,
    pub(super) window_s: f64,
    pub(super) cases: Vec<Outcome>,
}

/// What was measured in a case.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) title: String,
    /// Who the others are compared with.
    pub(super) floor: &'static str,
    pub(super) entrants: Vec<Series>,
}

/// The samples of an entrant, one for each round.
#[derive(Debug, Serialize)]
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) rounds: Vec<Sample>,
}

impl Outcome {
    pub(super) fn new(case: &Case) -> Self {
        let series = |name| Series { name, rounds: Vec::new() };
        Self {
            name: case.name.clone(),
            title: case.title.clone(),
            floor: case.floor,
            entrants: case.entrants.iter().map(|entrant| series(entrant.name)).collect(),
        }
    }

    /// A table of medians. A ratio is the median of those of each round, in which all ran one after another; behind it
    /// the least and the greatest.
    pub(super) fn table(&self) -> Table {
        match self.entrants.first().and_then(|series| series.rounds.first()) {
            Some(Sample { bytes_each: Some(_), .. }) => self.memory_table(),
            Some(Sample { round_trip: Some(_), .. }) => self.round_trip_table(),
            _ => self.flow_table(),
        }
    }

    fn flow_table(&self) -> Table {
        let mut table = Table::new(&[
            "server",
            "CPU ns/message",
            "CPU s/GB",
            "messages/s",
            "CPU / floor",
            "messages/s / floor",
            "switches/1000",
            "server busy",
            "plugins busy",
        ]);
        for series in &self.entrants {
            table.row(vec![
                series.name.into(),
                significant(series.median(Sample::cpu_ns_per_message)),
                format!("{:.3}", series.median(Sample::cpu_s_per_gb)),
                format!("{:.0}", series.median(Sample::messages_per_s)),
                self.ratio(series, Sample::cpu_ns_per_message),
                self.ratio(series, Sample::messages_per_s),
                significant(series.median(Sample::switches_per_message) * 1e3),
                percent(series.median(|sample| sample.busy()[0])),
                percent(series.median(|sample| sample.busy()[1])),
            ]);
        }
        table
    }

    fn round_trip_table(&self) -> Table {
        let mut table = Table::new(&[
            "server",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "p50 / floor",
            "p99 / floor",
            "CPU us/trip",
            "CPU / floor",
            "switches/trip",
        ]);
        let quantiles: [fn(&Sample) -> f64; 3] = [
            |sample| sample.round_trip.map_or(f64::NAN, |times| times.p50_ns / 1e3),
            |sample| sample.round_trip.map_or(f64::NAN, |times| times.p99_ns / 1e3),
            |sample| sample.round_trip.map_or(f64::NAN, |times| times.p999_ns / 1e3),
        ];
        for series in &self.entrants {
            let mut row = vec![series.name.into()];
            row.extend(quantiles.map(|quantile| format!("{:.1}", series.median(quantile))));
            row.extend(quantiles[..2].iter().map(|quantile| self.ratio(series, quantile)));
            row.push(format!("{:.1}", series.median(Sample::cpu_ns_per_message) / 1e3));
            row.push(self.ratio(series, Sample::cpu_ns_per_message));
            row.push(format!("{:.2}", series.median(Sample::switches_per_message)));
            table.row(row);
        }
        table
    }

    fn memory_table(&self) -> Table {
        let mut table = Table::new(&["server", "bytes each", "least", "greatest"]);
        for series in &self.entrants {
            let bytes = sorted(series.rounds.iter().filter_map(|sample| sample.bytes_each).collect());
            let [median, least, greatest] =
                [median(&bytes), bytes[0], bytes[bytes.len() - 1]].map(|n| format!("{n:.0}"));
            table.row(vec![series.name.into(), median, least, greatest]);
        }
        table
    }

    /// How a series compares with the floor: `median (least-greatest)`.
    fn ratio(&self, series: &Series, figure: impl Fn(&Sample) -> f64) -> String {
        let Some(floor) = self.entrants.iter().find(|series| series.name == self.floor) else { return "-".into() };
        let ratios = series.rounds.iter().zip(&floor.rounds).map(|(mine, its)| figure(mine) / figure(its));
        let ratios = sorted(ratios.collect());
        format!("{:.2} ({:.2}-{:.2})", median(&ratios), ratios[0], ratios[ratios.len() - 1])
    }
}

impl Series {
    fn median(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(&sorted(self.rounds.iter().map(figure).collect()))
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values, at least one.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// Three digits, or all before the point.
fn significant(value: f64) -> String {
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$}")
}
