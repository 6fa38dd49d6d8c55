//! A plugin in a row of plugins, for tests: `worker BUS NAME` takes a connection and reads nothing of it, `worker BUS NAME
//! pour TARGET` does so too and writes to TARGET without end, `worker BUS NAME pass TARGET` writes to TARGET what it reads.
//! `worker BUS NAME idle INTERVAL_MS TIMEOUT_MS COUNT RUNTIME` is so many plugins with that heartbeat, which do nothing, on
//! a runtime of one thread (`one`) or of several (`many`); it says `ready` on its standard output, and why each connection
//! is over.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use minbus::{Address, Builder, Bus, Channel, OpenError};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::runtime;
use tokio::time::sleep;

/// Bytes that each of them has under way to it, and bytes of a message.
const WINDOW: u64 = 65_536;
const MESSAGE: usize = 4_096;

fn main() -> Result<(), Box<dyn Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut runtime = match args.last() {
        Some(kind) if kind == "many" => runtime::Builder::new_multi_thread(),
        _ => runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.worker_threads(2).enable_all().build()?;
    let [bus, name, rest @ ..] = args.as_slice() else { return Err("worker BUS NAME [pour|pass TARGET]".into()) };
    let plugin = |name: &str| -> Result<Builder, Box<dyn Error>> {
        Ok(Bus::builder().address(bus.parse::<Address>()?).name(name).version(1).window(WINDOW))
    };
    match rest {
        [what, interval_ms, timeout_ms, count, _] if what == "idle" => {
            let heartbeat = [interval_ms, timeout_ms].map(|ms| ms.parse().map(Duration::from_millis));
            let [interval, timeout] = heartbeat;
            let builder = plugin(name)?.heartbeat(interval?, timeout?);
            runtime.block_on(idle(builder, name, count.parse()?))
        }
        rest => runtime.block_on(work(plugin(name)?, rest)),
    }
}

/// Plugins that do nothing.
async fn idle(builder: Builder, name: &str, count: usize) -> Result<(), Box<dyn Error>> {
    let mut plugins = Vec::new();
    for number in 0..count {
        plugins.push(builder.clone().name(format!("{name} {number}")).connect().await?);
    }
    println!("ready");
    for bus in plugins {
        println!("{}", bus.closed().await);
    }
    pending().await
}

async fn work(builder: Builder, what: &[String]) -> Result<(), Box<dyn Error>> {
    let bus = builder.connect().await?;
    match what {
        [] => {
            let _channel = bus.incoming().await?.accept();
            pending().await
        }
        [what, target] if what == "pour" => {
            let incoming = bus.clone();
            tokio::spawn(async move {
                let _channels = incoming.incoming().await.map(minbus::Incoming::accept);
                pending::<()>().await;
            });
            let mut channel = open(&bus, target).await?;
            loop {
                channel.send(vec![0; MESSAGE]).await?;
            }
        }
        [what, target] if what == "pass" => {
            let mut to = open(&bus, target).await?;
            let mut from = bus.incoming().await?.accept();
            while let Some(message) = from.recv().await? {
                to.send(message).await?;
            }
            Ok(())
        }
        _ => Err("pour or pass, and a target".into()),
    }
}

/// Opens a channel as soon as the target is there.
async fn open(bus: &Bus, target: &str) -> Result<Channel, OpenError> {
    loop {
        match bus.open(target).await {
            Err(OpenError::Unavailable(_)) => sleep(Duration::from_millis(10)).await,
            opened => return opened,
        }
    }
}
