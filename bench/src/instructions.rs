//! `bench instructions`: how many instructions a message costs before the kernel sees it, counted under callgrind.
//!
//! The figures do not depend on what else the machine does, so they are compared with those in a file that is kept with
//! the sources. A run is counted twice, once with more rounds: the difference is free of all that happens only once.

use std::collections::BTreeMap;
use std::env;
use std::env::consts::ARCH;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use bench::{Lengths, Messages};
use clap::Args;
use tempfile::TempDir;

use crate::console;

/// A way to be counted: the flags of `bench decode` for it, and the lengths of the payloads that it reads.
struct Way {
    name: &'static str,
    flags: &'static [&'static str],
    lengths: Lengths,
}

const WAYS: [Way; 4] = [
    Way { name: "events", flags: &["--way", "events"], lengths: Lengths::Alike(PAYLOAD_BYTES) },
    Way { name: "run", flags: &["--way", "run"], lengths: Lengths::Alike(PAYLOAD_BYTES) },
    Way { name: "run_mixed", flags: &["--way", "run", "--mixed"], lengths: Lengths::Mixed(PAYLOAD_BYTES) },
    Way { name: "forward", flags: &["--way", "forward"], lengths: Lengths::Alike(PAYLOAD_BYTES) },
];

/// Payload of each message.
const PAYLOAD_BYTES: usize = 64;

/// The buffer that is read.
const BUFFER_BYTES: usize = 64 << 10;

/// Rounds of the shorter run, and of the longer one.
const ROUNDS: [u32; 2] = [50, 250];

/// How much more than the reference is too much, as a part of it.
const TOLERANCE: f64 = 0.05;

#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Compare with the reference, and fail where a way takes over 5 % more
    #[arg(long)]
    check: bool,
    /// Write the reference anew
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// The file with the reference
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml"))]
    reference: PathBuf,
}

/// Instructions for each message, by way.
type Counts = BTreeMap<String, f64>;

/// Counts and prints, and compares or writes.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let mut counts = Counts::new();
    for way in &WAYS {
        let count = count(way)?;
        console::say(format_args!("{:10} {count:7.2} instructions for each message of {PAYLOAD_BYTES} B", way.name))?;
        counts.insert(way.name.to_owned(), count);
    }
    if flags.write {
        return write(&flags.reference, counts);
    }
    if flags.check {
        let references = read(&flags.reference)?;
        let Some(reference) = references.get(ARCH) else {
            return console::say(format_args!("there is no reference for {ARCH}"));
        };
        let faults = compare(&counts, reference);
        ensure!(
            faults.is_empty(),
            "{}\nWhat is meant to be so is noted by bench instructions --write",
            faults.join("\n")
        );
    }
    Ok(())
}

/// Instructions for each message. A run is counted twice, once with more rounds: what happens only once drops out.
fn count(way: &Way) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let [fewer, more] = ROUNDS;
    let difference = callgrind(way, more, &directory)? - callgrind(way, fewer, &directory)?;
    let messages = Messages::fill(way.lengths, BUFFER_BYTES).count;
    Ok(difference as f64 / (f64::from(more - fewer) * messages as f64))
}

/// Instructions of a whole process.
fn callgrind(way: &Way, rounds: u32, directory: &TempDir) -> Result<u64> {
    let path = directory.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]).arg(format!("--callgrind-out-file={}", path.display()));
    command.arg(env::current_exe()?).arg("decode").args(way.flags);
    for (flag, value) in [("--payload", PAYLOAD_BYTES), ("--buffer", BUFFER_BYTES), ("--rounds", rounds as usize)] {
        command.arg(flag).arg(value.to_string());
    }
    let status = match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("valgrind is not installed: it counts the instructions (apt-get install valgrind)")
        }
        status => status.context("cannot start valgrind")?,
    };
    ensure!(status.success(), "valgrind has failed: {status}");
    let profile = fs::read_to_string(&path).context("valgrind has left no profile")?;
    summary(&profile).context("valgrind has left a profile without a sum")
}

/// The sum in a profile of callgrind.
fn summary(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("summary: "))?.trim().parse().ok()
}

fn read(path: &Path) -> Result<BTreeMap<String, Counts>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// Notes the counts for this architecture, beside those for others.
fn write(path: &Path, counts: Counts) -> Result<()> {
    let mut references = if path.exists() { read(path)? } else { BTreeMap::new() };
    let rounded = counts.into_iter().map(|(name, count)| (name, (count * 100.0).round() / 100.0));
    references.insert(ARCH.to_owned(), rounded.collect());
    let text = format!(
        "# Instructions for each message of {PAYLOAD_BYTES} B, by architecture and way.\n\
         # Counted by: cargo run --profile count -p bench -- instructions --write\n\n{}",
        toml::to_string(&references)?
    );
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// What has become worse, or is not there on one side.
fn compare(counts: &Counts, reference: &Counts) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, count) in counts {
        match reference.get(name) {
            None => faults.push(format!("{name}: there is no reference")),
            Some(before) if *count > before * (1.0 + TOLERANCE) => {
                let more = (count / before - 1.0) * 100.0;
                faults.push(format!("{name}: {count:.2} instructions, {more:.1} % more than {before:.2}"));
            }
            Some(_) => {}
        }
    }
    let gone = reference.keys().filter(|name| !counts.contains_key(*name));
    faults.extend(gone.map(|name| format!("{name}: is not counted any more")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &[(&str, f64)]) -> Counts {
        values.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn five_percent_more_is_too_much_and_less_is_welcome() {
        let reference = counts(&[("run", 10.0), ("events", 100.0)]);
        let faults = |run, events| compare(&counts(&[("run", run), ("events", events)]), &reference).len();
        assert_eq!(faults(10.49, 50.0), 0);
        assert_eq!(faults(10.51, 100.0), 1);
        assert_eq!(faults(11.0, 106.0), 2);
    }

    #[test]
    fn ways_that_are_new_or_gone_are_faults() {
        assert_eq!(compare(&counts(&[("run", 10.0)]), &counts(&[])).len(), 1);
        assert_eq!(compare(&counts(&[]), &counts(&[("run", 10.0)])).len(), 1);
    }

    #[test]
    fn the_reference_is_complete_for_this_architecture() {
        let references =
            read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.toml"))).expect("it is there");
        if let Some(reference) = references.get(ARCH) {
            assert!(WAYS.iter().all(|way| reference.contains_key(way.name)), "{reference:?}");
        }
    }

    #[test]
    fn a_written_reference_reads_the_same_and_keeps_other_architectures() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("reference.toml");
        fs::write(&path, "[other]\nrun = 5.0\n").expect("writable");
        write(&path, counts(&[("run", 12.344)])).expect("writable");
        let references = read(&path).expect("readable");
        assert_eq!(references[ARCH]["run"], 12.34);
        assert_eq!(references["other"]["run"], 5.0);
    }

    #[test]
    fn the_sum_of_a_profile_is_found() {
        assert_eq!(summary("events: Ir\nsummary: 1234\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(summary("events: Ir\n"), None);
    }
}
