//! `minbus info`.

use std::time::Duration;

use indicatif::BinaryBytes;
use minbus::{Address, StatsError, escape};
use serde::Serialize;

use crate::args::Info;
use crate::bus::client;
use crate::failure::Failure;
use crate::json;
use crate::output::Output;

/// What the memory of the relay is bounded by, for people.
fn ceiling(parts: &[(String, u64)]) -> String {
    let total = parts.iter().map(|(_, bytes)| bytes).sum();
    let mut text = format!("\nmemory      at most {}", BinaryBytes(total));
    for (what, bytes) in parts {
        text += &format!("\n            {:>12}  {}", BinaryBytes(*bytes).to_string(), escape(what.as_bytes()));
    }
    text
}

/// So many round trips are measured; the shortest counts, as all that is added to it is noise.
const PINGS: u32 = 10;

#[derive(Serialize)]
struct InfoLine {
    bus: String,
    socket: &'static str,
    plugins: usize,
    rtt_ms: f64,
    version: &'static str,
    /// None where the bus does not tell.
    memory_ceiling_bytes: Option<u64>,
}

pub(crate) async fn run(bus: Option<Address>, args: Info) -> Result<(), Failure> {
    let bus = client(bus).await?;
    let plugins = bus.list().await?.len();
    let mut rtt = Duration::MAX;
    for _ in 0..PINGS {
        rtt = rtt.min(bus.ping().await?);
    }
    // By default the bus tells its own user alone.
    let parts = match bus.stats().await {
        Ok(stats) => stats.ceiling,
        Err(StatsError::Bus(error)) => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    let address = bus.address().ok_or_else(|| Failure::runtime("the bus has no address"))?;
    let info = InfoLine {
        bus: address.to_string(),
        socket: match address {
            Address::Unix(_) | Address::Abstract(_) => "unix",
            Address::Tcp { .. } => "tcp",
        },
        plugins,
        rtt_ms: json::millis(rtt),
        version: env!("CARGO_PKG_VERSION"),
        memory_ceiling_bytes: (!parts.is_empty()).then(|| parts.iter().map(|(_, bytes)| bytes).sum()),
    };
    let mut output = Output::new()?;
    if args.json {
        output.json(&info).await?;
    } else {
        let text = format!(
            "bus         {}\nsocket      {}\nplugins     {}\nround trip  {:.3} ms\nversion     minbus {}{}",
            info.bus,
            info.socket,
            info.plugins,
            info.rtt_ms,
            info.version,
            if parts.is_empty() { String::new() } else { ceiling(&parts) }
        );
        output.line(text).await?;
    }
    output.finish().await?;
    bus.close().await?;
    Ok(())
}
