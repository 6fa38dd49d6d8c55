//! `minbus connect`, and what it shares with `minbus provide`: the standard input and output on a channel.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use minbus::{Address, Bus, ByteReader, Channel, Name, Open, OpenError};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::args::{Connect, Transfer};
use crate::bus::{self, leave, part};
use crate::failure::{Code, Failure};
use crate::progress::{Counters, Progress};
use crate::signals::Signals;
use crate::sink::Sink;
use crate::source::Source;
use crate::transfer::{Stopped, incoming, outgoing};

pub(crate) async fn run(bus: Option<Address>, args: Connect) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let builder = Bus::builder().window(args.transfer.window);
    let builder = match &args.own_name {
        Some(name) => builder.name(name),
        None => builder,
    };
    let bus = signals.or(bus::connect(bus, builder)).await?;
    let channel = signals.or(open(&bus, &args)).await?;
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
            .map_err(|_| Failure::new(Code::NoPlugin, format!("{name} does not answer the connection")))?,
    };
    match opened {
        Err(OpenError::Unavailable(_)) => {
            let there = bus.list().await?.iter().any(|plugin| plugin.name == *name);
            let message = if there { "denies the channel" } else { "is not connected to the bus" };
            Err(Failure::new(Code::NoPlugin, format!("{name} {message}")))
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
    let enough = Notify::new();
    let sending = outgoing(source, &mut sender, &counters);
    let receiving = incoming(&mut reader, sink, &counters, &enough);
    let result = signals.or(both(sending, receiving, &enough)).await;
    drop(progress);
    match result {
        Ok(()) => {
            drop((sender, reader));
            leave(bus, signals).await
        }
        Err(failure) => {
            // Dropping the halves would close them as if all were well. The other side must see that this one has left,
            // behind what it was sent.
            std::mem::forget((sender, reader));
            part(bus).await;
            Err(failure)
        }
    }
}

/// Waits for both directions: whatever happens to one, the other goes on as long as it can come to a good end. What the
/// command ends with does not depend on which was first.
async fn both(
    sending: impl Future<Output = Result<(), Stopped>>,
    receiving: impl Future<Output = Result<(), Stopped>>,
    enough: &Notify,
) -> Result<(), Failure> {
    let (mut sending, mut receiving) = (pin!(sending), pin!(receiving));
    let (mut sent, mut received) = (None, None);
    loop {
        tokio::select! {
            result = &mut sending, if sent.is_none() => {
                // The other side is not told an end that is none, so it may wait for more, and not come to its own.
                if matches!(result, Err(Stopped::World(_))) {
                    enough.notify_one();
                }
                sent = Some(result);
            }
            result = &mut receiving, if received.is_none() => {
                // Whoever wrote the input sees so that it is no use.
                if matches!(result, Err(Stopped::World(_))) {
                    return result.map_err(Stopped::of_output);
                }
                received = Some(result);
            }
        }
        if let (Some(_), Some(_)) = (&sent, &received) {
            break;
        }
    }
    // Why the other side wants no more says more than that it has left.
    sent.transpose().map_err(Stopped::of_input)?;
    received.transpose().map_err(Stopped::of_output)?;
    Ok(())
}
