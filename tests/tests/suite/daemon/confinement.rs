//! "If io_uring is not to be had, one error says exactly what refuses it and what to do."

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tests::process::{Outcome, Process, daemon_command, wrapped};

use crate::{CONFINED, DAEMON};

/// Starts the daemon `program` with these limits; it must end by itself.
fn confined(confined: &str, limits: &[&str], program: &str) -> Outcome {
    let mut command = daemon_command(program);
    command.args(["--tcp", "127.0.0.1:0", "--shards", "2"]);
    let words = [&[confined], limits, &["--"]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
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
    let outcome = confined(CONFINED, &["no-io-uring"], DAEMON);
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
    // Copies that everybody may run, wherever the build lies. Made by another process: a program that this one has open
    // for writing may be inherited by some other child, and cannot be run as long as that has it.
    let directory = tests::directory::directory();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    if !is_open_to_all(directory.path()) {
        eprintln!("skipped: temporary files are in {}, where not everybody may go", directory.path().display());
        return;
    }
    let [wrapper, program] = [(CONFINED, "confined"), (DAEMON, "minbusd")].map(|(from, name)| {
        let to = directory.path().join(name).display().to_string();
        Process::run(Command::new("install").args(["-m", "755", from, &to])).expect_code(0);
        to
    });
    let outcome = confined(&wrapper, &["nobody", "memlock=16384"], &program);
    assert_one_error(&outcome, &["RLIMIT_MEMLOCK is 16384 bytes", "LimitMEMLOCK=", "ulimit -l"]);
}

/// Whether everybody may look up names in a directory.
fn is_open_to_all(directory: &Path) -> bool {
    let may_search = |path: &Path| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0);
    let absolute = directory.canonicalize().expect("it is there");
    absolute.ancestors().all(may_search)
}

#[test]
fn descriptors_are_short() {
    let outcome = confined(CONFINED, &["nofile=8"], DAEMON);
    outcome.expect_code(1);
    assert!(outcome.stderr.contains("LimitNOFILE") || outcome.stderr.contains("Too many open files"), "{outcome:?}");
}
