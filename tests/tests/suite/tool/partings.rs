//! A tool that is told to stop while others keep it waiting: it ends soon, with the code that the help names, and nobody takes
//! for an end in good order what is none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use tests::audit::What;
use tests::peer::Peer;
use tests::process::eventually;
use tests::wire::Kind::{InSink, OutStream};

use super::Place;
use super::running::{Tool, minbus};

/// A raw peer to which a process of `provide` writes without end, and the channel's id. It has given credit for one byte.
fn downloading(place: &Place, name: &str) -> (Peer, u64) {
    let (mut peer, id) = (place.peer(""), 1);
    peer.dial_with(id, name.as_bytes(), 1, 1024);
    peer.expect(InSink, id, &What::Message(Vec::new()));
    peer.wait_bytes(InSink, id, 1);
    (peer, id)
}

/// The process ends when the service has left the bus, and what it had written last goes nowhere.
#[test]
fn a_download_that_is_cut_off_has_no_good_end() {
    for place in Place::crossed() {
        let mut provide = place.provide("big", ["--", "sh", "-c", "cat /dev/zero; echo gone >&2"]);
        let (mut peer, id) = downloading(&place, "big");
        provide.signal(Signal::TERM);
        // Credit for a little at a time, so that much is still queued when the process has gone.
        let gone = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                provide.complaint();
                gone.store(true, Ordering::Relaxed);
            });
            eventually("the process has gone", || {
                peer.give(OutStream, id, 1024);
                peer.fence();
                gone.load(Ordering::Relaxed).then_some(())
            });
        });
        peer.give(OutStream, id, 1 << 40);
        let mut events = std::iter::repeat_with(|| peer.next_on(InSink, id));
        let end = events.find(|what| matches!(what, What::End(_)));
        assert_ne!(end, Some(What::End(vec![0])), "{}: a close by the plugin itself", place.address);
        provide.wait().expect_code(0);
    }
}

#[test]
fn a_service_ends_with_0_though_others_give_no_credit() {
    for place in Place::crossed() {
        let provide = place.provide("big", ["--", "cat", "/dev/zero"]);
        let peer = downloading(&place, "big");
        provide.stop(Signal::TERM);
        drop(peer);
    }
}

#[test]
fn a_signal_ends_it_while_it_connects() {
    let directory = tests::directory::directory();
    let path = directory.path().join("silent.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for args in [&["watch"][..], &["stats"], &["ping", "a"], &["connect", "a"], &["provide", "a"]] {
        let tool = Tool::start(minbus(&format!("unix:{}", path.display())).args(args));
        // It is let in, and never heard.
        let socket = listener.accept().unwrap();
        tool.signal(Signal::INT);
        tool.wait().expect_code(130);
        drop(socket);
    }
}
