//! What was measured, as a table for people or as JSON for programs.

use std::fmt::{self, Display};
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::HumanCount;
use serde::Serialize;

use crate::phase::Outcome;
use crate::verifier::Verdict;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) address: String,
    pub(crate) transport: &'static str,
    pub(crate) cpus: usize,
    /// The relay, if it was ours.
    pub(crate) relay: Option<Relay>,
    pub(crate) phases: Vec<Phase>,
    /// Whether a signal cut it short.
    pub(crate) interrupted: bool,
    /// Whether something was sent, and each message of each phase arrived once, in order and as it was sent.
    pub(crate) verified: bool,
}

/// An embedded relay.
#[derive(Debug, Serialize)]
pub(crate) struct Relay {
    pub(crate) pid: u32,
    pub(crate) shards: u32,
    pub(crate) rss_peak_bytes: u64,
}

/// What was measured in a phase. A message of a ping-pong is a round trip.
#[derive(Debug, Serialize)]
pub(crate) struct Phase {
    name: &'static str,
    message_bytes: usize,
    elapsed_s: f64,
    messages: u64,
    messages_per_s: f64,
    /// Payload alone; of a round trip, that of one way.
    payload_bytes_per_s: f64,
    relay_cpu_ns_per_message: Option<f64>,
    relay_cpu_s_per_gb: Option<f64>,
    generator_cpu_ns_per_message: Option<f64>,
    round_trip: Option<RoundTrip>,
    /// About the warm-up too.
    verdict: Verdict,
}

/// How long round trips took.
#[derive(Debug, Serialize)]
struct RoundTrip {
    p50_ns: u64,
    p99_ns: u64,
    p99_9_ns: u64,
    max_ns: u64,
}

impl Phase {
    pub(crate) fn flood(message_bytes: usize, outcome: &Outcome) -> Self {
        Self::new("flood", message_bytes, outcome, None)
    }

    pub(crate) fn ping_pong(message_bytes: usize, outcome: &Outcome, times_ns: &Histogram<u64>) -> Self {
        let round_trip = RoundTrip {
            p50_ns: times_ns.value_at_quantile(0.5),
            p99_ns: times_ns.value_at_quantile(0.99),
            p99_9_ns: times_ns.value_at_quantile(0.999),
            max_ns: times_ns.max(),
        };
        Self::new("ping-pong", message_bytes, outcome, (!times_ns.is_empty()).then_some(round_trip))
    }

    fn new(name: &'static str, message_bytes: usize, outcome: &Outcome, round_trip: Option<RoundTrip>) -> Self {
        let Outcome { window, verdict } = outcome;
        let elapsed_s = window.elapsed.as_secs_f64();
        let messages = window.messages as f64;
        let per_message = |ns: u64| (window.messages > 0).then_some(ns as f64 / messages);
        let per_s = |count: f64| if elapsed_s > 0.0 { count / elapsed_s } else { 0.0 };
        let relay_cpu_ns_per_message = window.relay_cpu_ns.and_then(per_message);
        Self {
            name,
            message_bytes,
            elapsed_s,
            messages: window.messages,
            messages_per_s: per_s(messages),
            payload_bytes_per_s: per_s(messages * message_bytes as f64),
            relay_cpu_ns_per_message,
            // A nanosecond per byte is a second per gigabyte.
            relay_cpu_s_per_gb: relay_cpu_ns_per_message.map(|ns| ns / message_bytes as f64),
            generator_cpu_ns_per_message: per_message(window.generator_cpu_ns),
            round_trip,
            verdict: *verdict,
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.verdict.is_clean()
    }

    /// The line of a flood in the table.
    fn flood_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {:>9}  {:>13}  {:>9.1}  {:>13}  {:>12}  {:>13}",
            bytes(self.message_bytes),
            HumanCount(self.messages_per_s as u64).to_string(),
            self.payload_bytes_per_s / 1e6,
            self.relay_cpu_ns_per_message.map_or("-".into(), nanoseconds),
            self.relay_cpu_s_per_gb.map_or("-".into(), |s| format!("{s:.3} s")),
            self.generator_cpu_ns_per_message.map_or("-".into(), nanoseconds),
        )
    }

    /// The line of a ping-pong in the table.
    fn ping_pong_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |of: fn(&RoundTrip) -> u64| {
            self.round_trip.as_ref().map_or("-".into(), |times| nanoseconds(of(times) as f64))
        };
        writeln!(
            f,
            "  {:>9}  {:>13}  {:>9}  {:>9}  {:>9}  {:>9}  {:>13}",
            bytes(self.message_bytes),
            HumanCount(self.messages_per_s as u64).to_string(),
            time(|times| times.p50_ns),
            time(|times| times.p99_ns),
            time(|times| times.p99_9_ns),
            time(|times| times.max_ns),
            self.relay_cpu_ns_per_message.map_or("-".into(), nanoseconds),
        )
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, cpus, address, .. } = self;
        match &self.relay {
            Some(Relay { shards, pid, .. }) => writeln!(
                f,
                "Two plugins over {transport} through a relay process of its own ({shards} shard{}, pid {pid}), on {cpus} CPUs",
                if *shards == 1 { "" } else { "s" }
            )?,
            None => writeln!(f, "Two plugins over {transport} through the relay at {address}, on {cpus} CPUs")?,
        }
        let (floods, ping_pongs): (Vec<_>, Vec<_>) = self.phases.iter().partition(|phase| phase.name == "flood");
        if !floods.is_empty() {
            writeln!(f, "\nflood: one way, many messages in each write")?;
            writeln!(f, "    message     messages/s       MB/s  relay CPU/msg  relay CPU/GB  both ends/msg")?;
            floods.iter().try_for_each(|phase| phase.flood_line(f))?;
        }
        if !ping_pongs.is_empty() {
            writeln!(f, "\nping-pong: one message there and one back at a time")?;
            writeln!(f, "    message  round trips/s        p50        p99      p99.9        max  relay CPU/rtt")?;
            ping_pongs.iter().try_for_each(|phase| phase.ping_pong_line(f))?;
        }
        writeln!(f)?;
        if let Some(relay) = &self.relay {
            writeln!(
                f,
                "relay memory: {:.1} MiB resident at the most",
                relay.rss_peak_bytes as f64 / f64::from(1 << 20)
            )?;
        }
        self.verification(f)?;
        if self.interrupted {
            writeln!(f, "interrupted: these are the numbers until then")?;
        }
        Ok(())
    }
}

impl Report {
    /// Whether no phase has found anything wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.phases.iter().all(Phase::is_clean)
    }

    fn verification(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = |of: fn(&Verdict) -> u64| -> u64 { self.phases.iter().map(|phase| of(&phase.verdict)).sum() };
        let count = |of| HumanCount(sum(of));
        let payload: f64 =
            self.phases.iter().map(|phase| phase.verdict.received as f64 * phase.message_bytes as f64).sum();
        if self.phases.is_empty() {
            return writeln!(f, "nothing was sent");
        }
        if self.verified {
            return writeln!(
                f,
                "verified: {} messages ({:.2} GB), each byte compared: none lost, duplicated, reordered or corrupted",
                count(|verdict| verdict.received),
                payload / 1e9
            );
        }
        writeln!(
            f,
            "NOT VERIFIED: of {} messages sent, {} arrived: {} lost, {} duplicated, {} reordered, {} corrupted",
            count(|verdict| verdict.sent),
            count(|verdict| verdict.received),
            count(|verdict| verdict.lost),
            count(|verdict| verdict.duplicated),
            count(|verdict| verdict.reordered),
            count(|verdict| verdict.corrupted),
        )
    }
}

/// A size in its largest whole unit.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        _ if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ if count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        _ => format!("{count} B"),
    }
}

/// A time with three digits.
fn nanoseconds(ns: f64) -> String {
    let (value, unit) = match Duration::from_nanos(ns as u64) {
        time if time < Duration::from_micros(1) => (ns, "ns"),
        time if time < Duration::from_millis(1) => (ns / 1e3, "µs"),
        time if time < Duration::from_secs(1) => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phase::Window;

    fn report(verdict: Verdict) -> Report {
        let window = Window {
            elapsed: Duration::from_secs(2),
            messages: 4_000_000,
            relay_cpu_ns: Some(1_000_000_000),
            generator_cpu_ns: 800_000_000,
        };
        let outcome = Outcome { window, verdict };
        let mut times = Histogram::new(3).expect("valid bounds");
        times.record_n(20_000, 99).expect("in bounds");
        times.record(1_500_000).expect("in bounds");
        Report {
            version: "1",
            address: "unix:/tmp/bus.sock".into(),
            transport: "unix sockets",
            cpus: 2,
            relay: Some(Relay { pid: 7, shards: 1, rss_peak_bytes: 3 << 20 }),
            phases: vec![Phase::flood(64, &outcome), Phase::ping_pong(1024, &outcome, &times)],
            interrupted: false,
            verified: verdict.is_clean(),
        }
    }

    const CLEAN: Verdict =
        Verdict { sent: 5_000_000, received: 5_000_000, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };

    #[test]
    fn the_numbers_are_right_and_stand_in_the_table() {
        let report = report(CLEAN);
        let text = report.to_string();
        for number in ["2,000,000", "128.0", "250 ns", "3.906 s", "200 ns", "20.0 µs", "1.50 ms", "3.0 MiB", "1 shard,"]
        {
            assert!(text.contains(number), "{text}lacks {number}");
        }
        assert!(text.contains("verified: 10,000,000 messages (5.44 GB)"), "{text}");
        assert!(text.lines().count() < 24 && text.lines().all(|line| line.chars().count() <= 120), "{text}");
        let json = serde_json::to_value(&report).expect("serializable");
        assert_eq!(json["phases"][0]["messages_per_s"], 2e6);
        assert_eq!(json["phases"][1]["round_trip"]["p50_ns"], 20_015);
        assert_eq!(json["verified"], true);
    }

    #[test]
    fn what_went_wrong_is_said() {
        let nothing = Report { phases: Vec::new(), verified: false, ..report(CLEAN) };
        assert!(nothing.is_clean() && nothing.to_string().contains("nothing was sent"), "{nothing}");
        let text = report(Verdict { received: 4_999_999, lost: 1, ..CLEAN }).to_string();
        assert!(text.contains("NOT VERIFIED: of 10,000,000 messages sent, 9,999,998 arrived: 2 lost"), "{text}");
    }
}
