//! "If io_uring is not to be had, one error says exactly what refuses it and what to do."

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::process::{Outcome, Process, daemon_command, wrapped};

use crate::{CONFINED, DAEMON};

/// Starts the daemon with these limits; it must end by itself.
fn confined(limits: &[&str]) -> Outcome {
    // A copy that everybody may run, wherever the build lies.
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let [wrapper, program] = [(CONFINED, "confined"), (DAEMON, "minbusd")].map(|(from, name)| {
        let to = directory.path().join(name);
        fs::copy(from, &to).expect("there is room for a copy");
        to.display().to_string()
    });
    let mut command = daemon_command(program);
    command.args(["--tcp", "127.0.0.1:0", "--shards", "2"]);
    let mut words = vec![wrapper];
    words.extend(limits.iter().map(|limit| (*limit).to_owned()));
    words.push("--".to_owned());
    Process::run(&mut wrapped(&command, &words))
}

/// One error, with these words, and no more than that.
#[track_caller]
fn assert_one_error(outcome: &Outcome, words: &[&str]) {
    outcome.expect_code(1).expect_words(words);
    assert_eq!(outcome.stderr.lines().filter(|line| line.contains("ERROR")).count(), 1, "{outcome:?}");
    assert!(!outcome.stderr.contains("listening"), "{outcome:?}");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn a_seccomp_filter_refuses_it() {
    let outcome = confined(&["no-io-uring"]);
    assert_one_error(&outcome, &["seccomp", "io_uring_setup", "seccomp=unconfined"]);
}

#[test]
fn locked_memory_is_short() {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux says its release");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (6, 14) {
        eprintln!("skipped: before Linux 6.14 rings do not count against RLIMIT_MEMLOCK, and this is {release}");
        return;
    }
    let outcome = confined(&["nobody", "memlock=16384"]);
    assert_one_error(&outcome, &["RLIMIT_MEMLOCK is 16384 bytes", "LimitMEMLOCK=", "ulimit -l"]);
}

#[test]
fn descriptors_are_short() {
    let outcome = confined(&["nofile=8"]);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("LimitNOFILE") || outcome.stderr.contains("Too many open files"), "{outcome:?}");
}
