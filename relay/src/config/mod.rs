//! The configuration of a relay.
//!
//! What was given (`raw`) is checked once against the table of keys (`keys`), and a [`Config`] holds only what is
//! valid. So nothing behind it asks again. Flags win over the file, key by key; what neither says has its default.

mod address;
mod check;
mod environment;
mod error;
pub mod kernel_memory;
mod keys;
mod print;
mod raw;
mod rules;
mod value;

use std::fs;
use std::path::Path;
use std::time::Duration;

pub use self::address::{TcpAddress, UnixAddress};
pub use self::environment::Environment;
pub use self::error::{ConfigError, Place, Problem};
pub use self::value::cpu_list;

use self::check::Judge;
use self::raw::{Raw, Value};

/// The directory of [`ROOT_SOCKET`]. The daemon creates it when it is missing, and no other.
pub const ROOT_DIRECTORY: &str = "/run/minbus";

/// Where a daemon of root listens when nothing is said.
pub const ROOT_SOCKET: &str = "/run/minbus/minbus.sock";

/// The name of the socket in `$XDG_RUNTIME_DIR` where a user's daemon listens when nothing is said.
pub const USER_SOCKET_NAME: &str = "minbus.sock";

/// All that can be chosen about a relay, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where plugins connect.
    pub listen: Listen,
    /// The threads.
    pub shards: Shards,
    /// What plugins see of the server.
    pub bus: Bus,
    /// What one peer can make the relay hold.
    pub limits: Limits,
    /// Payload on its way.
    pub credit: Credit,
    /// Options of each connection's socket.
    pub socket: Socket,
    /// The machinery of each shard.
    pub engine: Engine,
}

/// Where plugins connect. There is at least one listener, and none is named twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Unix sockets.
    pub unix: Vec<UnixAddress>,
    /// Rights of those that are files, at most `0o777`.
    pub unix_mode: u32,
    /// TCP addresses.
    pub tcp: Vec<TcpAddress>,
}

/// The threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    /// How many; at least 1.
    pub count: usize,
    /// The CPUs to run on; not empty. Shard `i` is pinned to `cpus[i % cpus.len()]`.
    pub cpus: Vec<usize>,
    /// Whether to pin at all.
    pub pin: bool,
}

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

/// What plugins see of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bus {
    /// Whether a plugin is told who connects to it.
    pub initiator: Initiator,
    /// Who may ask the relay about itself.
    pub stats: Stats,
    /// How long a connection may take to register.
    pub registration_timeout: Duration,
    /// Silence after which a plugin is pinged.
    pub heartbeat_interval: Duration,
    /// Silence after which a connection is ended; more than `heartbeat_interval`.
    pub heartbeat_timeout: Duration,
    /// How long to wait for credit for an end payload.
    pub end_credit_timeout: Duration,
    /// How long a stopping relay goes on delivering.
    pub shutdown_timeout: Duration,
}

/// What one peer can make the relay hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, over all shards.
    pub connections_max: usize,
    /// Connections of one user at once, on unix sockets.
    pub connections_per_uid_max: usize,
    /// Entities that one plugin may have open at once.
    pub channels_per_plugin_max: usize,
    /// Connects that may wait for one plugin's top-level credit.
    pub offers_per_plugin_max: usize,
    /// How long a connect may wait for it.
    pub offer_timeout: Duration,
    /// Unfinished opening payloads of one connection.
    pub openings_partial_max: usize,
    /// Top-level credit that a plugin is kept topped up to; at least 1,024.
    pub top_level_credit_bytes: u64,
    /// What the connections of one shard may take together besides payload.
    pub overhead_memory_bytes: usize,
    /// Units of unpaid work that one connection may go on with each second.
    pub work_units_per_s: u64,
    /// Units that it may do at once.
    pub work_burst_units: u64,
    /// How long a connection may be slowed without a break before it is ended.
    pub flood_timeout: Duration,
}

/// Payload on its way. `cap_min_bytes <= cap_initial_bytes <= cap_max_bytes`, and two times that is at most
/// `memory_bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Payload that one shard may have promised to take in or be holding.
    pub memory_bytes: u64,
    /// What a connect reserves for each direction.
    pub cap_min_bytes: u64,
    /// What one half may have in flight at first.
    pub cap_initial_bytes: u64,
    /// What one half may have in flight at the most.
    pub cap_max_bytes: u64,
    /// Bytes that wait longer than this for a unix socket, all the time, are a standing backlog.
    pub standing_unix: Duration,
    /// The same for a TCP socket.
    pub standing_tcp: Duration,
    /// How long a backlog must stand before the cap shrinks.
    pub standing_interval: Duration,
    /// Silence for each of which a cap is halved.
    pub idle: Duration,
    /// Other caps for single plugins; the first that fits counts.
    pub rules: Vec<CreditRule>,
}

/// Caps for the halves between plugins of certain names. At least one of the two patterns is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditRule {
    /// What the name of the writer is like, where `*` stands for anything.
    pub writer: Option<String>,
    /// What the name of the reader is like.
    pub reader: Option<String>,
    /// In place of [`Credit::cap_min_bytes`].
    pub cap_min_bytes: u64,
    /// In place of [`Credit::cap_initial_bytes`].
    pub cap_initial_bytes: u64,
    /// In place of [`Credit::cap_max_bytes`].
    pub cap_max_bytes: u64,
}

/// Options of each connection's socket. 0 leaves a size to the kernel; all fit in a C `int`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// `SO_SNDBUF` of unix sockets.
    pub unix_send_buffer_bytes: usize,
    /// `SO_RCVBUF` of unix sockets.
    pub unix_receive_buffer_bytes: usize,
    /// `SO_SNDBUF` of TCP sockets.
    pub tcp_send_buffer_bytes: usize,
    /// `SO_RCVBUF` of TCP sockets.
    pub tcp_receive_buffer_bytes: usize,
    /// `TCP_NODELAY`.
    pub tcp_nodelay: bool,
    /// `TCP_NOTSENT_LOWAT`.
    pub tcp_notsent_lowat_bytes: u32,
    /// `TCP_KEEPIDLE` and `TCP_KEEPINTVL`; zero for no keepalive.
    pub tcp_keepalive: Duration,
    /// `SO_BUSY_POLL`, in microseconds.
    pub tcp_busy_poll_us: u32,
    /// What the kernel may hold in send buffers of all connections together, as far as we choose their sizes.
    pub kernel_memory_bytes: u64,
}

/// The machinery of each shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Submission entries of the io_uring; a power of two, at most 32,768.
    pub ring_entries: u32,
    /// Receive buffers; a power of two, at most 32,768.
    pub receive_buffers: u16,
    /// Size of one receive buffer.
    pub receive_buffer_bytes: usize,
    /// Payload that may wait for one connection in receive buffers.
    pub outbox_bytes: usize,
    /// Whether large messages may go through pipes.
    pub splice: bool,
    /// The shortest that do.
    pub splice_min_bytes: u64,
    /// What a pipe holds.
    pub pipe_bytes: usize,
    /// Pipes of the process.
    pub pipes_max: usize,
    /// How long a shard looks for work before it sleeps; zero for not at all.
    pub spin: Duration,
}

/// What flags say in place of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--unix`, in place of `listen.unix` when there is any.
    pub unix: Vec<String>,
    /// `--unix-mode`, in place of `listen.unix_mode`.
    pub unix_mode: Option<String>,
    /// `--tcp`, in place of `listen.tcp` when there is any.
    pub tcp: Vec<String>,
    /// `--shards`, in place of `shards.count`.
    pub shards: Option<u32>,
    /// `--cpus`, in place of `shards.cpus`.
    pub cpus: Option<String>,
}

impl Overrides {
    fn apply(&self, raw: &mut Raw) {
        let text = |text: &String| Value::Text(text.clone());
        if !self.unix.is_empty() {
            raw.set(&keys::UNIX, "--unix", Value::List(self.unix.iter().map(text).collect()));
        }
        if let Some(mode) = &self.unix_mode {
            raw.set(&keys::UNIX_MODE, "--unix-mode", text(mode));
        }
        if !self.tcp.is_empty() {
            raw.set(&keys::TCP, "--tcp", Value::List(self.tcp.iter().map(text).collect()));
        }
        if let Some(count) = self.shards {
            raw.set(&keys::COUNT.key, "--shards", Value::Integer(count.into()));
        }
        if let Some(cpus) = &self.cpus {
            raw.set(&keys::CPUS, "--cpus", text(cpus));
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
