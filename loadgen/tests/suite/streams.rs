//! Stdout and stderr that are closed or full: each exit code stays what it is, unless results are lost.

use std::fs::OpenOptions;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tests::pipes::said_to_a_full_one;

use crate::load::{Place, load, run, start_long_phase, stderr};

/// Takes nothing: nobody is at the other end.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// Takes nothing: there is no room.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("the kernel has it").into()
}

/// Makes one of these.
type Useless = fn() -> Stdio;

/// Both, by name.
const NOTHING: [(&str, Useless); 2] = [("closed", closed), ("full", full)];

const SHORT: [&str; 3] = ["rpc", "--duration-s", "0.1"];

/// What ends with which code.
const ENDINGS: [(&[&str], i32); 8] = [
    (&SHORT, 0),
    (&["plan", "rpc"], 0),
    (&["--help"], 0),
    (&["rpc", "--bus", "unix:/nonexistent/bus.sock"], 1),
    (&["rpc", "--html", "/nonexistent/page.html"], 1),
    (&["splash"], 2),
    (&["churn", "--sweep"], 2),
    (&["compare", "/nonexistent/a.json", "/nonexistent/b.json"], 2),
];

fn code(flags: &[&str], stdout: Stdio, stderr: Stdio) -> Option<i32> {
    let _place = Place::take();
    load(flags).stdout(stdout).stderr(stderr).status().expect("the binary runs").code()
}

#[test]
fn a_stderr_that_takes_nothing_changes_no_exit_code() {
    for (name, stderr) in NOTHING {
        for (flags, expected) in ENDINGS {
            assert_eq!(code(flags, Stdio::null(), stderr()), Some(expected), "{flags:?}, {name} stderr");
        }
    }
}

#[test]
fn an_interrupt_has_its_exit_code_whatever_stderr_takes() {
    for (name, stderr) in NOTHING {
        let (running, _, _place) = start_long_phase(stderr());
        kill_process(Pid::from_child(&running), Signal::INT).expect("it still runs");
        let output = running.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{name} stderr");
    }
}

#[test]
fn who_reads_no_further_has_what_he_wanted() {
    for (flags, expected) in ENDINGS {
        assert_eq!(code(flags, closed(), Stdio::null()), Some(expected), "{flags:?}");
        assert_eq!(code(flags, closed(), closed()), Some(expected), "{flags:?}");
    }
}

#[test]
fn results_that_are_lost_are_a_failure() {
    for (flags, expected) in ENDINGS {
        let expected = if expected == 0 { 1 } else { expected };
        assert_eq!(code(flags, full(), Stdio::null()), Some(expected), "{flags:?}");
        assert_eq!(code(flags, full(), full()), Some(expected), "{flags:?}");
    }
    let output =
        load(&[&SHORT[..], &["--json"]].concat()).stdout(full()).stderr(Stdio::piped()).output().expect("it runs");
    let said = stderr(&output);
    assert!(said.contains("cannot write to stdout: "), "{said}");
    let table = ["relay: a process of its own", "throughput", "latency"];
    assert!(table.iter().all(|part| said.contains(part)), "the table is there instead: {said}");
}

#[test]
fn a_stdout_that_does_not_block_loses_nothing() {
    let plan = ["plan", "rpc"];
    assert_eq!(said_to_a_full_one(load(&plan)), run(&plan).stdout);
}

#[test]
fn help_is_on_stdout_and_wrong_usage_on_stderr() {
    let help = run(&["--help"]);
    assert!(help.stdout.starts_with(b"Puts load") && help.stderr.is_empty());
    let usage = run(&["splash"]);
    assert!(usage.stdout.is_empty() && !usage.stderr.is_empty());
}
