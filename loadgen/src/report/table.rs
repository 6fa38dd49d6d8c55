//! The report on a terminal: one screen.

use std::fmt::{self, Display};

use super::model::{Flow, Phase, Report, Step};
use super::text;
use crate::traffic::verifier::Verdict;

/// The share of the time spent waiting for a CPU, in percent, from which on it is worth a word.
const DISTURBED_PERCENT: f64 = 0.5;

/// The report as a table.
#[derive(Debug)]
pub(crate) struct Table<'a>(pub(crate) &'a Report);

/// The least width of the column of names.
const NAME: usize = 31;

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        head(f, report)?;
        throughput(f, report)?;
        latencies(f, report)?;
        notes(f, report)?;
        verification(f, report)?;
        if report.interrupted {
            writeln!(f, "interrupted: these are the numbers until then")?;
        }
        Ok(())
    }
}

fn head(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let list = |cpus: &[usize]| cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let (relay, generator) = (&report.relay, &report.generator);
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    match relay.shards {
        Some(shards) => {
            write!(f, "relay: a process of its own, {shards} shard{}", plural(shards as usize))?;
            if !relay.cpus.is_empty() {
                write!(f, " on CPU {}", list(&relay.cpus))?;
            }
        }
        None => write!(f, "relay: at {}", relay.address)?,
    }
    write!(f, "; generator: {} thread{}", generator.threads, plural(generator.threads))?;
    if !generator.cpus.is_empty() {
        write!(f, " on CPU {}", list(&generator.cpus))?;
    }
    let machine = &report.machine;
    writeln!(f, " (of {}, {}, Linux {})", machine.cpus, machine.cpu, machine.kernel)
}

/// Steps with at least one message, with each flow of them.
fn flows(report: &Report) -> impl Iterator<Item = (&Phase, &Step, usize, &Flow)> {
    let of_step = |(phase, step)| {
        let step: &Step = step;
        step.flows.iter().enumerate().map(move |(index, flow)| (phase, step, index, flow))
    };
    report.steps().flat_map(of_step)
}

fn name(phase: &Phase, step: &Step, index: usize, flow: &Flow) -> String {
    match (index, step.flows.len()) {
        (0, 1) => format!("{}, {}", phase.title(step), setting(phase, "size")),
        (0, _) => format!("{}: {}", phase.title(step), flow.label),
        _ => format!("  and {}", flow.label),
    }
}

fn setting<'a>(phase: &'a Phase, name: &str) -> &'a str {
    phase.settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Width of the column of names.
fn name_width(report: &Report) -> usize {
    let width =
        |(phase, step, index, flow): (&Phase, &Step, usize, &Flow)| name(phase, step, index, flow).chars().count();
    flows(report).map(width).max().unwrap_or(0).max(NAME)
}

fn throughput(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let width = name_width(report);
    writeln!(
        f,
        "\n{:width$} {:>13} {:>10} {:>10} {:>10} {:>9} {:>13} {:>10}",
        "throughput", "messages/s", "payload", "relay CPU", "per GB", "of a CPU", "credit stalls", "relay RSS"
    )?;
    for (phase, step, index, flow) in flows(report) {
        let first = |text: Option<String>| if index == 0 { text.unwrap_or("-".into()) } else { String::new() };
        let stalls = match flow.credit_stalls {
            0 => "none".into(),
            stalls => format!("{} {:.0} %", text::short_count(stalls as f64), flow.credit_stalled_share * 100.0),
        };
        writeln!(
            f,
            "{:width$} {:>13} {:>10} {:>10} {:>10} {:>9} {:>13} {:>10}",
            name(phase, step, index, flow),
            text::count(flow.messages_per_s),
            if flow.payload_bytes_per_s > 0.0 { text::byte_rate(flow.payload_bytes_per_s) } else { "-".into() },
            first(step.relay_cpu_ns_per_message.map(text::time)),
            first(step.relay_cpu_s_per_gb.map(|s| format!("{s:.3} s"))),
            first(step.relay_cpu_share.map(|share| format!("{:.0} %", share * 100.0))),
            stalls,
            first(step.relay_rss_peak_bytes.map(text::memory)),
        )?;
    }
    Ok(())
}

fn latencies(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if flows(report).all(|(.., flow)| flow.latency.is_none()) {
        return Ok(());
    }
    let width = name_width(report);
    writeln!(
        f,
        "\n{:width$} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "latency", "p50", "p90", "p99", "p99.9", "p99.99", "p99.999", "max"
    )?;
    for (phase, step, index, flow) in flows(report) {
        let Some(latency) = &flow.latency else { continue };
        write!(f, "{:width$}", name(phase, step, index, flow))?;
        let quantiles = [
            latency.p50_ns,
            latency.p90_ns,
            latency.p99_ns,
            latency.p99_9_ns,
            latency.p99_99_ns,
            latency.p99_999_ns,
            latency.max_ns,
        ];
        for ns in quantiles {
            write!(f, " {:>9}", text::time(ns as f64))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn notes(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    writeln!(f)?;
    disturbance(f, report)?;
    for (phase, step, _, flow) in flows(report) {
        let title = phase.title(step);
        if flow.unsent > 0 {
            let unsent = text::count(flow.unsent as f64);
            writeln!(
                f,
                "{title}: {unsent} messages were due and could not be sent; they count as late as they were then"
            )?;
        }
        if flow.elided > 0 {
            let elided = text::count(flow.elided as f64);
            writeln!(f, "{title}: of {elided} visits the relay told watchers neither the join nor the leave")?;
        }
    }
    Ok(())
}

/// Says so if something else had the CPUs: that is in the latencies, too.
fn disturbance(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let most = |of: fn(&Step) -> f64| report.steps().map(|(_, step)| of(step)).fold(0.0, f64::max);
    let relay = most(|step| step.relay_waited_share.unwrap_or(0.0)) * 100.0;
    let generator = most(|step| step.generator_waited_share) * 100.0;
    if relay.max(generator) < DISTURBED_PERCENT {
        return Ok(());
    }
    writeln!(
        f,
        "something else ran here: for a CPU the relay waited up to {relay:.1} % of a step, the generator {generator:.1} %"
    )
}

fn verification(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut sum = Verdict::default();
    report.steps().for_each(|(_, step)| sum += step.verdict);
    let count = |value: u64| text::count(value as f64);
    if sum.sent == 0 {
        return writeln!(f, "nothing was sent");
    }
    if report.verified {
        return writeln!(
            f,
            "verified: {} messages, each byte compared: none lost, duplicated, reordered or corrupted",
            count(sum.received)
        );
    }
    if sum.is_faultless() {
        return writeln!(
            f,
            "NOT VERIFIED to the end: of {} messages sent, {} arrived before it was over, as they were sent",
            count(sum.sent),
            count(sum.received)
        );
    }
    let Verdict { lost, duplicated, reordered, corrupted, .. } = sum;
    writeln!(
        f,
        "NOT VERIFIED: of {} messages sent, {} arrived: {} lost, {} duplicated, {} reordered, {} corrupted",
        count(sum.sent),
        count(sum.received),
        count(lost),
        count(duplicated),
        count(reordered),
        count(corrupted)
    )
}
