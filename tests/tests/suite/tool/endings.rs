//! Exit codes: what the help says, and what happens.

use std::io::pipe;
use std::os::unix::net::UnixListener;

use rustix::process::Signal;

use super::Place;
use super::running::{Tool, minbus, minbus_without_address, under_way};

#[test]
fn the_help_names_them_all() {
    let ended = Tool::start(minbus_without_address().arg("--help")).end_well();
    let (_, codes) = ended.stdout.split_once("Exit codes:\n").expect("the help has a section on them");
    let codes: Vec<u8> =
        codes.lines().filter_map(|line| line.split_whitespace().next()).filter_map(|word| word.parse().ok()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 129, 130, 131, 141, 143]);
}

#[test]
fn wrong_usage_is_2() {
    let long = "x".repeat(256);
    for args in [
        &[][..],
        &["fly"],
        &["connect"],
        &["connect", ""],
        &["connect", &long],
        &["provide", "clock", "date"],
        &["list", "--colour"],
        &["--bus", "carrier:pigeon", "list"],
        &["ping", "clock", "-c", "0"],
        &["completions", "tcsh"],
    ] {
        let ended = Tool::start(minbus_without_address().args(args)).end();
        ended.expect_code(2);
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(ended.stderr.contains("Usage") || ended.stderr.contains("error:"), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn no_bus_is_3() {
    let directory = tests::directory::directory();
    let nothing = format!("unix:{}", directory.path().join("none.sock").display());
    let left_behind = directory.path().join("left-behind.sock");
    drop(UnixListener::bind(&left_behind).unwrap());
    for address in [nothing, format!("unix:{}", left_behind.display())] {
        for args in [&["list"][..], &["watch"], &["info"], &["ping", "a"], &["connect", "a"], &["provide", "a"]] {
            Tool::start(minbus(&address).args(args)).end().expect_failure(3, &address);
        }
    }
}

#[test]
fn somebody_who_is_no_bus_is_3() {
    let directory = tests::directory::directory();
    let path = directory.path().join("other.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let tool = Tool::start(minbus(&format!("unix:{}", path.display())).arg("list"));
    drop(listener.accept().unwrap());
    tool.end().expect_failure(3, "");
}

#[test]
fn no_such_plugin_is_4() {
    let place = Place::new();
    place.tool(["connect", "nobody"]).end().expect_failure(4, "nobody is not connected to the bus");
    place.tool(["ping", "nobody"]).end().expect_failure(4, "nobody is not connected to the bus");
    let _old = place.provide("old", ["--plugin-version", "2", "--", "cat"]);
    place.tool(["connect", "old", "--version-min", "3"]).end().expect_failure(4, "version");
    place.tool(["connect", "old", "--version-min", "2"]).end_well();
}

#[test]
fn a_taken_name_is_5() {
    let place = Place::new();
    let mut first = place.provide("clock", []);
    place.tool(["provide", "clock"]).end().expect_failure(5, "taken");
    place.tool(["provide", "clock", "--", "date"]).end().expect_failure(5, "taken");
    place.tool(["connect", "clock", "--as", "clock"]).end().expect_failure(5, "taken");
    let mut connect = place.tool(["connect", "clock"]);
    connect.write("the first keeps it\n");
    assert_eq!(first.line(), "the first keeps it");
}

#[test]
fn output_that_nobody_reads_is_141() {
    let place = Place::new();
    let _yes = place.provide("yes", ["--", "yes"]);
    let _echo = place.provide("echo", ["--", "cat"]);
    let talking = [&["list"][..], &["watch"], &["info"], &["ping", "echo"], &["connect", "yes"]];
    for args in talking.into_iter().chain([&["completions", "bash"][..], &["--help"], &["--version"]]) {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ended = Tool::start(minbus(&place.address).args(args).stdout(writer)).wait();
        ended.expect_code(141);
        assert_eq!(ended.stderr, "", "{args:?}");
    }
}

#[test]
fn output_that_is_no_longer_read_is_141() {
    let place = Place::new();
    let provide = place.provide("flood", []);
    under_way(provide, place.tool(["connect", "flood"]), |provide, connect, output| {
        drop(output);
        connect.wait().expect_code(141);
        provide.wait().expect_failure(6, "");
    });
}

#[test]
fn a_signal_is_128_and_its_number() {
    let place = Place::new();
    for (signal, code) in [
        (Signal::HUP, 129),
        (Signal::INT, 130),
        (Signal::QUIT, 131),
        (Signal::USR1, 138),
        (Signal::USR2, 140),
        (Signal::ALARM, 142),
        (Signal::TERM, 143),
        (Signal::XCPU, 152),
        (Signal::VTALARM, 154),
        (Signal::PROF, 155),
        (Signal::IO, 157),
    ] {
        let waiting = place.provide("patient", []);
        waiting.signal(signal);
        waiting.wait().expect_code(code);

        let mut provide = place.provide("talk", []);
        let mut connect = place.tool(["connect", "talk"]);
        connect.write("hello\n");
        assert_eq!(provide.line(), "hello");
        connect.signal(signal);
        let ended = connect.wait();
        ended.expect_code(code);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
        provide.wait().expect_failure(6, "");
    }
}

#[test]
fn a_connection_that_is_not_accepted_in_time_is_4() {
    let place = Place::new();
    let provide = place.provide("frozen", []);
    provide.signal(Signal::STOP);
    place.tool(["connect", "frozen", "--timeout", "0.05"]).end().expect_failure(4, "frozen does not answer");
    place.tool(["ping", "frozen", "-W", "0.05"]).end().expect_failure(4, "frozen does not answer");
}
