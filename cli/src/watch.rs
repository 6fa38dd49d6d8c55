//! `minbus watch`.

use minbus::{Address, Plugin, Presence};
use serde::Serialize;

use crate::args::Watch;
use crate::connect::client;
use crate::failure::Failure;
use crate::json::{self, PluginLine};
use crate::signals::Signals;
use crate::stdout;

#[derive(Serialize)]
struct EventLine<'a> {
    event: &'a str,
    #[serde(flatten)]
    plugin: PluginLine,
}

pub(crate) async fn run(bus: Option<Address>, args: Watch) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let bus = client(bus).connect().await?;
    let mut watch = bus.watch().await?;
    loop {
        let presence = tokio::select! {
            _ = signals.wait() => break,
            presence = watch.next() => presence,
        };
        match presence.ok_or_else(|| Failure::runtime("the bus has ended the watch"))?? {
            Presence::Present(plugins) => plugins.iter().try_for_each(|plugin| print(&args, "present", plugin))?,
            Presence::Joined(plugin) => print(&args, "joined", &plugin)?,
            Presence::Left(plugin) => print(&args, "left", &plugin)?,
        }
    }
    bus.close().await?;
    Ok(())
}

fn print(args: &Watch, event: &str, plugin: &Plugin) -> Result<(), Failure> {
    if args.json {
        json::line(&EventLine { event, plugin: plugin.into() })
    } else {
        stdout::line(format_args!("{event:7}  {}  {}", plugin.name, plugin.version))
    }
}
