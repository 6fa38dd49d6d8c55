//! `minbus info`.

use std::time::Duration;

use minbus::Address;
use serde::Serialize;

use crate::args::Info;
use crate::connect::client;
use crate::failure::Failure;
use crate::{json, stdout};

/// So many round trips are measured; the shortest counts, as all that is added to it is noise.
const PINGS: u32 = 10;

#[derive(Serialize)]
struct InfoLine {
    bus: String,
    socket: &'static str,
    plugins: usize,
    rtt_ms: f64,
    version: &'static str,
}

pub(crate) async fn run(bus: Option<Address>, args: Info) -> Result<(), Failure> {
    let bus = client(bus).connect().await?;
    let plugins = bus.list().await?.len();
    let mut rtt = Duration::MAX;
    for _ in 0..PINGS {
        rtt = rtt.min(bus.ping().await?);
    }
    let address = bus.address().ok_or_else(|| Failure::runtime("the bus has no address"))?;
    let info = InfoLine {
        bus: address.to_string(),
        socket: match address {
            Address::Unix(_) => "unix",
            Address::Tcp { .. } => "tcp",
        },
        plugins,
        rtt_ms: json::millis(rtt),
        version: env!("CARGO_PKG_VERSION"),
    };
    if args.json {
        json::line(&info)?;
    } else {
        stdout::line(format_args!(
            "bus         {}\nsocket      {}\nplugins     {}\nround trip  {:.3} ms\nversion     minbus {}",
            info.bus, info.socket, info.plugins, info.rtt_ms, info.version
        ))?;
    }
    bus.close().await?;
    Ok(())
}
