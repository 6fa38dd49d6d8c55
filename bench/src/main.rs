//! `bench`: measurements that are better taken by a plain program than by criterion.
//!
//! - [`decode`] what a message costs before the kernel sees it; [`instructions`] counts that
//! - [`baseline`] the relay beside forwarders that do nothing but forward, on the same bytes, in one run
//! - [`attacks`] what bystanders lose by those who mean no good
//! - [`credit`] what memory, credit and blame are worth, and what some cost others
//! - [`forward`] those forwarders; each runs as a process of its own, which is this program again, as is the relay
//! - [`competitors`] the relay beside what a user would pick in its place: message buses, brokers, a proxy
//! - [`rounds`] what these comparisons have in common; [`address`] where servers listen; [`console`] stdout and stderr

mod address;
mod attacks;
mod baseline;
mod competitors;
mod console;
mod credit;
mod decode;
mod forward;
mod instructions;
mod rounds;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of Min-Bus.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Measures what bystanders lose when somebody does what costs him next to nothing
    Attacks(rounds::RoundFlags),
    /// Reads a buffer of messages again and again, and prints the time that one message took
    Decode(decode::Flags),
    /// Measures whether memory is bounded, others are spared and credit flows, whatever a plugin does
    Credit(rounds::RoundFlags),
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
    if baseline::server::is_relay() {
        return baseline::server::relay_main();
    }
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(answer) => return console::answer(&answer),
    };
    console::ending(match command {
        Command::Attacks(flags) => attacks::run(&flags),
        Command::Decode(flags) => decode::run(&flags),
        Command::Credit(flags) => credit::run(&flags),
        Command::Baseline(flags) => baseline::run(&flags),
        Command::Instructions(flags) => instructions::run(&flags),
        Command::Competitors(flags) => competitors::run(&flags),
        Command::Forward(flags) => forward::run(&flags),
    })
}
