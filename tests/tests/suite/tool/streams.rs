//! The standard streams as they may be given to the tool: non-blocking, full, with nobody at the other end, and slow.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::ioctl_fionread;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
use rustix::process::Signal;
use tests::audit::What;
use tests::peer::Peer;
use tests::wire::Kind::InSink;

use super::running::{Tool, minbus, minbus_without_address};
use super::{Place, bytes, json, wait_until};

/// A pipe that holds as little as a pipe may, which is a page, and is non-blocking at one end.
fn pipe(nonblocking: impl FnOnce(&PipeReader, &PipeWriter) -> io::Result<()>) -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    fcntl_setpipe_size(&writer, 1).unwrap();
    nonblocking(&reader, &writer).unwrap();
    (reader, writer)
}

/// How much it holds: pages are of more than 4 KiB on some machines.
fn room(pipe: impl AsFd) -> usize {
    fcntl_getpipe_size(pipe).unwrap()
}

fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?)
}

fn is_nonblocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// A pipe whose reader is gone.
fn closed() -> PipeWriter {
    io::pipe().unwrap().1
}

/// A file that is always full.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// So many plugins that their listing fills a pipe of a page several times.
fn crowd(place: &Place) -> Vec<Peer> {
    let (reader, _) = pipe(|_, _| Ok(()));
    (0..room(&reader) * 4 / 250).map(|number| place.peer(&format!("{number:0>250}"))).collect()
}

/// Reads with pauses, so that the writer finds no room.
fn read_slowly(mut from: impl Read) -> Vec<u8> {
    let (mut all, mut block) = (Vec::new(), [0; 10_000]);
    loop {
        match from.read(&mut block).unwrap() {
            0 => return all,
            len => all.extend_from_slice(&block[..len]),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn nonblocking_streams_carry_everything() {
    const LEN: u64 = 3 << 20;
    for place in Place::crossed() {
        let _echo = place.provide("echo", ["--", "cat"]);
        let (stdin, to_tool) = pipe(|reader, _| set_nonblocking(reader));
        let (from_tool, stdout) = pipe(|_, writer| set_nonblocking(writer));
        let (ours_in, ours_out) = (stdin.try_clone().unwrap(), stdout.try_clone().unwrap());
        let tool = Tool::start(minbus(&place.address).args(["connect", "echo"]).stdin(stdin).stdout(stdout));
        assert!(is_nonblocking(&ours_in) && is_nonblocking(&ours_out));
        drop((ours_in, ours_out));
        let got = thread::scope(|scope| {
            scope.spawn(|| bytes::write(1, LEN, to_tool));
            bytes::sum_of(&*read_slowly(from_tool))
        });
        assert_eq!(got, bytes::sum(1, LEN));
        tool.wait().expect_code(0);
    }
}

#[test]
fn nonblocking_output_is_printed_as_a_whole() {
    let place = Place::new();
    let crowd = crowd(&place);
    for args in [&["list"][..], &["list", "--json"], &["completions", "bash"], &["watch"]] {
        let expected = match args {
            ["watch"] => crowd.iter().map(|peer| format!("present  {}  1\n", text(peer))).collect(),
            args => place.run(args).stdout.to_owned(),
        };
        let (mut reader, mut stdout) = pipe(|_, writer| set_nonblocking(writer));
        // No room is left.
        while stdout.write(b".").is_ok() {}
        let mut got = vec![0; room(&reader) + expected.len()];
        let tool = Tool::start(minbus(&place.address).args(args).stdout(stdout));
        // It has found none by now, or finds it at once.
        thread::sleep(Duration::from_millis(50));
        reader.read_exact(&mut got).unwrap();
        let said = &got[room(&reader)..];
        assert_eq!(str::from_utf8(said), Ok(expected.as_str()), "{args:?}");
        if args == ["watch"] {
            tool.signal(Signal::TERM);
        }
        tool.wait().expect_code(0);
    }
}

fn text(peer: &Peer) -> &str {
    str::from_utf8(peer.name()).unwrap()
}

#[test]
fn nonblocking_errors_are_told_as_a_whole() {
    let (mut reader, mut stderr) = pipe(|_, writer| set_nonblocking(writer));
    // No room is left.
    while stderr.write(b".").is_ok() {}
    let mut command = minbus_without_address();
    command.args(["list", "--bus", "unix:/nowhere"]).stderr(stderr);
    let tool = thread::scope(|scope| {
        let ended = scope.spawn(|| Tool::start(&mut command).wait());
        thread::sleep(Duration::from_millis(50));
        let mut filling = vec![0; room(&reader)];
        reader.read_exact(&mut filling).unwrap();
        ended.join().unwrap()
    });
    drop(command);
    tool.expect_code(3);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("minbus: no bus at unix:/nowhere") && said.ends_with(")\n"), "{said}");
}

#[test]
fn exit_codes_stand_whoever_reads_the_errors() {
    let place = Place::new();
    let _taken = place.peer("taken");
    // By TCP it does not tell of itself.
    let tcp = format!("tcp:{}", place.daemon.tcp());
    let failures = [
        (1, tcp.as_str(), &["stats"][..]),
        (2, &place.address, &["fly"]),
        (3, "unix:/nowhere", &["list"]),
        (4, &place.address, &["connect", "nobody"]),
        (5, &place.address, &["provide", "taken"]),
        (6, &place.address, &["connect", "quitter"]),
    ];
    for stderr in [|| Stdio::from(closed()), || Stdio::from(full())] {
        for (code, bus, args) in failures {
            let mut quitter = place.peer("quitter");
            let tool = Tool::start(minbus(bus).args(args).stderr(stderr()));
            if code == 6 {
                let (id, _) = quitter.offer();
                quitter.accept(id);
                quitter.fence();
            }
            drop(quitter);
            tool.wait().expect_code(code);
            place.wait_free("quitter");
        }
        // It complains of its processes to nobody.
        let provide = Tool::start(minbus(&place.address).args(["provide", "broken", "--", "false"]).stderr(stderr()));
        place.wait_listed("broken");
        (0..3).for_each(|_| _ = place.tool(["connect", "broken"]).end_well());
        provide.stop(Signal::TERM);
    }
}

#[test]
fn a_full_output_is_an_error_everywhere() {
    let place = Place::new();
    let _yes = place.provide("yes", ["--", "echo", "yes"]);
    let all = [
        &["list"][..],
        &["watch"],
        &["info"],
        &["ping", "yes"],
        &["stats", "--over", "0"],
        &["why", "yes", "--over", "0"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
        &["connect", "yes"],
    ];
    for args in all {
        let tool = Tool::start(minbus(&place.address).args(args).stdout(full()));
        tool.end().expect_failure(1, "cannot write to the standard output");
    }
    let provide = Tool::start(minbus(&place.address).args(["provide", "full"]).stdout(full()));
    place.wait_listed("full");
    let mut connect = place.tool(["connect", "full"]);
    connect.write("more than it holds");
    provide.wait().expect_failure(1, "cannot write to the standard output");
    connect.end().expect_failure(6, "");
}

/// What the input brought is not lost with the output.
#[test]
fn a_closed_output_does_not_keep_back_what_was_read() {
    for place in Place::crossed() {
        let mut provide = place.provide("taker", []);
        let mut connect = Tool::start(minbus(&place.address).args(["connect", "taker"]).stdout(closed()));
        connect.write("before\n");
        assert_eq!(provide.line(), "before");
        provide.write("to nobody");
        connect.wait().expect_code(141);
        provide.wait().expect_failure(6, "has left");
    }
}

/// Neither that of one who connects nor that of one who provides.
#[test]
fn a_closed_input_and_a_slow_output_lose_nothing() {
    const LEN: u64 = 3 << 20;
    for place in Place::crossed() {
        for is_provider in [false, true] {
            let (output, stdout) = pipe(|_, _| Ok(()));
            let start = |command| {
                Tool::start(minbus(&place.address).args([command, "other"]).stdin(Stdio::null()).stdout(stdout))
            };
            let (reader, mut writer) = if is_provider {
                let reader = start("provide");
                place.wait_listed("other");
                (reader, place.tool(["connect", "other"]))
            } else {
                let writer = place.provide("other", []);
                (start("connect"), writer)
            };
            let input = writer.stdin.take().unwrap();
            let got = thread::scope(|scope| {
                scope.spawn(|| bytes::write(1, LEN, input));
                bytes::sum_of(&*read_slowly(output))
            });
            assert_eq!(got, bytes::sum(1, LEN));
            for tool in [reader, writer] {
                tool.wait().expect_code(0);
            }
            place.wait_free("other");
        }
    }
}

/// Nobody takes what was sent, and that is an error: of the provider always, and of the other end unless the provider has
/// said all that it has to say. Then what was sent has arrived, and what becomes of it is not for the other end to know.
#[test]
fn a_provider_with_a_closed_output_says_that_it_could_not_write() {
    for place in Place::crossed() {
        for is_open in [true, false] {
            let input = if is_open { Stdio::piped() } else { Stdio::null() };
            let provide = Tool::start(minbus(&place.address).args(["provide", "taker"]).stdin(input).stdout(closed()));
            place.wait_listed("taker");
            let mut connect = place.tool(["connect", "taker"]);
            connect.write("to nobody");
            provide.wait().expect_code(141);
            let connect = connect.end();
            if is_open {
                connect.expect_failure(6, "");
            }
            place.wait_free("taker");
        }
    }
}

#[test]
fn who_waits_for_something_to_print_ends_with_its_reader() {
    let place = Place::new();
    let _echo = place.provide("echo", ["--", "cat"]);
    // Nothing happens any more when the reader goes, and the next look is far away.
    let all = [
        &["watch"][..],
        &["watch", "--json"],
        &["ping", "echo", "-i", "1000"],
        &["stats", "--over", "1000"],
        &["stats", "--watch", "1000"],
        &["why", "echo", "--over", "1000"],
    ];
    for args in all {
        let mut tool = Tool::start(minbus(&place.address).args(args));
        let mut output = tool.take_stdout();
        if !args.contains(&"1000") || args[0] == "ping" {
            let mut line = String::new();
            io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert!(!line.is_empty());
        }
        drop(output);
        let ended = tool.wait();
        ended.expect_code(141);
        assert_eq!(ended.stderr, "", "{args:?}");
    }
}

/// A reader that does not read keeps nobody from ending the tool.
#[test]
fn a_stalled_output_does_not_keep_it_from_ending() {
    let place = Place::new();
    let crowd = crowd(&place);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (reader, stdout) = pipe(|_, _| Ok(()));
        let tool = Tool::start(minbus(&place.address).arg("watch").stdout(stdout));
        // There is room for less than a line, and more than one is still to be written.
        wait_until("the output stalls", || ioctl_fionread(&reader).unwrap() as usize > room(&reader) - 260);
        tool.signal(signal);
        tool.wait().expect_code(code);
    }
    drop(crowd);
}

/// A standard error that nobody reads holds up no connection.
#[test]
fn stalled_complaints_hold_up_nobody() {
    let place = Place::new();
    let (mut reader, stderr) = pipe(|_, _| Ok(()));
    let provide = Tool::start(
        minbus(&place.address).args(["provide", "fail", "--", "sh", "-c", "echo no; exit 1"]).stderr(stderr),
    );
    place.wait_listed("fail");
    // Each complaint is as long as the name of who it is for, and a pipe holds some sixteen of these.
    for number in 0..40 {
        let name = format!("{number:x>250}");
        assert_eq!(place.tool(["connect", "fail", "--as", &name]).end().stdout, "no\n");
    }
    provide.stop(Signal::TERM);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert!(said.lines().count() >= 10, "{said}");
}

#[test]
fn a_stall_is_not_made_up_for_by_a_burst_of_pings() {
    const INTERVAL: Duration = Duration::from_millis(100);
    let place = Place::new();
    let _echo = place.provide("echo", ["--", "cat"]);
    let start = Instant::now();
    let mut ping = place.tool(["ping", "echo", "--json", "-i", "0.1"]);
    assert_eq!(json(&ping.line())["seq"], 1);
    ping.signal(Signal::STOP);
    let stopped = Instant::now();
    thread::sleep(30 * INTERVAL);
    let stopped = stopped.elapsed();
    ping.signal(Signal::CONT);
    (0..3).for_each(|_| drop(ping.line()));
    let ended = ping.stop(Signal::INT);
    // As many as there is time for, while it was not stopped: however slow it was, they can only be fewer.
    let awake = start.elapsed() - stopped;
    let summary = json(ended.stdout.lines().last().unwrap());
    let sent = summary["sent"].as_u64().unwrap();
    assert!(sent <= (awake.as_nanos() / INTERVAL.as_nanos()) as u64 + 2, "{sent} in {awake:?}");
}

#[test]
fn what_was_not_measured_is_null() {
    let place = Place::new();
    let mut mute = place.peer("mute");
    let ping = place.tool(["ping", "mute", "--json", "-W", "1000"]);
    let (id, _) = mute.offer();
    mute.accept(id);
    mute.expect(InSink.inverted(id), id, &What::Ping);
    ping.signal(Signal::INT);
    let ended = ping.wait();
    ended.expect_failure(1, "no ping was answered");
    let summary = json(&ended.stdout);
    for statistic in ["rtt_min_ms", "rtt_avg_ms", "rtt_max_ms", "rtt_mdev_ms"] {
        assert!(summary[statistic].is_null() && summary.get(statistic).is_some(), "{summary}");
    }
}
