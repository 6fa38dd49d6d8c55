//! The plugin library against a real daemon, over unix sockets and TCP, with one shard and with two.

mod ends;
mod finding;
mod last_words;
mod pausing;
mod stopping;
mod talking;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minbus::{Address, Builder, Bus, Channel};
use tests::daemon::Daemon;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout;

use crate::start_with;

/// How long a test may take on one row. It bounds a test that fails; it measures nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a run of a test has its bus, and names that no other run uses.
struct Place {
    address: Address,
    run: usize,
}

impl Place {
    /// A name that no other run uses.
    fn name(&self, name: &str) -> String {
        format!("client-{}-{name}", self.run)
    }

    /// How to connect as a plugin.
    fn plugin(&self, name: &str) -> Builder {
        Bus::builder().address(self.address.clone()).name(self.name(name)).version(5)
    }

    /// A plugin.
    async fn register(&self, name: &str) -> Bus {
        self.plugin(name).connect().await.expect("the name is free")
    }

    /// Two plugins, and a connection from the first to the second.
    async fn pair(&self) -> Pair {
        self.pair_with(self.plugin("a"), self.plugin("b")).await
    }

    /// Two plugins that connect like this, and a connection from the first to the second.
    async fn pair_with(&self, a: Builder, b: Builder) -> Pair {
        let (a_bus, b_bus) = (a.connect().await.expect("registered"), b.connect().await.expect("registered"));
        let accepting = async { b_bus.incoming().await.expect("an offer").accept() };
        let (a, b) = tokio::join!(a_bus.open(self.name("b")).into_future(), accepting);
        Pair { a: a.expect("accepted"), b, a_bus, b_bus }
    }
}

/// Two ends of a connection.
struct Pair {
    a: Channel,
    b: Channel,
    a_bus: Bus,
    b_bus: Bus,
}

/// Runs a test on each row, with the daemons that all tests share.
fn rows(test: impl AsyncFn(Place)) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    for shards in [1, 2] {
        let daemon = daemon(shards);
        let tcp = Address::Tcp { host: daemon.tcp().ip().to_string(), port: daemon.tcp().port() };
        for address in [Address::Unix(daemon.unix().to_owned()), tcp] {
            let place = Place { address: address.clone(), run: RUNS.fetch_add(1, Ordering::Relaxed) };
            let result = runtime().block_on(async { timeout(PATIENCE, test(place)).await });
            result.unwrap_or_else(|_| panic!("no end in sight over {address} with {shards} shards"));
        }
    }
}

fn runtime() -> Runtime {
    Flavor::CurrentThread.runtime()
}

/// A kind of runtime.
#[derive(Clone, Copy, Debug)]
enum Flavor {
    CurrentThread,
    MultiThread,
}

impl Flavor {
    const ALL: [Self; 2] = [Self::CurrentThread, Self::MultiThread];

    fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::CurrentThread => runtime::Builder::new_current_thread(),
            Self::MultiThread => runtime::Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a runtime")
    }
}

fn daemon(shards: usize) -> &'static Daemon {
    static DAEMONS: [OnceLock<Daemon>; 2] = [const { OnceLock::new() }; 2];
    DAEMONS[shards - 1].get_or_init(|| start_with(shards, ""))
}
