//! What it writes: a table, JSON, histograms, comparisons.

use std::fs;

use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

use crate::load::{run, stderr, stdout};

#[test]
fn the_table_is_for_people() {
    let output = run(&["flood", "rpc", "--duration-s", "0.5"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for words in ["relay: a process of its own, 1 shard", "flood, 64 B", "rpc, 64 B", "p99.999", "\nverified: "] {
        assert!(text.contains(words), "{text}lacks {words}");
    }
    assert!(text.lines().count() <= 24 && text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn reports_and_histograms_are_written_and_can_be_read_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let (a, b, hlog) = (path("a.json"), path("b.json"), path("latencies.hlog"));
    let json = format!("--json={a}");
    let output = run(&["stream", "--rate", "1000", "--duration-s", "0.5", "--hdr", &hlog, &json]);
    assert!(output.status.success() && stdout(&output).contains("verified: "), "{}", stderr(&output));
    let log = fs::read_to_string(&hlog).expect("written");
    let mut intervals = 0;
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        if let LogEntry::Interval(interval) = entry.expect("well-formed") {
            assert_eq!(interval.tag().map(|tag| tag.as_str()), Some("stream"));
            intervals += 1;
        }
    }
    assert!(intervals > 5, "{intervals} intervals");

    // How steady the run was is the machine's affair: that is written over.
    for (path, rate) in [(&a, 1000), (&b, 4000)] {
        fs::write(path, steady(&fs::read_to_string(&a).expect("written"), rate)).expect("written");
    }
    let output = run(&["compare", &a, &b]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let messages = text.lines().find(|line| line.starts_with("stream: messages a second")).expect("a row");
    assert!(messages.contains("B is better"), "four times as many: {text}");
    assert!(text.contains("caution: their phases had other settings"), "{text}");
    let same = run(&["compare", &a, &a]);
    assert!(!stdout(&same).contains("B is"), "{}", stdout(&same));
    assert!(stdout(&same).contains("within the noise"));

    let no_report = path("no.json");
    fs::write(&no_report, "{}").expect("written");
    for wrong in [no_report, path("missing.json")] {
        assert_eq!(run(&["compare", &a, &wrong]).status.code(), Some(2));
    }
}

/// A report of which each interval had the same rate, and nothing had to wait for a CPU.
fn steady(report: &str, rate: u32) -> String {
    let mut report: Value = serde_json::from_str(report).expect("JSON");
    let step = &mut report["phases"][0]["steps"][0];
    (step["relay_waited_share"], step["generator_waited_share"]) = (0.into(), 0.into());
    for point in step["flows"][0]["series"].as_array_mut().expect("a list") {
        point["messages_per_s"] = rate.into();
    }
    let settings = report["phases"][0]["settings"].as_array_mut().expect("a list");
    let of_rate = settings.iter_mut().find(|setting| setting[0] == "rate").expect("it has a rate");
    of_rate[1] = rate.to_string().into();
    report.to_string()
}

#[test]
fn the_report_says_where_and_how_it_ran() {
    let output = run(&["rpc", "--duration-s", "0.1", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(report["machine"]["cpus"].as_u64() > Some(0));
    assert!(report["machine"]["checked_per_s"].as_f64() > Some(0.0));
    assert!(report["machine"]["kernel"].as_str().is_some_and(|kernel| !kernel.is_empty()));
    assert_eq!(report["relay"]["shards"], 1);
    let settings = report["phases"][0]["settings"].as_array().expect("a list");
    assert!(settings.iter().any(|setting| setting[0] == "seed"), "{settings:?}");
}
