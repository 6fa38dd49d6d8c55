//! A plugin in a row of plugins, for tests: `worker BUS NAME` takes a connection and reads nothing of it, `worker BUS
//! NAME pour TARGET` does so too and writes to TARGET without end, `worker BUS NAME pass TARGET` writes to TARGET what
//! it reads. `worker BUS NAME idle INTERVAL_MS TIMEOUT_MS` does nothing with that heartbeat, but says `ready` on its standard
//! output, and why the connection is over.

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use minbus::{Address, Bus, Channel, OpenError};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::time::sleep;

/// Bytes that each of them has under way to it, and bytes of a message.
const WINDOW: u64 = 65_536;
const MESSAGE: usize = 4_096;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bus, name, rest @ ..] = args.as_slice() else { return Err("worker BUS NAME [pour|pass TARGET]".into()) };
    let mut bus = Bus::builder().address(bus.parse::<Address>()?).name(name).version(1).window(WINDOW);
    if let [what, interval_ms, timeout_ms] = rest
        && what == "idle"
    {
        bus = bus.heartbeat(Duration::from_millis(interval_ms.parse()?), Duration::from_millis(timeout_ms.parse()?));
    }
    let bus = bus.connect().await?;
    match rest {
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
        [what, ..] if what == "idle" => {
            println!("ready");
            println!("{}", bus.closed().await);
            pending().await
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
