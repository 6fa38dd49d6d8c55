//! `bench`: measurements that are better taken by a plain program than by criterion.
//!
//! - [`decode`] what a message costs before the kernel sees it; [`instructions`] counts that
//! - [`baseline`] the relay beside forwarders that do nothing but forward, on the same bytes, in one run
//! - [`attacks`] what bystanders lose by those who mean no good
//! - [`credit`] what memory, credit and blame are worth, and what some cost others
//! - [`forward`] those forwarders; each runs as a process of its own, which is this program again, as is the relay
//! - [`competitors`] the relay beside what a user would pick in its place: message buses, brokers, a proxy
//! - [`lab`] how comparisons are made and told; [`server`], [`connection`] processes that are measured; [`plugin`] a client of the
//!   relay, [`traffic`] what clients do
//! - [`console`] stdout and stderr

mod attacks;
mod baseline;
mod competitors;
mod connection;
mod console;
mod credit;
mod decode;
mod forward;
mod instructions;
mod lab;
mod plugin;
mod server;
mod traffic;

use std::process::ExitCode;

use clap::Parser;

use lab::scene::RoundFlags;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Min-Bus.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Measures what bystanders lose when somebody does what costs him next to nothing
    Attacks(RoundFlags),
    /// Reads a buffer of messages again and again, and prints the time that one message took
    Decode(decode::Flags),
    /// Measures whether memory is bounded, others are spared and credit flows, whatever a plugin does
    Credit(RoundFlags),
    /// Measures the relay beside bare forwarders, on the same bytes
    Baseline(baseline::Flags),
    /// Counts the instructions that a message costs before the kernel sees it
    Instructions(instructions::Flags),
    /// Measures the relay beside other buses and brokers, on the same work
    Competitors(competitors::Flags),
    /// Is one of these forwarders
    #[command(hide = true)]
    Forward(forward::Flags),
}

fn main() -> ExitCode {
    if let Some(code) = testkit::relay::main_if_wanted(relay::daemon::main) {
        return code;
    }
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(answer) => return console::answer(&answer),
    };
    console::ending(match command {
        Command::Attacks(flags) => lab::report::run(&flags, attacks::cases(), &credit::STYLE),
        Command::Decode(flags) => decode::run(&flags),
        Command::Credit(flags) => lab::report::run(&flags, credit::cases(), &credit::STYLE),
        Command::Baseline(flags) => baseline::run(&flags),
        Command::Instructions(flags) => instructions::run(&flags),
        Command::Competitors(flags) => competitors::run(&flags),
        Command::Forward(flags) => forward::run(&flags),
    })
}
