//! The tool of Min-Bus: who is on the bus, and pipes to and from them.
//!
//! - `args` what can be said on the command line, `failure` what goes wrong and the exit codes for it
//! - `stats` and `why` tell what the channels wait for, over a `sample`
//! - `list`, `watch`, `info`, `ping` ask; `connect` and `provide` carry bytes, through `transfer`, `source` and `sink`

#![forbid(unsafe_code)]

mod args;
mod connect;
mod failure;
mod info;
mod json;
mod list;
mod ping;
mod progress;
mod provide;
mod sample;
mod signals;
mod sink;
mod source;
mod stats;
mod stdout;
mod transfer;
mod watch;
mod why;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};
use crate::failure::Failure;

/// Runs the tool with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let args = Args::parse();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    if let Command::Completions { shell } = args.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "minbus", &mut script);
        return stdout::write(&script);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::runtime(format!("cannot start: {error}")))?;
    let result = runtime.block_on(dispatch(args));
    // A thread may be reading the terminal; it is not waited for.
    runtime.shutdown_background();
    result
}

async fn dispatch(args: Args) -> Result<(), Failure> {
    let bus = args.bus;
    match args.command {
        Command::List(list) => list::run(bus, list).await,
        Command::Watch(watch) => watch::run(bus, watch).await,
        Command::Connect(connect) => connect::run(bus, connect).await,
        Command::Provide(provide) => provide::run(bus, provide).await,
        Command::Ping(ping) => ping::run(bus, ping).await,
        Command::Info(info) => info::run(bus, info).await,
        Command::Stats(stats) => stats::run(bus, stats).await,
        Command::Why(why) => why::run(bus, why).await,
        Command::Completions { .. } => unreachable!("it needs no bus"),
    }
}
