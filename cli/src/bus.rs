//! Where the bus is, and who says so: when it is not there, that is what has to be put right. And how it is left.

use minbus::{Address, Builder, Bus, ConnectError};
use tokio::time::timeout;

use crate::failure::{Code, Failure};
use crate::output::PARTING;
use crate::signals::Signals;

/// Connects without a name, to where the flag says that the bus is, or else the environment.
pub(crate) async fn client(flag: Option<Address>) -> Result<Bus, Failure> {
    connect(flag, Bus::builder()).await
}

/// Connects to where the flag says that the bus is, or else the environment.
pub(crate) async fn connect(flag: Option<Address>, builder: Builder) -> Result<Bus, Failure> {
    let (builder, variable) = match flag {
        Some(address) => (builder.address(address), None),
        None => (builder, Address::env_variable()),
    };
    builder.connect().await.map_err(|error| failure(error, variable))
}

/// Leaves the bus behind all that was sent, unless a signal comes.
pub(crate) async fn leave(bus: &Bus, signals: &mut Signals) -> Result<(), Failure> {
    signals.or(async { Ok(bus.close().await?) }).await
}

/// Leaves the bus when the command ends early: whoever does not take what was sent is not waited for long.
pub(crate) async fn part(bus: &Bus) {
    // Nothing better can be done where that does not work.
    let _ = timeout(PARTING, bus.close()).await;
}

fn failure(error: ConnectError, variable: Option<&str>) -> Failure {
    match &error {
        ConnectError::Unreachable { .. } => {
            let origin = variable.map_or_else(String::new, |name| format!(" the address is that of ${name}"));
            Failure::new(Code::NoBus, format!("{error} (is minbusd running?{origin})"))
        }
        _ => error.into(),
    }
}
