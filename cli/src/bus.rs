//! Where the bus is, and who says so: when it is not there, that is what has to be put right.

use std::env;

use minbus::{ADDRESS_VARIABLE, Address, Builder, Bus, ConnectError};

use crate::failure::Failure;

/// The variable that names the directory of the user's sockets.
const RUNTIME_DIR_VARIABLE: &str = "XDG_RUNTIME_DIR";

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
        let variable = self.variable();
        let builder = match self.flag {
            Some(address) => builder.address(address),
            None => builder,
        };
        builder.connect().await.map_err(|error| failure(error, variable))
    }

    /// The variable that says where the bus is, unless the flag does, or nobody.
    fn variable(&self) -> Option<&'static str> {
        let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let variables = [ADDRESS_VARIABLE, RUNTIME_DIR_VARIABLE].into_iter();
        variables.filter(|_| self.flag.is_none()).find(is_set)
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
