//! `minbus connect`, and what it shares with `minbus provide`: the standard input and output on a channel.

use std::sync::Arc;
use std::time::Duration;

use minbus::{Address, Builder, Bus, ByteReader, Channel, Name, Open, OpenError};
use tokio::time::timeout;

use crate::args::{Connect, Transfer};
use crate::failure::Failure;
use crate::progress::{Counters, Progress};
use crate::signals::Signals;
use crate::sink::Sink;
use crate::source::Source;
use crate::transfer::{Stopped, incoming, outgoing};

/// How the tool connects to the bus: where it is told, or where the environment says.
pub(crate) fn client(bus: Option<Address>) -> Builder {
    let builder = Bus::builder();
    match bus {
        Some(address) => builder.address(address),
        None => builder,
    }
}

pub(crate) async fn run(bus: Option<Address>, args: Connect) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let builder = client(bus).window(args.transfer.window);
    let builder = match &args.own_name {
        Some(name) => builder.name(name),
        None => builder,
    };
    let bus = builder.connect().await?;
    let channel = tokio::select! {
        code = signals.wait() => return Err(Failure::signal(code)),
        channel = open(&bus, &args) => channel?,
    };
    carry(&bus, channel, &args.transfer, &mut signals).await
}

async fn open(bus: &Bus, args: &Connect) -> Result<Channel, Failure> {
    let open = bus.open(&args.name);
    let open = match args.version_min {
        Some(version) => open.version_min(version),
        None => open,
    };
    reach(bus, &args.name, open, args.timeout).await
}

/// Waits until a plugin has accepted. Where it has not, says whether it is there: the bus does not.
pub(crate) async fn reach(bus: &Bus, name: &Name, open: Open, patience: Option<Duration>) -> Result<Channel, Failure> {
    let opened = match patience {
        None => open.await,
        Some(patience) => timeout(patience, open.into_future())
            .await
            .map_err(|_| Failure::no_plugin(format!("{name} does not answer the connection")))?,
    };
    match opened {
        Err(OpenError::Unavailable(_)) => {
            let there = bus.list().await?.iter().any(|plugin| plugin.name == *name);
            let message = if there { "denies the connection" } else { "is not connected to the bus" };
            Err(Failure::no_plugin(format!("{name} {message}")))
        }
        opened => Ok(opened?),
    }
}

/// Carries the standard input and output until both directions have ended, and leaves the bus.
pub(crate) async fn carry(
    bus: &Bus,
    channel: Channel,
    transfer: &Transfer,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let counters = Arc::new(Counters::default());
    // It looks at the standard output, which the sink takes away.
    let progress = Progress::start(transfer.quiet, Arc::clone(&counters));
    let source =
        Source::stdin().map_err(|error| Failure::runtime(format!("cannot read the standard input: {error}")))?;
    let sink = Sink::stdout().map_err(|error| Failure::stdout(&error))?;
    let (mut sender, receiver) = channel.split();
    let mut reader = ByteReader::from(receiver);
    let sending = async {
        outgoing(source, &mut sender, &counters).await.map_err(|stopped| match stopped {
            Stopped::World(error) => Failure::runtime(format!("cannot read the standard input: {error}")),
            stopped => stopped.into_failure(),
        })
    };
    let receiving = async { incoming(&mut reader, sink, &counters).await.map_err(Stopped::into_failure) };
    let result = tokio::select! {
        code = signals.wait() => Err(Failure::signal(code)),
        result = async { tokio::try_join!(sending, receiving) } => result.map(drop),
    };
    drop(progress);
    match result {
        Ok(()) => {
            drop((sender, reader));
            Ok(bus.close().await?)
        }
        Err(failure) => {
            // Dropping the halves would close them as if all were well. The other side must see that this one has left.
            std::mem::forget((sender, reader));
            Err(failure)
        }
    }
}
