//! A relay that delivers something else than was sent: a proxy in front of it damages a message.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use crate::load::{Relay, directory, json, load, stderr, steps};

/// Which byte is changed of what plugins send on each connection: within the payload of the first message of 1 MiB.
const DAMAGED_AT: usize = 300_000;

/// Copies until the end, and changes one byte if that is asked for.
fn copy(mut from: UnixStream, mut to: UnixStream, damage: bool) {
    let mut buffer = vec![0; 64 << 10];
    let mut at = 0;
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        if damage && (at..at + len).contains(&DAMAGED_AT) {
            buffer[DAMAGED_AT - at] ^= 0x10;
        }
        at += len;
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Serves at `path` what a relay serves at `behind`, with the damage.
fn proxy(path: &Path, behind: std::path::PathBuf) {
    let listener = UnixListener::bind(path).expect("bound");
    thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.expect("accepted");
            let far = UnixStream::connect(&behind).expect("the relay is there");
            let clone = |socket: &UnixStream| socket.try_clone().expect("descriptors are left");
            let (there, back) = ((clone(&near), clone(&far)), (far, near));
            thread::spawn(move || copy(there.0, there.1, true));
            thread::spawn(move || copy(back.0, back.1, false));
        }
    });
}

#[test]
fn a_damaged_message_is_counted_and_fails_the_run() {
    let directory = directory();
    let (socket, damaged) = (directory.path().join("bus.sock"), directory.path().join("damaged.sock"));
    let _relay = Relay::start(&socket);
    proxy(&damaged, socket);
    let bus = format!("unix:{}", damaged.display());
    let output = load(&["bulk", "--bus", &bus, "--duration-s", "0.2", "--json"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let report = json(&output);
    assert_eq!(report["verified"], false);
    let verdict = &steps(&report).next().expect("one step")["verdict"];
    assert_eq!((&verdict["corrupted"], &verdict["lost"]), (&1.into(), &0.into()), "{verdict}");
    assert_eq!(verdict["sent"], verdict["received"]);
}
