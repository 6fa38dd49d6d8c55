//! The report on a terminal: one screen.

use std::fmt::{self, Display};

use super::model::{Flow, Phase, Report, Step};
use super::{machine, notes, text};

/// The report as a table.
#[derive(Debug)]
pub(crate) struct Table<'a>(pub(crate) &'a Report);

/// The least width of the column of names, and the greatest: what is named in a file may be long.
const NAME_MIN: usize = 31;
const NAME_MAX: usize = 38;

/// The longest address and list of CPUs in the first line, in characters, so that it fits.
const ADDRESS_MAX: usize = 50;
const CPUS_MAX: usize = 20;

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        head(f, report)?;
        throughput(f, report)?;
        latencies(f, report)?;
        writeln!(f)?;
        report.warnings.iter().try_for_each(|warning| writeln!(f, "{warning}"))?;
        writeln!(f, "{}", notes::verification(report))?;
        if report.interrupted {
            writeln!(f, "interrupted: these are the numbers until then")?;
        }
        Ok(())
    }
}

fn head(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let on = |cpus: &[usize]| match text::ranges(cpus) {
        list if list.is_empty() => String::new(),
        list => format!(" on CPU {}", text::shortened(&list, CPUS_MAX)),
    };
    let (relay, generator) = (&report.relay, &report.generator);
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    match relay.shards {
        Some(shards) => {
            write!(f, "relay: a process of its own, {shards} shard{}{}", plural(shards as usize), on(&relay.cpus))?;
        }
        None => write!(f, "relay: at {}", text::shortened(&relay.address, ADDRESS_MAX))?,
    }
    writeln!(f, "; generator: {} thread{}{}", generator.threads, plural(generator.threads), on(&generator.cpus))?;
    writeln!(f, "machine: {}", machine::in_short(&report.machine))
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
    let name = match (index, step.flows.len()) {
        (0, 1) => format!("{}, {}", phase.title(step), setting(phase, "size")),
        (0, _) => format!("{}: {}", phase.title(step), flow.label),
        _ => format!("  and {}", flow.label),
    };
    text::shortened(&name, NAME_MAX)
}

fn setting<'a>(phase: &'a Phase, name: &str) -> &'a str {
    phase.settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

/// Width of the column of names.
fn name_width(report: &Report) -> usize {
    let width =
        |(phase, step, index, flow): (&Phase, &Step, usize, &Flow)| name(phase, step, index, flow).chars().count();
    flows(report).map(width).max().unwrap_or(0).max(NAME_MIN)
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
        for ns in latency.columns() {
            write!(f, " {:>9}", text::time(ns as f64))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    /// Columns of a terminal that all lines fit in.
    const COLUMNS: usize = 120;

    fn lines(change: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = synthetic::report(&[1e5; 20]);
        change(&mut report);
        let lines: Vec<String> = Table(&report).to_string().lines().map(str::to_owned).collect();
        for line in &lines {
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
        lines
    }

    #[test]
    fn the_head_says_where_it_ran() {
        let head = lines(|report| report.machine.cpu = "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz".into());
        assert_eq!(head[0], "relay: a process of its own, 1 shard on CPU 0; generator: 1 thread on CPU 1");
        assert_eq!(head[1], "machine: 2 CPUs, Intel Xeon Platinum 8375C, Linux 6.1.0");
    }

    #[test]
    fn lines_fit_whatever_the_machine_is_called() {
        for name in ["", "x", "Intel(R) Xeon(R) Processor", &"Very Long (TM) ".repeat(20), &"W".repeat(200)] {
            for kernel in ["", "6.18.44-fc-v657", &"5.15.0-1234-some-vendor-lowlatency-".repeat(6)] {
                lines(|report| {
                    report.machine.cpu = name.to_owned();
                    report.machine.kernel = kernel.to_owned();
                    report.machine.cpus = 4096;
                });
            }
        }
    }

    #[test]
    fn lines_fit_with_many_cpus_and_long_names() {
        let head = lines(|report| {
            report.relay.shards = Some(256);
            report.relay.cpus = (0..256).collect();
            report.generator.threads = 256;
            // No two beside each other, so that there is no shorter way to say it.
            report.generator.cpus = (256..768).step_by(2).collect();
        });
        assert!(head[0].starts_with("relay: a process of its own, 256 shards on CPU 0-255; generator"), "{}", head[0]);
        let head = lines(|report| {
            report.relay.shards = None;
            report.relay.address = format!("unix:/run/{}/bus.sock", "long".repeat(30));
            report.phases[0].name = "a name that somebody has given in a file, and at length".repeat(2);
        });
        assert!(head[0].starts_with("relay: at unix:/run/long") && head[0].contains("bus.sock"), "{}", head[0]);
    }

    #[test]
    fn what_is_to_be_known_stands_below() {
        let lines = lines(|report| report.warnings = vec!["CPU contention: much".into()]);
        assert_eq!(lines[lines.len() - 2], "CPU contention: much");
        assert!(lines[lines.len() - 1].starts_with("verified: "));
    }
}
