//! `minbus watch`.

use minbus::{Address, Plugin, Presence, Watch as Events};
use serde::Serialize;

use crate::args::Watch;
use crate::bus::{client, part};
use crate::failure::Failure;
use crate::json::PluginLine;
use crate::output::Output;
use crate::signals::Signals;

#[derive(Serialize)]
struct EventLine<'a> {
    event: &'a str,
    #[serde(flatten)]
    plugin: PluginLine<'a>,
}

pub(crate) async fn run(bus: Option<Address>, args: Watch) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let bus = signals.or(client(bus)).await?;
    let mut events = signals.or(async { Ok(bus.watch().await?) }).await?;
    let mut output = Output::new()?;
    let mut hangup = output.hangup();
    let stopped = tokio::select! {
        signal = signals.wait() => signal,
        failure = &mut hangup => return Err(failure),
        failure = follow(&mut events, &args, &mut output) => return Err(failure),
    };
    // What ends a watch is no failure, unless it cuts off what was to be printed.
    output.part(stopped).await?;
    part(&bus).await;
    Ok(())
}

/// Prints what happens, for as long as that goes well.
async fn follow(events: &mut Events, args: &Watch, output: &mut Output) -> Failure {
    loop {
        let printed = match events.next().await {
            Some(Ok(presence)) => print(presence, args, output).await,
            Some(Err(error)) => Err(error.into()),
            None => Err(Failure::runtime("the bus has ended the watch")),
        };
        if let Err(failure) = printed {
            return failure;
        }
    }
}

async fn print(presence: Presence, args: &Watch, output: &mut Output) -> Result<(), Failure> {
    let (event, plugins) = match presence {
        Presence::Present(plugins) => ("present", plugins),
        Presence::Joined(plugin) => ("joined", vec![plugin]),
        Presence::Left(plugin) => ("left", vec![plugin]),
    };
    for plugin in &plugins {
        if args.json {
            output.json(&EventLine { event, plugin: plugin.into() }).await?;
        } else {
            let Plugin { name, version } = plugin;
            output.line(format_args!("{event:7}  {name}  {version}")).await?;
        }
    }
    Ok(())
}
