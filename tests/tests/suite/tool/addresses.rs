//! How the tool finds the bus, and how a shell completes its arguments.

use super::running::{Tool, minbus_without_address};
use super::{Place, json};

/// Which bus it talks to with these variables and arguments.
fn bus<const N: usize>(variables: &[(&str, &str)], args: [&str; N]) -> String {
    let mut command = minbus_without_address();
    command.envs(variables.iter().copied()).args(["info", "--json"]).args(args);
    let ended = Tool::start(&mut command).end_well();
    json(&ended.stdout)["bus"].as_str().expect("an address").to_owned()
}

#[test]
fn the_flag_comes_before_the_variable_before_the_directory() {
    let [flag, variable, directory] = [Place::new(), Place::new(), Place::new()];
    let runtime_dir = tests::directory::directory();
    let socket = runtime_dir.path().join("minbus.sock");
    std::os::unix::fs::symlink(directory.daemon.unix(), &socket).unwrap();
    let default = format!("unix:{}", socket.display());
    let runtime_dir = runtime_dir.path().to_str().unwrap();

    let by_directory = [("XDG_RUNTIME_DIR", runtime_dir)];
    assert_eq!(bus(&by_directory, []), default);
    assert_eq!(bus(&[("XDG_RUNTIME_DIR", runtime_dir), ("MINBUS_ADDRESS", "")], []), default);
    let by_variable = [("XDG_RUNTIME_DIR", runtime_dir), ("MINBUS_ADDRESS", variable.address.as_str())];
    assert_eq!(bus(&by_variable, []), variable.address);
    assert_eq!(bus(&by_variable, ["--bus", &flag.address]), flag.address);
    let tcp = format!("tcp:{}", flag.daemon.tcp());
    assert_eq!(bus(&by_variable, ["--bus", &tcp]), tcp);
    assert_eq!(bus(&[("MINBUS_ADDRESS", &tcp)], []), tcp);
}

#[test]
fn a_variable_that_is_no_address_is_wrong_usage() {
    let ended = Tool::start(minbus_without_address().env("MINBUS_ADDRESS", "somewhere").arg("list")).end();
    ended.expect_failure(2, "somewhere");
    assert!(ended.stderr.contains("MINBUS_ADDRESS"), "{}", ended.stderr);
}

/// What is wrong is not blamed on a flag that nobody has given.
#[test]
fn where_an_address_comes_from_is_told() {
    let long = format!("/{}", "directory/".repeat(20));
    let address = format!("unix:{long}bus");
    for (name, value, code) in
        [("XDG_RUNTIME_DIR", long.as_str(), 2), ("MINBUS_ADDRESS", &address, 2), ("XDG_RUNTIME_DIR", "/nowhere", 3)]
    {
        let ended = Tool::start(minbus_without_address().env(name, value).arg("list")).end();
        ended.expect_failure(code, name);
        assert!(!ended.stderr.contains("--"), "{}", ended.stderr);
    }
    let mut command = minbus_without_address();
    let ended = Tool::start(command.args(["list", "--bus", &address]).env("XDG_RUNTIME_DIR", "/nowhere")).end();
    ended.expect_code(2);
    assert!(ended.stderr.contains("--bus") && !ended.stderr.contains("XDG_RUNTIME_DIR"), "{}", ended.stderr);
}

#[test]
fn a_process_of_a_plugin_finds_the_same_bus() {
    let place = Place::new();
    let _asks = place.provide("asks", ["--", crate::TOOL, "info", "--json"]);
    let ended = place.tool(["connect", "asks"]).end();
    assert_eq!(json(&ended.stdout)["bus"].as_str(), Some(place.address.as_str()));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = Tool::start(minbus_without_address().args(["completions", shell])).end_well();
        for command in ["list", "watch", "connect", "provide", "ping", "info", "completions"] {
            assert!(ended.stdout.contains(command), "{shell} does not know {command}");
        }
    }
}
