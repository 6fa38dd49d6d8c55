//! The matrix: one test body runs over unix sockets and TCP, with one shard and with two, whole, cut into single bytes,
//! and with credit in ones. Tests share one daemon for each number of shards, and stay apart by the names they use.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::daemon::{Daemon, Options};
use crate::peer::{Address, Pace, Peer};

/// Which socket the peers of a row use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// All of them the unix socket.
    Unix,
    /// All of them the TCP port.
    Tcp,
    /// By turns.
    Mixed,
}

/// A row of the matrix.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The sockets that are used.
    pub transport: Transport,
    /// The daemon's number of shards: 1 or 2.
    pub shards: usize,
    /// Whether a connection that does nothing comes between any two: where connections are dealt out by turns, plugins
    /// that were on different shards are on one, and the other way round.
    pub skewed: bool,
    /// How the peers cut what they send.
    pub pace: Pace,
}

const fn row(transport: Transport, shards: usize, skewed: bool, pace: Pace) -> Row {
    Row { transport, shards, skewed, pace }
}

/// The rows that every test runs through.
pub const ROWS: [Row; 12] = [
    row(Transport::Unix, 1, false, Pace::Whole),
    row(Transport::Unix, 2, false, Pace::Whole),
    row(Transport::Unix, 2, true, Pace::Whole),
    row(Transport::Tcp, 1, false, Pace::Whole),
    row(Transport::Tcp, 2, false, Pace::Whole),
    row(Transport::Tcp, 2, true, Pace::Whole),
    row(Transport::Mixed, 2, false, Pace::Whole),
    row(Transport::Unix, 2, false, Pace::Bytes),
    row(Transport::Tcp, 1, false, Pace::Bytes),
    row(Transport::Unix, 1, false, Pace::Trickle),
    row(Transport::Unix, 2, false, Pace::Trickle),
    row(Transport::Tcp, 2, true, Pace::Trickle),
];

/// The rows of tests that need a daemon of their own.
pub const FEW_ROWS: [Row; 3] = [
    row(Transport::Unix, 1, false, Pace::Whole),
    row(Transport::Tcp, 2, false, Pace::Whole),
    row(Transport::Mixed, 2, true, Pace::Trickle),
];

/// Nothing times out by itself in a test that is not about time.
pub const PATIENT: &str = "[bus]
registration_timeout_ms = 60000
heartbeat_interval_ms = 60000
heartbeat_timeout_ms = 180000
end_credit_timeout_ms = 60000
";

/// Runs `test` for every row, on the daemons that all tests share.
pub fn shared(program: &str, test: impl Fn(&Bus)) {
    for row in ROWS {
        test(&Bus::new(shared_daemon(program, row.shards), row));
    }
}

/// Runs `test` for some rows, each on a daemon of its own with this configuration, which must then stop in good order.
pub fn private(program: &str, config: &str, rows: &[Row], test: impl Fn(&Bus)) {
    for row in rows {
        let config = config.to_owned();
        let options = Options { program: program.into(), shards: row.shards, config, ..Options::default() };
        let daemon = Daemon::start(&options);
        let bus = Bus::new(&daemon, *row);
        test(&bus);
        let kept = bus.fillers.take();
        drop(bus);
        daemon.stop();
        drop(kept);
    }
}

fn shared_daemon(program: &str, shards: usize) -> &'static Daemon {
    static DAEMONS: [OnceLock<Daemon>; 2] = [const { OnceLock::new() }; 2];
    DAEMONS[shards - 1].get_or_init(|| {
        let config = PATIENT.to_owned();
        Daemon::start(&Options { program: program.into(), shards, config, ..Options::default() })
    })
}

/// A daemon as one run of one test sees it.
pub struct Bus<'a> {
    /// The daemon, which other tests may use, too.
    pub daemon: &'a Daemon,
    /// The row of the matrix.
    pub row: Row,
    scope: String,
    connections: Cell<usize>,
    pairs: Cell<usize>,
    fillers: RefCell<Vec<Peer>>,
}

impl<'a> Bus<'a> {
    /// A run of its own on a daemon.
    pub fn new(daemon: &'a Daemon, row: Row) -> Self {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let scope = format!("t{:05}.", RUNS.fetch_add(1, Ordering::Relaxed));
        Self { daemon, row, scope, connections: Cell::new(0), pairs: Cell::new(0), fillers: RefCell::new(Vec::new()) }
    }

    /// A name that no other run uses: the run's scope, then `suffix`.
    pub fn name(&self, suffix: impl AsRef<[u8]>) -> Vec<u8> {
        [self.scope.as_bytes(), suffix.as_ref()].concat()
    }

    /// The entries of this run, out of all on the daemon.
    pub fn own(&self, entries: Vec<(Vec<u8>, u16)>) -> Vec<(Vec<u8>, u16)> {
        entries.into_iter().filter(|(name, _)| self.owns(name)).collect()
    }

    /// Whether a name is one of this run.
    pub fn owns(&self, name: &[u8]) -> bool {
        name.starts_with(self.scope.as_bytes())
    }

    /// How much credit to give at a time where the test leaves it open, in bytes.
    pub fn step(&self) -> u64 {
        if self.row.pace == Pace::Trickle { 1 } else { 4096 }
    }

    /// `large`, or `small` where the row takes its time for every byte.
    pub fn size(&self, large: usize, small: usize) -> usize {
        if self.row.pace == Pace::Whole { large } else { small }
    }

    /// The address of the next connection.
    pub fn address(&self) -> Address {
        let turn = self.connections.get();
        self.connections.set(turn + 1);
        match self.row.transport {
            Transport::Unix => Address::Unix(self.daemon.unix().to_owned()),
            Transport::Mixed if turn.is_multiple_of(2) => Address::Unix(self.daemon.unix().to_owned()),
            Transport::Tcp | Transport::Mixed => Address::Tcp(self.daemon.tcp()),
        }
    }

    /// A connection on which nothing was sent yet.
    pub fn connection(&self) -> Peer {
        if self.row.skewed && self.connections.get() > 0 {
            self.fillers.borrow_mut().push(Peer::connect(&self.address(), Pace::Whole));
        }
        Peer::connect(&self.address(), self.row.pace)
    }

    /// Keeps connections until the test is over and the daemon, if it is of this test alone, has stopped.
    pub fn keep(&self, peers: Vec<Peer>) {
        self.fillers.borrow_mut().extend(peers);
    }

    /// Closes the connections that only came between two others.
    pub fn forget_fillers(&self) {
        self.fillers.borrow_mut().clear();
    }

    /// A registered plugin of version 1 with the name of that suffix.
    pub fn plugin(&self, suffix: impl AsRef<[u8]>) -> Peer {
        self.plugin_of_version(suffix, 1)
    }

    /// A registered plugin with the name of that suffix.
    pub fn plugin_of_version(&self, suffix: impl AsRef<[u8]>, version: u16) -> Peer {
        let mut peer = self.connection();
        peer.register(&self.name(suffix), version);
        peer.fence();
        peer
    }

    /// A registered plugin of version 1 that has given no top-level credit.
    pub fn plugin_without_credit(&self, suffix: impl AsRef<[u8]>) -> Peer {
        let mut peer = self.connection();
        peer.register_without_credit(&self.name(suffix), 1);
        peer.fence();
        peer
    }

    /// A client: a plugin whose name has length 0.
    pub fn client(&self) -> Peer {
        let mut peer = self.connection();
        peer.register(&[], 1);
        peer.fence();
        peer
    }

    /// Two new plugins that list each other, of names that this run has not used before.
    pub fn next_two(&self) -> (Peer, Peer) {
        let number = self.pairs.get();
        self.pairs.set(number + 1);
        self.two(&format!("a{number}"), &format!("b{number}"))
    }

    /// Two plugins that list each other.
    pub fn two(&self, first: &str, second: &str) -> (Peer, Peer) {
        let (mut a, mut b) = (self.plugin(first), self.plugin(second));
        a.wait_listed(b.name());
        b.wait_listed(a.name());
        (a, b)
    }
}

impl Drop for Bus<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the row {:?}, scope {}; the daemon's log:\n{}", self.row, self.scope, self.daemon.log_tail());
        }
    }
}
