//! `minbus provide NAME -- COMMAND`: a process for each connection.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::process::Signal;

use super::{Place, wait_until};

/// Connections at once.
const CROWD: usize = 8;

#[test]
fn each_connection_gets_a_process_that_knows_whose_it_is() {
    for place in Place::both() {
        let script = r#"echo "$$ $MINBUS_NAME $MINBUS_PEER $MINBUS_PEER_VERSION $MINBUS_ADDRESS"; exec cat"#;
        let provide = place.provide("shell", ["--", "sh", "-c", script]);
        let peers: Vec<_> = (0..CROWD).map(|number| format!("peer-{number}")).collect();
        let mut tools: Vec<_> = peers.iter().map(|peer| place.tool(["connect", "shell", "--as", peer])).collect();
        let mut pids = BTreeSet::new();
        for (tool, peer) in tools.iter_mut().zip(&peers) {
            let greeting = tool.line();
            let (pid, rest) = greeting.split_once(' ').expect("a greeting");
            assert_eq!(rest, format!("shell {peer} 0 {}", place.address));
            pids.insert(pid.to_owned());
        }
        assert_eq!(pids.len(), CROWD, "as many processes as connections, all alive: {pids:?}");
        for (tool, peer) in tools.iter_mut().zip(&peers) {
            tool.write(&format!("I am {peer}"));
        }
        for (tool, peer) in tools.into_iter().zip(&peers) {
            let ended = tool.end_well();
            assert_eq!(ended.stdout, format!("I am {peer}"));
        }
        let ended = provide.stop(Signal::INT);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn a_client_has_no_name() {
    let place = Place::new();
    let _provide = place.provide("who", ["--", "sh", "-c", r#"echo "<$MINBUS_PEER> ${MINBUS_PEER-unset}""#]);
    assert_eq!(place.tool(["connect", "who"]).end().stdout, "<> \n");
}

#[test]
fn the_end_of_the_process_ends_the_connection() {
    let place = Place::new();
    let mut provide = place.provide("bye", ["--", "sh", "-c", "echo bye"]);
    let connect = place.tool(["connect", "bye"]).wait();
    connect.expect_code(0);
    assert_eq!(connect.stdout, "bye\n", "all that was written arrives, although the input is still open");
    provide.signal(Signal::TERM);
    assert_eq!(provide.complaint(), "", "all went well");
    provide.wait().expect_code(0);
}

#[test]
fn a_process_that_closes_its_output_may_read_on() {
    let place = Place::new();
    let mut provide = place.provide("log", ["--", "sh", "-c", "exec >&-; cat >&2"]);
    let mut connect = place.tool(["connect", "log"]);
    assert_eq!(connect.line(), "", "the output has ended");
    connect.write("kept\n");
    assert_eq!(provide.complaint(), "kept");
    connect.end_well();
}

#[test]
fn a_process_that_fails_is_complained_of() {
    let place = Place::new();
    let mut provide = place.provide("fail", ["--", "sh", "-c", "echo some; exit 3"]);
    for peer in ["one", "two"] {
        let connect = place.tool(["connect", "fail", "--as", peer]).end();
        assert_eq!(connect.stdout, "some\n");
        let complaint = provide.complaint();
        let whose = complaint.starts_with(&format!("minbus: fail for {peer} "));
        assert!(whose && complaint.ends_with(": exit status: 3"), "{complaint}");
    }
}

#[test]
fn a_command_that_cannot_be_started_denies() {
    let place = Place::new();
    let mut provide = place.provide("broken", ["--", "/no/such/program"]);
    for _ in 0..2 {
        place.tool(["connect", "broken"]).end().expect_failure(4, "broken denies the channel");
        assert!(provide.complaint().contains("cannot start /no/such/program"));
    }
}

#[test]
fn a_process_is_told_that_the_other_side_broke_off() {
    let place = Place::new();
    // These neither read nor write any more: the signal alone can end them.
    for script in
        ["echo $$; exec sleep 100", "cat > /dev/null; echo $$; exec sleep 100", "exec <&-; echo $$; exec sleep 100"]
    {
        let mut provide = place.provide("deaf", ["--", "sh", "-c", script]);
        let mut connect = place.tool(["connect", "deaf"]);
        if script.starts_with("cat") {
            connect.close_stdin();
        }
        let pid = connect.line();
        assert!(Path::new("/proc").join(&pid).exists(), "{pid}");
        connect.kill();
        assert!(provide.complaint().starts_with("minbus: deaf for "), "{script}");
        assert!(!Path::new("/proc").join(&pid).exists(), "{script}: the process has ended");
        provide.stop(Signal::TERM);
        place.wait_free("deaf");
    }
}

#[test]
fn a_process_does_not_take_a_broken_input_for_all_of_it() {
    let place = Place::new();
    let script = "trap 'echo broken >&2; exit 1' HUP; echo ready; while read line; do :; done; echo all >&2";
    let mut provide = place.provide("store", ["--", "sh", "-c", script]);
    for (broken, word) in [(false, "all"), (true, "broken")] {
        let mut connect = place.tool(["connect", "store"]);
        assert_eq!(connect.line(), "ready");
        connect.write("some\n");
        if broken {
            connect.kill();
        } else {
            connect.end_well();
        }
        assert_eq!(provide.complaint(), word);
    }
}

#[test]
fn no_more_processes_than_allowed() {
    let place = Place::new();
    let _provide = place.provide("few", ["--processes-max", "1", "--", "sh", "-c", "echo hello; exec cat"]);
    let mut first = place.tool(["connect", "few"]);
    assert_eq!(first.line(), "hello");
    place.tool(["connect", "few"]).end().expect_failure(4, "few denies the channel");
    first.end_well();
    wait_until("the place of the first is free", || place.tool(["connect", "few"]).end().stdout == "hello\n");
}
