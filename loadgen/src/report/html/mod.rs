//! The report as one page that needs nothing else: style and drawings are within it, and it asks no network for anything.

mod chart;
mod charts;

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use super::model::{Flow, Phase, Report, Step};
use super::{notes, text};

const STYLE: &str = include_str!("page.css");

/// The page of a report.
pub(crate) fn page(report: &Report) -> String {
    let mut page = String::new();
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    // An icon of its own keeps browsers from asking for one.
    page.push_str("<link rel=\"icon\" href=\"data:,\">\n<title>minbus-load</title>\n<style>\n");
    page.push_str(STYLE);
    page.push_str("</style>\n</head>\n<body>\n");
    head(report, &mut page);
    for phase in &report.phases {
        section(phase, &mut page);
    }
    surroundings(report, &mut page);
    page.push_str("</body>\n</html>\n");
    page
}

/// Text as it stands in a page.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Appends a line.
macro_rules! put {
    ($page:expr, $($arguments:tt)*) => {
        writeln!($page, $($arguments)*).expect("writing to memory does not fail")
    };
}

fn head(report: &Report, page: &mut String) {
    put!(page, "<header><h1>minbus-load</h1>");
    let relay = match report.relay.shards {
        Some(1) => "a relay of its own, 1 shard".to_owned(),
        Some(shards) => format!("a relay of its own, {shards} shards"),
        None => format!("the relay at {}", report.relay.address),
    };
    let machine = &report.machine;
    let line = format!(
        "{} · through {relay} · {}, {} CPUs",
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(report.begun_s)),
        machine.cpu,
        machine.cpus
    );
    put!(page, "<p class=\"soft\">{}</p>", escape(&line));
    let (class, cut) = match (report.verified, report.interrupted) {
        (true, false) => ("good", ""),
        (true, true) => ("good", "interrupted; until then "),
        (false, _) => ("bad", ""),
    };
    put!(page, "<span class=\"verdict {class}\">{cut}{}</span>", escape(&notes::verification(report)));
    for warning in &report.warnings {
        put!(page, "<p class=\"warning\">{}</p>", escape(warning));
    }
    for error in &report.errors {
        put!(page, "<p class=\"error\">{}</p>", escape(error));
    }
    put!(page, "</header>");
}

fn section(phase: &Phase, page: &mut String) {
    let settings: Vec<String> = phase.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
    put!(page, "<section><h2>{} <small>{}</small></h2>", escape(&phase.name), escape(&settings.join(" · ")));
    if let Some(step) = phase.steps.last().filter(|_| !phase.is_sweep()).or(phase.steps.first()) {
        tiles(phase, step, page);
    }
    page.push_str("<div class=\"charts\">\n");
    charts::of(phase).iter().for_each(|chart| page.push_str(&chart.card()));
    page.push_str("</div>\n");
    table(phase, page);
    page.push_str("</section>\n");
}

/// The numbers that matter most, of the step that the phase is about.
fn tiles(phase: &Phase, step: &Step, page: &mut String) {
    let Some(flow) = step.flows.first() else { return };
    let mut tiles = vec![(text::count(flow.messages_per_s), format!("{} a second", flow.unit))];
    if flow.payload_bytes_per_s > 0.0 {
        tiles.push((text::byte_rate(flow.payload_bytes_per_s), "payload".into()));
    }
    if let Some(latency) = &flow.latency {
        tiles.push((text::time(latency.p50_ns as f64), "median latency".into()));
        tiles.push((text::time(latency.p99_ns as f64), "99 % within".into()));
    }
    if let Some(ns) = step.relay_cpu_ns_per_message {
        tiles.push((text::time(ns), "relay CPU for each".into()));
    }
    if let Some(bytes) = step.relay_rss_peak_bytes {
        tiles.push((text::memory(bytes), "relay memory, peak".into()));
    }
    if phase.steps.len() > 1 {
        put!(page, "<p class=\"soft\">{}</p>", escape(&phase.title(step)));
    }
    page.push_str("<div class=\"tiles\">\n");
    for (number, what) in tiles {
        put!(page, "<div class=\"tile\"><b>{}</b><span>{}</span></div>", escape(&number), escape(&what));
    }
    page.push_str("</div>\n");
}

/// All numbers of a phase.
fn table(phase: &Phase, page: &mut String) {
    page.push_str("<div class=\"card wide\"><table>\n<tr>");
    let columns = [
        "",
        "a second",
        "payload",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "p99.99",
        "p99.999",
        "max",
        "credit stalls",
        "relay CPU",
        "per GB",
        "of a CPU",
        "memory",
    ];
    columns.iter().for_each(|column| write!(page, "<th>{column}</th>").expect("writing to memory does not fail"));
    page.push_str("</tr>\n");
    for step in &phase.steps {
        for (index, flow) in step.flows.iter().enumerate() {
            row(step, index, flow, page);
        }
    }
    page.push_str("</table></div>\n");
}

fn row(step: &Step, index: usize, flow: &Flow, page: &mut String) {
    let name = if step.label.is_empty() { flow.label.clone() } else { format!("{}: {}", step.label, flow.label) };
    let mut cells = vec![escape(&name), text::count(flow.messages_per_s)];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    cells.push(or_dash((flow.payload_bytes_per_s > 0.0).then(|| text::byte_rate(flow.payload_bytes_per_s))));
    match &flow.latency {
        Some(latency) => cells.extend(latency.columns().map(|ns| text::time(ns as f64))),
        None => cells.extend(std::iter::repeat_n("–".to_owned(), 7)),
    }
    cells.push(match flow.credit_stalls {
        0 => "none".into(),
        stalls => format!("{}, {:.0} %", text::short_count(stalls as f64), flow.credit_stalled_share * 100.0),
    });
    if index == 0 {
        cells.push(or_dash(step.relay_cpu_ns_per_message.map(text::time)));
        cells.push(or_dash(step.relay_cpu_s_per_gb.map(|s| format!("{s:.3} s"))));
        cells.push(or_dash(step.relay_cpu_share.map(|share| format!("{:.0} %", share * 100.0))));
        cells.push(or_dash(step.relay_rss_peak_bytes.map(text::memory)));
    } else {
        cells.extend(std::iter::repeat_n(String::new(), 4));
    }
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    put!(page, "<tr>{cells}</tr>");
}

/// Where it ran, and with what.
fn surroundings(report: &Report, page: &mut String) {
    let list = |cpus: &[usize]| match cpus {
        [] => "bound to no CPU".to_owned(),
        cpus => format!("on CPU {}", cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let (machine, relay, generator) = (&report.machine, &report.relay, &report.generator);
    let shards = relay.shards.map_or(String::new(), |shards| format!(", shards: {shards}"));
    let embedded = if relay.embedded { "a process of its own" } else { "already running" };
    let mut rows = vec![
        ("machine", format!("{}, {} CPUs, {}", machine.cpu, machine.cpus, text::memory(machine.memory_bytes))),
        ("kernel", format!("Linux {}", machine.kernel)),
        ("its speed", format!("{} messages checked a second through memory", text::short_count(machine.checked_per_s))),
        ("relay", format!("{embedded} at {}{shards}, {}", relay.address, list(&relay.cpus))),
        ("generator", format!("{}, threads: {}, {}", report.version, generator.threads, list(&generator.cpus))),
    ];
    for (phase, step) in report.steps() {
        let (warm, title) = (step.elapsed_s, phase.title(step));
        let about = format!("{warm:.1} s, {} plugins, {} channels", step.plugins, step.channels);
        rows.push(("step", format!("{title}: {about}")));
    }
    page.push_str("<section><h2>Machine and settings</h2><div class=\"card\"><dl>\n");
    for (name, value) in rows {
        put!(page, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
    }
    page.push_str("</dl></div></section>\n");
    put!(
        page,
        "<footer>Latencies count from when a message should have been sent; nothing is trimmed. Relay CPU is that of all its \
         threads, kernel included.</footer>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    #[test]
    fn the_page_warns_of_what_the_table_warns_of() {
        let mut report = synthetic::report(&[100.0; 20]);
        assert!(!page(&report).contains("class=\"warning\""));
        report.phases[0].steps[0].relay_waited_share = Some(0.09);
        report.phases[0].steps[0].flows[0].unsent = 5;
        report.warnings = notes::warnings(&report);
        report.warnings.push("<script>".into());
        let page = page(&report);
        for warning in [
            "CPU contention: the relay was runnable but not running 9.00 % of the time",
            "5 messages were due and could not be sent",
            "<p class=\"warning\">&lt;script&gt;</p>",
        ] {
            assert!(page.contains(warning), "{warning}");
        }
    }

    #[test]
    fn the_page_says_what_did_not_arrive() {
        let mut report = synthetic::report(&[100.0; 20]);
        assert!(page(&report).contains("verdict good\">verified: "));
        report.verified = false;
        report.phases[0].steps[0].verdict.lost = 7;
        assert!(page(&report).contains("verdict bad\">NOT VERIFIED: ") && page(&report).contains("7 lost"));
    }
}
