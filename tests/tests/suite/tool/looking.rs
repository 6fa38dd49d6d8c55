//! `list`, `watch`, `ping` and `info`, for people and for programs.

use rustix::process::Signal;
use serde_json::json;

use super::{Place, Transport, json};

#[test]
fn a_list_has_a_line_for_each_plugin() {
    for transport in [Transport::Unix, Transport::Tcp] {
        let place = Place::with(transport, 2);
        let nobody = place.tool(["list"]).end_well();
        assert_eq!(nobody.stdout, "");
        let _printer = place.provide("printer", ["--plugin-version", "12", "--", "cat"]);
        let _clock = place.provide("clock", ["--", "date"]);
        assert_eq!(place.tool(["list"]).end().stdout, "clock    0\nprinter  12\n");
        let ended = place.tool(["list", "--json"]).end();
        let lines: Vec<_> = ended.stdout.lines().map(json).collect();
        assert_eq!(lines, [json!({"name": "clock", "version": 0}), json!({"name": "printer", "version": 12})]);
    }
}

#[test]
fn a_watch_sees_who_is_there_who_comes_and_who_goes() {
    for place in Place::both() {
        let _clock = place.provide("clock", ["--", "date"]);
        let (mut plain, mut for_programs) = (place.tool(["watch"]), place.tool(["watch", "--json"]));
        assert_eq!(plain.line(), "present  clock  0");
        assert_eq!(json(&for_programs.line()), json!({"event": "present", "name": "clock", "version": 0}));
        let echo = place.provide("echo", ["--plugin-version", "7", "--", "cat"]);
        assert_eq!(plain.line(), "joined   echo  7");
        assert_eq!(json(&for_programs.line()), json!({"event": "joined", "name": "echo", "version": 7}));
        echo.kill();
        assert_eq!(plain.line(), "left     echo  7");
        assert_eq!(json(&for_programs.line()), json!({"event": "left", "name": "echo", "version": 7}));
        for tool in [plain, for_programs] {
            let ended = tool.stop(Signal::INT);
            assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
        }
    }
}

#[test]
fn a_ping_measures_each_answer() {
    for place in Place::both() {
        let _echo = place.provide("echo", ["--", "cat"]);
        let plain = place.tool(["ping", "echo", "-c", "3", "-i", "0"]).end_well();
        let lines: Vec<_> = plain.stdout.lines().collect();
        assert_eq!(lines[0], format!("PING echo over {}", place.address));
        for (seq, line) in (1..=3).zip(&lines[1..]) {
            assert!(line.starts_with(&format!("answer from echo: seq={seq} time=")), "{line}");
        }
        assert_eq!(lines[4..7], ["", "--- echo ping statistics ---", "3 pings, 3 answered"]);
        assert!(lines[7].starts_with("rtt min/avg/max/mdev = ") && lines.len() == 8, "{lines:?}");

        let ended = place.tool(["ping", "echo", "-c", "3", "-i", "0", "--json"]).end_well();
        let mut objects: Vec<_> = ended.stdout.lines().map(json).collect();
        let summary = objects.pop().expect("a summary");
        assert_eq!(
            objects.iter().map(|object| object["seq"].as_u64()).collect::<Vec<_>>(),
            [Some(1), Some(2), Some(3)]
        );
        assert!(objects.iter().all(|object| object["time_ms"].as_f64() > Some(0.0)), "{objects:?}");
        assert_eq!((&summary["name"], &summary["sent"], &summary["answered"]), (&json!("echo"), &json!(3), &json!(3)));
        let rtt = |what| summary[format!("rtt_{what}_ms")].as_f64().expect("a number");
        assert!(rtt("min") <= rtt("avg") && rtt("avg") <= rtt("max") && rtt("min") > 0.0, "{summary}");
        assert!(rtt("mdev") >= 0.0);
    }
}

#[test]
fn an_interrupted_ping_sums_up() {
    let place = Place::new();
    let _echo = place.provide("echo", ["--", "cat"]);
    let mut ping = place.tool(["ping", "echo", "-i", "1000"]);
    assert!(ping.line().starts_with("PING echo"));
    assert!(ping.line().starts_with("answer from echo: seq=1 "));
    let ended = ping.stop(Signal::INT);
    assert!(ended.stdout.contains("1 pings, 1 answered"), "{}", ended.stdout);
}

#[test]
fn the_info_tells_the_bus() {
    for (transport, socket) in [(Transport::Unix, "unix"), (Transport::Tcp, "tcp")] {
        let place = Place::with(transport, 1);
        let _clock = place.provide("clock", ["--", "date"]);
        let _echo = place.provide("echo", ["--", "cat"]);
        let ended = place.tool(["info", "--json"]).end_well();
        let mut info = json(&ended.stdout);
        let rtt = info.as_object_mut().expect("an object").remove("rtt_ms").expect("a round trip");
        assert!(rtt.as_f64() > Some(0.0), "{rtt}");
        let version = env!("CARGO_PKG_VERSION");
        let ceiling = info.as_object_mut().expect("an object").remove("memory_ceiling_bytes").expect("a ceiling");
        assert_eq!(
            ceiling.as_u64() > Some(100 << 20),
            transport == Transport::Unix,
            "{ceiling}: by TCP it is not told"
        );
        assert_eq!(info, json!({"bus": place.address, "socket": socket, "plugins": 2, "version": version}));

        let plain = place.tool(["info"]).end_well();
        let words: Vec<Vec<_>> = plain.stdout.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
        let value = |key: &str| words.iter().find(|words| words[0] == key).and_then(|words| words.last().copied());
        assert_eq!(value("bus"), Some(place.address.as_str()));
        assert_eq!((value("socket"), value("plugins")), (Some(socket), Some("2")));
        assert_eq!(value("memory").is_some_and(|text| text.starts_with("at most ")), transport == Transport::Unix);
        assert!(value("round trip").is_some_and(|text| text.ends_with(" ms")), "{words:?}");
    }
}
