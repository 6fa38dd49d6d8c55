//! The tool of Min-Bus: who is on the bus, and pipes to and from them.
//!
//! - `args` what can be said on the command line, `failure` what goes wrong and the exit codes for it
//! - `bus` where it is; `stats` and `why` tell what the channels wait for, over a `sample`
//! - `list`, `watch`, `info`, `ping` ask, and print to an `output`; `connect` and `provide` carry bytes, through `transfer`,
//!   `source` and `sink`; a `process` serves a connection
//! - `stdio` and `writer` are the standard streams

#![forbid(unsafe_code)]

mod args;
mod bus;
mod complaints;
mod connect;
mod failure;
mod info;
mod json;
mod list;
mod output;
mod ping;
mod process;
mod progress;
mod provide;
mod sample;
mod signals;
mod sink;
mod source;
mod stats;
mod stdio;
mod transfer;
mod watch;
mod why;
mod writer;

use std::io::{self, stderr, stdout};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};
use crate::failure::{Code, Failure};

/// Runs the tool with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Args::try_parse() {
        Ok(args) => run(args),
        Err(told) => tell(&told),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

/// Prints what the command line comes to instead of a command: a help, or what is wrong with it.
fn tell(told: &clap::Error) -> Result<(), Failure> {
    let text = told.render();
    let coloured = |choice| if choice == ColorChoice::Never { text.to_string() } else { text.ansi().to_string() };
    if told.use_stderr() {
        // Where that fails there is nobody to tell.
        let _ = stdio::write_all(stderr(), coloured(AutoStream::choice(&stderr())).as_bytes());
        return Err(Failure::new(Code::Usage, ""));
    }
    print(coloured(AutoStream::choice(&stdout())).as_bytes())
}

fn print(text: &[u8]) -> Result<(), Failure> {
    stdio::write_all(stdout(), text).map_err(|error: io::Error| Failure::stdout(&error))
}

fn run(args: Args) -> Result<(), Failure> {
    if let Command::Completions { shell } = args.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), "minbus", &mut script);
        return print(&script);
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
