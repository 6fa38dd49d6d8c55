//! Where the bus is, and who says so: when it is not there, that is what has to be put right.

use minbus::{Address, Builder, Bus, ConnectError};

use crate::failure::Failure;

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

fn failure(error: ConnectError, variable: Option<&str>) -> Failure {
    match &error {
        ConnectError::Unreachable { .. } => {
            let origin = variable.map_or_else(String::new, |name| format!(" the address is that of ${name}"));
            Failure::no_bus(format!("{error} (is minbusd running?{origin})"))
        }
        _ => error.into(),
    }
}
