//! What a plugin has said before it left stands on the standard output, all of it, whatever has become of the other
//! direction. Each case again and again: over unix sockets and TCP, with one shard and two.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use tests::audit::What;
use tests::peer::Peer;
use tests::process::Outcome;
use tests::wire::Kind::{self, InSink, InStream, OutSink, OutStream};
use tests::wire::chunk;

use super::Place;
use super::running::{Tool, minbus};

/// How often each case is tried.
const RUNS: usize = 52;

/// More than the buffers of a socket hold, so that a slow reader does not have it all when the plugin leaves.
const LEN: usize = 600_000;

/// The tool, and a raw plugin at the other end of its channel.
struct Talk {
    tool: Tool,
    /// The standard output of the tool.
    output: UnixStream,
    peer: Peer,
    id: u64,
    /// How the plugin's chunks on the half that it writes are addressed, and on that which it reads.
    write: Kind,
    read: Kind,
}

/// Runs a case on all rows, with `connect` and `provide` by turns.
fn repeat(case: impl Fn(Talk, usize)) {
    for (row, place) in Place::crossed().into_iter().enumerate() {
        for run in (0..RUNS).filter(|run| run % 4 == row) {
            case(Talk::begin(&place, run), run);
        }
    }
}

impl Talk {
    fn begin(place: &Place, run: usize) -> Self {
        let (output, stdout) = UnixStream::pair().unwrap();
        let name = format!("talk-{run}");
        let start = |command: &str| {
            Tool::start(
                minbus(&place.address).args([command, &name]).stdout(OwnedFd::from(stdout.try_clone().unwrap())),
            )
        };
        // By turns of four runs, so that either is there on each row.
        if (run / 4).is_multiple_of(2) {
            let mut peer = place.peer(&name);
            let tool = start("connect");
            let (id, _) = peer.offer();
            peer.accept(id);
            Self { tool, output, peer, id, write: InSink, read: InStream }
        } else {
            let tool = start("provide");
            place.wait_listed(&name);
            let (mut peer, id) = (place.peer(""), 1);
            peer.dial_with(id, name.as_bytes(), 0, 1024);
            peer.expect(InSink, id, &What::Message(Vec::new()));
            Self { tool, output, peer, id, write: OutSink, read: OutStream }
        }
    }

    fn say(&mut self, mut words: &[u8]) {
        while !words.is_empty() {
            self.peer.wait_credit(self.write, self.id, 1);
            let len = words.len().min(self.peer.credit(self.write, self.id) as usize);
            self.peer.send(&chunk(self.write, self.id).payload(&words[..len]));
            words = &words[len..];
        }
    }

    /// Wants nothing more, and says why.
    fn refuse(&mut self, why: &str) {
        self.peer.wait_credit(self.read, self.id, why.len() as u64);
        self.peer.send(&chunk(self.read, self.id).end(why));
        self.peer.expect(self.read.inverted(self.id), self.id, &What::AckEnd);
    }

    /// Has nothing more to say.
    fn close(&mut self) {
        self.peer.send(&chunk(self.write, self.id).end([]));
        self.peer.expect(self.write.inverted(self.id), self.id, &What::AckEnd);
    }

    /// Leaves without closing anything.
    fn leave(self) -> (Tool, UnixStream) {
        let Self { tool, output, mut peer, .. } = self;
        // What it has not read must not take with it what it has said, as it would with a TCP socket.
        peer.leave();
        (tool, output)
    }
}

/// Different in each run, and in each place.
fn words(run: usize) -> Vec<u8> {
    (0..LEN).map(|at| (at / 251 + at + run) as u8).collect()
}

/// Ends the run, whose output must be these words.
#[track_caller]
fn heard(tool: Tool, mut output: UnixStream, words: &[u8]) -> Outcome {
    let mut got = Vec::new();
    output.read_to_end(&mut got).unwrap();
    let ended = tool.wait();
    assert!(got == words, "{} of {} bytes, {ended:?}", got.len(), words.len());
    ended
}

#[test]
fn of_one_who_leaves_are_heard() {
    repeat(|mut talk, run| {
        let words = words(run);
        if run.is_multiple_of(3) {
            talk.tool.close_stdin();
        }
        talk.say(&words);
        let (tool, output) = talk.leave();
        heard(tool, output, &words).expect_failure(6, "has left");
    });
}

#[test]
fn of_one_who_refuses_the_rest_and_leaves_are_heard() {
    repeat(|mut talk, run| {
        let words = words(run);
        talk.refuse("enough\u{202e}");
        talk.say(&words);
        let (tool, output) = talk.leave();
        heard(tool, output, &words).expect_failure(6, r"refuses the rest: enough\u{202e}");
    });
}

#[test]
fn of_one_who_refuses_the_rest_and_closes_are_heard() {
    repeat(|mut talk, run| {
        let words = words(run);
        talk.refuse("enough");
        talk.say(&words);
        talk.close();
        let (tool, output) = talk.leave();
        heard(tool, output, &words).expect_failure(6, "refuses the rest: enough");
    });
}

#[test]
fn before_the_bus_is_killed_are_heard() {
    for (row, mut place) in Place::crossed().into_iter().enumerate() {
        let mut talks: Vec<_> = (0..RUNS).filter(|run| run % 4 == row).map(|run| Talk::begin(&place, run)).collect();
        for (run, talk) in talks.iter_mut().enumerate() {
            talk.say(&words(run));
            // The answer shows that the tool has got all of it: what the daemon still has dies with it.
            talk.peer.send(&chunk(talk.write, talk.id).ping());
            talk.peer.expect(talk.write.inverted(talk.id), talk.id, &What::Pong);
        }
        place.daemon.kill();
        for (run, talk) in talks.into_iter().enumerate() {
            heard(talk.tool, talk.output, &words(run)).expect_failure(1, "bus");
        }
    }
}
