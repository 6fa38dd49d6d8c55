//! The configuration of a relay.
//!
//! What was given (`raw`) is checked once against the table of keys (`keys`), and a [`Config`] holds only what is
//! valid. So nothing behind it asks again. Flags win over the file, key by key; what neither says has its default.

mod address;
mod check;
mod environment;
mod error;
mod form;
pub mod kernel_memory;
mod keys;
mod print;
mod raw;
mod rules;
mod value;

use std::fs;
use std::path::Path;

use clap::Args;

pub use self::address::{TcpAddress, UnixAddress};
pub use self::environment::Environment;
pub use self::error::{ConfigError, Place, Problem};
pub use self::keys::{Bus, Config, Credit, Engine, Limits, Listen, Shards, Socket};
pub use self::value::cpu_list;

use self::check::Judge;
use self::raw::Raw;
use self::value::Value;

/// The directory of [`ROOT_SOCKET`]. The daemon creates it when it is missing, and no other.
pub const ROOT_DIRECTORY: &str = "/run/minbus";

/// Where a daemon of root listens when nothing is said.
pub const ROOT_SOCKET: &str = "/run/minbus/minbus.sock";

/// The name of the socket in `$XDG_RUNTIME_DIR` where a user's daemon listens when nothing is said.
pub const USER_SOCKET_NAME: &str = "minbus.sock";

/// Whether a plugin is told who connects to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// By the entry of the one who connects.
    Named,
    /// By the empty name and version 0.
    Anonymous,
}

/// Who may ask the relay about itself: who talks to whom, how much, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stats {
    /// Nobody.
    Nobody,
    /// Connections over unix sockets whose user is the daemon's or root.
    Owner,
    /// Every connection.
    Anyone,
}

/// Flags of the command line that win over keys of the file, each when it is given.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Listen on a unix socket: a path, or @NAME for an abstract one, which has no rights (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub unix: Vec<String>,

    /// Rights of the unix sockets: 0660 lets the daemon's user and group connect, 0666 everybody [default: 0660]
    #[arg(long, value_name = "OCTAL")]
    pub unix_mode: Option<String>,

    /// Listen on a TCP port of all addresses of a host, without encryption or authentication; port 0 takes a free one (may
    /// be repeated)
    #[arg(long, value_name = "HOST:PORT")]
    pub tcp: Vec<String>,

    /// Number of threads that serve connections [default: one for each CPU to run on]
    #[arg(long, value_name = "N")]
    pub shards: Option<u32>,

    /// CPUs to run on, as in 0-3,6 [default: all that the process may run on]
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,
}

impl Overrides {
    fn apply(&self, raw: &mut Raw) {
        let text = |text: &String| Value::Text(text.clone());
        if !self.unix.is_empty() {
            raw.set(&keys::listen::unix.key, "--unix", Value::List(self.unix.iter().map(text).collect()));
        }
        if let Some(mode) = &self.unix_mode {
            raw.set(&keys::listen::unix_mode.key, "--unix-mode", text(mode));
        }
        if !self.tcp.is_empty() {
            raw.set(&keys::listen::tcp.key, "--tcp", Value::List(self.tcp.iter().map(text).collect()));
        }
        if let Some(count) = self.shards {
            raw.set(&keys::shards::count.key, "--shards", Value::Integer(count.into()));
        }
        if let Some(cpus) = &self.cpus {
            raw.set(&keys::shards::cpus.key, "--cpus", text(cpus));
        }
    }
}

impl Config {
    /// Reads a file, when there is one, and puts what flags say in its place.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or something in it or in the flags cannot be.
    pub fn load(file: Option<&Path>, flags: &Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        let Some(path) = file else { return Self::parse("", "", flags, environment) };
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&path.to_string_lossy(), &text, flags, environment)
    }

    /// Reads TOML, called `name` in messages, and puts what flags say in its place.
    ///
    /// # Errors
    /// It is not TOML, or something in it or in the flags cannot be.
    pub fn parse(name: &str, text: &str, flags: &Overrides, environment: &Environment) -> Result<Self, ConfigError> {
        let mut raw = Raw::parse(name, text)?;
        flags.apply(&mut raw);
        Judge::new(raw, environment).config()
    }

    /// That of this text, for tests, on a machine with one CPU.
    #[cfg(test)]
    pub(crate) fn of_test(text: &str) -> Self {
        Self::parse("test", text, &Overrides::default(), &Environment::of_test(vec![0])).expect("valid")
    }

    /// The whole configuration as commented TOML that can be read again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::toml(self)
    }

    /// What is allowed and still hardly meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let Shards { count, cpus, .. } = &self.shards;
        if *count > cpus.len() {
            warnings.push(format!(
                "{count} shards share {} CPUs ({}): more shards than CPUs only take turns",
                cpus.len(),
                cpu_list(cpus)
            ));
        }
        for address in self.listen.unix.iter().filter(|address| matches!(address, UnixAddress::Abstract(_))) {
            warnings.push(format!(
                "unix:{address} is an abstract socket: it has no rights, and every user of this network namespace may \
                 connect"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
