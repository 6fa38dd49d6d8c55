//! Where the bus is, and who says so: when it is not there, that is what has to be put right. And how it is left.

use minbus::{Address, Builder, Bus, ConnectError};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::output::PARTING;
use crate::signals::Signals;

/// Where the tool looks for the bus: where it is told, or where the environment says.
pub(crate) struct Whereabouts {
    /// The address of the flag.
    flag: Option<Address>,
}

impl Whereabouts {
    pub(crate) fn of(flag: Option<Address>) -> Self {
        Self { flag }
    }

    /// Connects without a name.
    pub(crate) async fn client(self) -> Result<Bus, Failure> {
        self.connect(Bus::builder()).await
    }

    pub(crate) async fn connect(self, builder: Builder) -> Result<Bus, Failure> {
        // Unless the flag says where the bus is.
        let variable = if self.flag.is_none() { Address::env_variable() } else { None };
        let builder = match self.flag {
            Some(address) => builder.address(address),
            None => builder,
        };
        builder.connect().await.map_err(|error| failure(error, variable))
    }
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
            Failure::no_bus(format!("{error} (is minbusd running?{origin})"))
        }
        _ => error.into(),
    }
}
