//! What it is told, and what it says to what cannot be. Wrong usage and configuration is exit status 2, with the key,
//! the value and what would be right; what goes wrong at run time is 1.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tests::peer::Address;
use tests::process::{Outcome, Process};

use super::{listening, minbusd, minbusd_with_small_rings, plugin};

fn run(flags: &[&str]) -> Outcome {
    Process::run(minbusd().args(flags))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn wrong_flags() {
    let long = format!("/{}", "x".repeat(107));
    for (flags, words) in [
        (&["--shards", "0"][..], &["--shards 0", "1 to 256"][..]),
        (&["--shards", "two"], &["--shards", "two"]),
        (&["--cpus", "0-"], &["--cpus 0-", "lists CPUs", "as in"]),
        (&["--cpus", "1023"], &["--cpus 1023", "among the CPUs"]),
        (&["--tcp", "localhost:65536"], &["--tcp localhost:65536", "HOST:PORT"]),
        (&["--unix", &long], &["--unix", "at most 107 bytes"]),
        (&["--log-format", "xml"], &["--log-format", "xml", "human, json"]),
        (&["--colour"], &["--colour"]),
        (&["--check", "--print-config"], &["--check", "--print-config"]),
        (&["--config", "/nonexistent.toml"], &["/nonexistent.toml", "No such file"]),
    ] {
        // None of these gets as far as to listen.
        let outcome = run(&[flags, &["--unix", "/nonexistent/bus.sock"]].concat());
        outcome.expect_code(2).expect_words(words);
        assert_eq!(outcome.stdout, "", "{flags:?}");
    }
}

#[test]
fn wrong_configuration() {
    let directory = tests::directory::directory();
    let file = directory.path().join("minbusd.toml");
    for (text, words) in [
        ("[shards]\ncount = 0\n", &["minbusd.toml:2:9", "shards.count = 0", "1 to 256"][..]),
        ("[bus]\nheartbeat_interval_ms = 9\nheartbeat_timeout_ms = 9\n", &["heartbeat_timeout_ms = 9", "more than"]),
        ("[credit]\nmemory_bytes = 131072\n", &["credit.memory_bytes", "cap_max_bytes"]),
        ("[limits]\nconections_max = 1\n", &["limits.conections_max", "did you mean limits.connections_max?"]),
        ("[limit]\n", &["[limit]", "did you mean [limits]?"]),
        ("[bus\n", &["minbusd.toml", "line 1"]),
    ] {
        fs::write(&file, text).expect("written");
        let outcome = run(&["--config", path(&file), "--unix", "/nonexistent/bus.sock"]);
        outcome.expect_code(2).expect_words(words);
        assert_eq!(outcome.stdout, "", "{text}");
    }
}

#[test]
fn a_wrong_filter_of_the_log() {
    let mut command = minbusd();
    command.args(["--unix", "/nonexistent/bus.sock"]).env("RUST_LOG", "relay=loud");
    Process::run(&mut command).expect_code(2).expect_words(&["RUST_LOG"]);
}

#[test]
fn what_goes_wrong_at_run_time() {
    let directory = tests::directory::directory();
    let file = directory.path().join("file");
    fs::write(&file, "something else").expect("written");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("it has one").to_string();
    for (flags, words) in [
        (["--tcp", &taken], &["cannot listen on", &taken, "in use"][..]),
        (["--tcp", "no..such.host:1"], &["no..such.host:1", "resolved"]),
        (["--unix", "/nonexistent/bus.sock"], &["no directory /nonexistent"]),
        (["--unix", path(&file)], &["not a socket", path(&file)]),
    ] {
        let outcome = run(&flags);
        outcome.expect_code(1).expect_words(words);
        assert_eq!(outcome.stdout, "");
    }
    assert_eq!(fs::read_to_string(&file).expect("it is still there"), "something else");
}

#[test]
fn checking_says_what_would_be_done_and_does_nothing() {
    let directory = tests::directory::directory();
    let unix = directory.path().join("bus.sock");
    let flags = ["--unix", path(&unix), "--unix-mode", "600", "--tcp", "127.0.0.1:0", "--shards", "2", "--check"];
    let outcome = run(&flags);
    outcome.expect_code(0);
    let unix = format!("unix:{}, mode 0600", unix.display());
    for words in ["shards: 2", &unix, "tcp:127.0.0.1:0", "buffers of sockets (the kernel's)", "net.ipv4.tcp_mem"] {
        assert!(outcome.stdout.contains(words), "{words:?} is not in {outcome:?}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 0);
    run(&["--unix", "/nonexistent/bus.sock", "--check"]).expect_code(2).expect_words(&["no directory /nonexistent"]);
}

#[test]
fn the_printed_configuration_is_one_to_start_with() {
    let directory = tests::directory::directory();
    let (unix, file) = (directory.path().join("bus.sock"), directory.path().join("minbusd.toml"));
    let cpu = testkit::cpus::allowed().expect("the CPUs of this process are known")[0].to_string();
    let flags = ["--unix", path(&unix), "--unix-mode", "0600", "--tcp", "127.0.0.1:0", "--shards", "2", "--cpus", &cpu];
    let printed = run(&[&flags[..], &["--print-config"]].concat());
    printed.expect_code(0);
    assert_eq!(printed.stderr, "");
    fs::write(&file, &printed.stdout).expect("written");
    let again = run(&["--config", path(&file), "--print-config"]);
    again.expect_code(0);
    assert_eq!(again.stdout, printed.stdout);
    for line in ["unix_mode = \"0600\"", "count = 2", &format!("cpus = \"{cpu}\""), "tcp = [\"127.0.0.1:0\"]"] {
        assert!(printed.stdout.lines().any(|printed| printed == line), "{line:?} is not in {}", printed.stdout);
    }
    let _daemon = listening(minbusd().args(["--config", path(&file)]));
    plugin(&Address::Unix(unix), "echo");
}

#[test]
fn flags_win_over_the_file() {
    let directory = tests::directory::directory();
    let file = directory.path().join("minbusd.toml");
    fs::write(&file, "[listen]\nunix = [\"/a.sock\"]\n[shards]\ncount = 2\n[bus]\nshutdown_timeout_ms = 7\n")
        .expect("written");
    let printed = run(&["--config", path(&file), "--unix", "/b.sock", "--print-config"]);
    for line in ["unix = [\"/b.sock\"]", "count = 2", "shutdown_timeout_ms = 7"] {
        assert!(printed.stdout.lines().any(|printed| printed == line), "{line:?} is not in {}", printed.stdout);
    }
}

#[test]
fn a_default_socket_that_cannot_be_is_blamed_on_where_it_comes_from() {
    let directory = format!("/{}", "x".repeat(120));
    let mut command = minbusd();
    command.env("XDG_RUNTIME_DIR", &directory);
    let outcome = Process::run(&mut command);
    outcome.expect_code(2).expect_words(&[&format!("XDG_RUNTIME_DIR={directory}"), "--unix PATH", "107"]);
}

#[test]
fn addresses_with_the_wrong_scheme_are_refused_with_a_hint() {
    for (flags, words) in [
        (["--unix", "tcp://h:1"], ["--unix tcp://h:1", "--tcp"]),
        (["--tcp", "unix:/a"], ["--tcp unix:/a", "--unix"]),
        (["--tcp", "//h:1"], ["--tcp //h:1", "HOST:PORT"]),
        (["--tcp", "http://h:1"], ["--tcp http://h:1", "HOST:PORT"]),
    ] {
        run(&flags).expect_code(2).expect_words(&words);
    }
}

#[test]
fn the_default_socket_is_that_of_the_session() {
    let directory = tests::directory::directory();
    let mut command = minbusd_with_small_rings();
    command.args(["--shards", "1"]).env("XDG_RUNTIME_DIR", directory.path());
    let _daemon = listening(&mut command);
    plugin(&Address::Unix(directory.path().join("minbus.sock")), "echo");
}

#[test]
fn help_and_version_are_no_errors() {
    for (flag, words) in [("--help", "--print-config"), ("--version", env!("CARGO_PKG_VERSION"))] {
        let outcome = run(&[flag]);
        outcome.expect_code(0);
        assert!(outcome.stdout.contains(words), "{outcome:?}");
    }
}
