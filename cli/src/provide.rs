//! `minbus provide`.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use minbus::{Address, Bus, ByteReader, Incoming};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::args::Provide;
use crate::connect::{carry, client};
use crate::failure::Failure;
use crate::progress::Counters;
use crate::signals::Signals;
use crate::sink::Sink;
use crate::source::Source;
use crate::transfer::{Stopped, incoming, outgoing};

pub(crate) async fn run(bus: Option<Address>, args: Provide) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let builder = client(bus).name(&args.name).version(args.plugin_version).window(args.transfer.window);
    let bus = builder.connect().await?;
    if args.command.is_empty() {
        provide_stdio(bus, &args, signals).await
    } else {
        serve(bus, args, &mut signals).await
    }
}

/// Gives the first connection the standard input and output.
async fn provide_stdio(bus: Bus, args: &Provide, mut signals: Signals) -> Result<(), Failure> {
    let incoming = tokio::select! {
        code = signals.wait() => return Err(Failure::signal(code)),
        incoming = bus.incoming() => incoming?,
    };
    let channel = incoming.accept();
    let others = bus.clone();
    tokio::spawn(async move {
        while let Ok(incoming) = others.incoming().await {
            incoming.deny();
        }
    });
    carry(&bus, channel, &args.transfer, &mut signals).await
}

/// Gives each connection a process, until a signal comes.
async fn serve(bus: Bus, args: Provide, signals: &mut Signals) -> Result<(), Failure> {
    let args = Arc::new(args);
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            _ = signals.wait() => break,
            incoming = bus.incoming() => {
                let incoming = incoming?;
                if tasks.len() < args.processes_max {
                    tasks.spawn(serve_one(bus.clone(), incoming, Arc::clone(&args)));
                } else {
                    incoming.deny();
                }
            }
            Some(_) = tasks.join_next() => {}
        }
    }
    bus.close().await?;
    Ok(())
}

/// Serves one connection, and says on the standard error when that goes wrong.
async fn serve_one(bus: Bus, incoming: Incoming, args: Arc<Provide>) {
    let peer = incoming.peer().clone();
    let complain = |what: &dyn std::fmt::Display| eprintln!("minbus: {} for {peer}: {what}", args.name);
    match spawn(&bus, &incoming, &args) {
        // The connection is denied.
        Err(error) => complain(&format!("cannot start {}: {error}", args.command[0].display())),
        Ok(child) => match run_process(child, incoming).await {
            Ok(status) if status.success() => {}
            Ok(status) => complain(&status),
            Err(stopped) => complain(&stopped),
        },
    }
}

fn spawn(bus: &Bus, incoming: &Incoming, args: &Provide) -> std::io::Result<Child> {
    let peer = incoming.peer();
    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env("MINBUS_NAME", args.name.to_string())
        .env("MINBUS_PEER", peer.name.to_string())
        .env("MINBUS_PEER_VERSION", peer.version.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(address) = bus.address() {
        command.env(minbus::ADDRESS_VARIABLE, address.to_string());
    }
    command.spawn()
}

/// Carries bytes between a process and its connection until the process has ended and all that it wrote is sent.
async fn run_process(mut child: Child, offered: Incoming) -> Result<ExitStatus, Stopped> {
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Stopped::World(std::io::Error::other("the process has no pipes")));
    };
    let (mut sender, receiver) = offered.accept().split();
    let counters = Counters::default();
    let input = async {
        // When the process ends this is dropped, and with it the receiver: nobody reads any more.
        let mut reader = ByteReader::from(receiver);
        match incoming(&mut reader, Sink::process(stdin), &counters).await {
            // The process reads no more, but may go on writing.
            Err(Stopped::World(_)) => Ok(()),
            result => result,
        }
    };
    let feeding = async {
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32));
        let broken = tokio::select! {
            result = input => result.err(),
            status = child.wait() => return status.map_err(Stopped::World),
        };
        if let (Some(_), Some(pid)) = (&broken, pid) {
            // It must not take what it got for all there was. That it has ended meanwhile is no harm: it is our child,
            // so its id is not used again before we have waited for it.
            let _ = kill_process(pid, Signal::HUP);
        }
        let status = child.wait().await.map_err(Stopped::World)?;
        broken.map_or(Ok(status), Err)
    };
    let sending = outgoing(Source::process(stdout), &mut sender, &counters);
    let (status, sent) = tokio::join!(feeding, sending);
    sent.and(status)
}
