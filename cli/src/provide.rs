//! `minbus provide`.

use std::mem::ManuallyDrop;
use std::pin::pin;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use minbus::{Address, Bus, ByteReader, Channel, Incoming};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::args::Provide;
use crate::bus::{self, part};
use crate::complaints::Complaints;
use crate::connect::carry;
use crate::failure::Failure;
use crate::process::{Input, Life, Process};
use crate::progress::Counters;
use crate::signals::Signals;
use crate::sink::Sink;
use crate::source::Source;
use crate::transfer::{Stopped, incoming, outgoing};

/// How long a process whose other side has left may take for what had come before, until it gets SIGHUP. What it reads
/// from a pipe takes it no time to speak of; one that does not read must not be waited for.
const GRACE: Duration = Duration::from_secs(2);

/// How long a service whose bus is gone waits for its processes: as long as those with [`GRACE`] may take, and a moment.
const SETTLING: Duration = Duration::from_secs(3);

pub(crate) async fn run(bus: Option<Address>, args: Provide) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let builder = Bus::builder().name(&args.name).version(args.plugin_version).window(args.transfer.window);
    let bus = signals.or(bus::connect(bus, builder)).await?;
    if args.command.is_empty() {
        provide_stdio(bus, &args, signals).await
    } else {
        serve(bus, args, &mut signals).await
    }
}

/// Gives the first channel the standard input and output.
async fn provide_stdio(bus: Bus, args: &Provide, mut signals: Signals) -> Result<(), Failure> {
    let incoming = signals.or(async { Ok(bus.incoming().await?) }).await?;
    let channel = incoming.accept();
    let others = bus.clone();
    tokio::spawn(async move {
        while let Ok(incoming) = others.incoming().await {
            incoming.deny();
        }
    });
    carry(&bus, channel, &args.transfer, &mut signals).await
}

/// The connections of a service. Each ends with what is to be complained of, if anything is.
type Connections = JoinSet<Option<String>>;

/// Gives each connection a process, until a signal comes.
async fn serve(bus: Bus, args: Provide, signals: &mut Signals) -> Result<(), Failure> {
    let mut complaints =
        Complaints::new().map_err(|error| Failure::runtime(format!("cannot write to the standard error: {error}")))?;
    let mut connections = Connections::new();
    let result = accept_all(&bus, args, &mut connections, &mut complaints, signals).await;
    if result.is_err() {
        let settled = async {
            while let Some(ended) = connections.join_next().await {
                // The first failure is told.
                let _ = note(ended, &mut complaints);
            }
            Ok(())
        };
        // Those that take longer are hung up.
        let _ = timeout(SETTLING, signals.or(settled)).await;
    }
    // The halves of channels must not outlive it: they would be closed as if all were well. That others give no credit for
    // what is still to be sent to them does not change what this ends with.
    part(&bus).await;
    connections.shutdown().await;
    complaints.finish().await;
    result
}

async fn accept_all(
    bus: &Bus,
    args: Provide,
    connections: &mut Connections,
    complaints: &mut Complaints,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let args = Arc::new(args);
    loop {
        tokio::select! {
            _ = signals.wait() => return Ok(()),
            incoming = bus.incoming() => {
                let incoming = incoming?;
                if connections.len() < args.processes_max {
                    connections.spawn(serve_one(bus.clone(), incoming, Arc::clone(&args)));
                } else {
                    incoming.deny();
                }
            }
            Some(ended) = connections.join_next() => note(ended, complaints)?,
        }
    }
}

/// A connection is over. One that has panicked has not told its other side how it ended; that it sees when this one leaves.
fn note(ended: Result<Option<String>, JoinError>, complaints: &mut Complaints) -> Result<(), Failure> {
    if let Some(complaint) = ended.map_err(Failure::runtime)? {
        complaints.say(complaint);
    }
    Ok(())
}

/// Serves one connection, and says when that goes wrong.
async fn serve_one(bus: Bus, incoming: Incoming, args: Arc<Provide>) -> Option<String> {
    let peer = incoming.peer().clone();
    let what = match Process::start(command(&bus, &incoming, &args)) {
        // The channel is denied.
        Err(error) => format!("cannot start {}: {error}", args.command[0].display()),
        Ok(process) => match run_process(process, incoming.accept()).await {
            Ok(status) if status.success() => return None,
            Ok(status) => status.to_string(),
            Err(stopped) => stopped.to_string(),
        },
    };
    Some(format!("{} for {peer}: {what}", args.name))
}

fn command(bus: &Bus, incoming: &Incoming, args: &Provide) -> Command {
    let peer = incoming.peer();
    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env("MINBUS_NAME", args.name.to_string())
        .env("MINBUS_PEER", peer.name.to_string())
        .env("MINBUS_PEER_VERSION", peer.version.to_string());
    if let Some(address) = bus.address() {
        command.env(minbus::ADDRESS_VARIABLE, address.to_string());
    }
    command
}

/// Carries bytes between a process and its channel until the process has ended and all that it wrote is sent.
async fn run_process(process: Process, channel: Channel) -> Result<ExitStatus, Stopped> {
    let Process { input, output, mut life } = process;
    let (sender, receiver) = channel.split();
    // Dropping it would close the half as if all were well, also where this future is dropped.
    let mut sender = ManuallyDrop::new(sender);
    let (counters, left) = (Counters::default(), Notify::new());
    let sending = async {
        let result = outgoing(Source::process(output), &mut sender, &counters).await;
        // Who refuses what the process says may still have something to say to it.
        if !matches!(result, Ok(()) | Err(Stopped::Refused(_))) {
            left.notify_one();
        }
        result
    };
    let living = async {
        let result = live(&mut life, input, ByteReader::from(receiver), &counters, &left).await;
        (result, life.status())
    };
    let (sent, (fed, status)) = tokio::join!(sending, living);
    // Where the service has left the bus, what the process has written may have come to an end that is none.
    if !matches!(sent, Err(Stopped::Bus(_))) {
        drop(ManuallyDrop::into_inner(sender));
    }
    fed.and(sent).and_then(|()| status.map_err(Stopped::World))
}

/// Gives a process what the channel brings, and waits for its end. When the other side has `left`, that is made known to
/// the process: behind what had come before, if it takes that in time.
async fn live(
    life: &mut Life,
    mut input: Input,
    mut reader: ByteReader,
    counters: &Counters,
    left: &Notify,
) -> Result<(), Stopped> {
    let mut late = pin!(async {
        left.notified().await;
        sleep(GRACE).await;
    });
    let all = Notify::new();
    let fed = tokio::select! {
        // Nobody reads any more, or nobody who was meant to.
        () = life.ended() => return Ok(()),
        () = &mut late => None,
        fed = incoming(&mut reader, Sink::Process(&mut input), counters, &all) => Some(fed),
    };
    // Whoever still writes to it is told.
    drop(reader);
    match fed {
        // The process reads no more, but may go on writing; or it has got all, and has still to make something of it.
        Some(Ok(()) | Err(Stopped::World(_))) => tokio::select! {
            () = life.ended() => return Ok(()),
            () = late => life.hang_up(),
        },
        Some(Err(stopped)) => {
            life.ended().await;
            return Err(stopped);
        }
        None => input.end(false),
    }
    life.ended().await;
    Ok(())
}
