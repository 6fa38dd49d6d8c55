//! The keys that a configuration may have: where each stands, what it means, what it may be, what it is by default.
//!
//! Reading, checking and printing all go by this table, so that they cannot disagree.

use limits;

/// A place in the configuration.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// What it does, as lines of a comment.
    pub(super) about: &'static str,
}

impl Key {
    const fn new(section: &'static str, name: &'static str, about: &'static str) -> Self {
        Self { section, name, about }
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Things,
    /// May also be given and is printed as text with a unit: "64 MiB".
    Bytes,
    Milliseconds,
    Microseconds,
    Seconds,
}

/// A key whose value is a whole number.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) key: Key,
    pub(super) unit: Unit,
    pub(super) default: u64,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) power_of_two: bool,
}

impl Number {
    const fn new(unit: Unit, default: u64, (least, most): (u64, u64), key: Key) -> Self {
        assert!(least <= default && default <= most);
        Self { key, unit, default, least, most, power_of_two: false }
    }

    const fn power_of_two(mut self) -> Self {
        assert!(self.default.is_power_of_two());
        self.power_of_two = true;
        self
    }
}

/// Sections in the order in which they are printed, each with what it is about.
pub(super) const SECTIONS: [(&str, &str); 7] = [
    ("listen", "Where plugins connect."),
    ("shards", "Threads of the relay. Each serves its own connections, with an io_uring of its own."),
    ("bus", "What plugins see of the server."),
    ("limits", "What one peer can make the relay hold. Beyond these it refuses, and nobody else notices."),
    (
        "credit",
        "Payload on its way. Sizes are numbers of bytes, or text with a unit: \"512 B\", \"64 KiB\", \"1 MiB\".",
    ),
    ("socket", "Options of each connection's socket. 0 leaves a size to the kernel."),
    ("engine", "The machinery of each shard. Change these with a measurement at hand."),
];

pub(super) const UNIX: Key = Key::new(
    "listen",
    "unix",
    "Unix sockets, as paths of at most 107 bytes, or \"@NAME\" for abstract ones, which have no rights: every\n\
     user of the network namespace may connect. When neither unix nor tcp has an entry, it is\n\
     $XDG_RUNTIME_DIR/minbus.sock, else /run/minbus/minbus.sock for root.",
);
pub(super) const UNIX_MODE: Key = Key::new(
    "listen",
    "unix_mode",
    "Rights of the socket files, in octal. Who may connect may take any free name, so by default it is\n\
     only the user and the group of the daemon. \"0666\" lets everybody in.",
);
pub(super) const TCP: Key = Key::new(
    "listen",
    "tcp",
    "TCP sockets, as \"HOST:PORT\": all addresses of the host, and \"[::]\" for IPv6 alone. Port 0 takes a free one.\n\
     There is no encryption and no authentication: keep it on loopback or on a network that you trust.",
);

pub(super) const COUNT: Number = Number::new(
    Unit::Things,
    1,
    (1, limits::SHARDS_MAX),
    Key::new("shards", "count", "Number of shards. Default: as many as there are CPUs in cpus."),
);
pub(super) const CPUS: Key = Key::new(
    "shards",
    "cpus",
    "CPUs to run on, as in \"0-3,6\": shard i is pinned to the i-th, beginning again at the end of the list.\n\
     Default: all that the process may run on.",
);
pub(super) const PIN: Key = Key::new("shards", "pin", "Whether to pin shards to CPUs at all.");

pub(super) const INITIATOR: Key = Key::new(
    "bus",
    "initiator",
    "Whether a plugin is told who connects to it: \"named\", or \"anonymous\" (empty name, version 0).",
);
pub(super) const STATS: Key = Key::new(
    "bus",
    "stats",
    "Who may ask the daemon who talks to whom, how much, and what it waits for (minbus stats, minbus why):\n\
     \"owner\" (over unix sockets, the user of the daemon and root), \"anyone\", or \"nobody\".",
);
pub(super) const REGISTRATION_TIMEOUT: Number = time(
    limits::REGISTRATION_TIMEOUT_MS,
    Key::new("bus", "registration_timeout_ms", "How long a connection may take to register."),
);
pub(super) const HEARTBEAT_INTERVAL: Number = time(
    limits::HEARTBEAT_INTERVAL_MS,
    Key::new("bus", "heartbeat_interval_ms", "A plugin that has been silent for this long is pinged."),
);
pub(super) const HEARTBEAT_TIMEOUT: Number = time(
    limits::HEARTBEAT_TIMEOUT_MS,
    Key::new(
        "bus",
        "heartbeat_timeout_ms",
        "A connection that has been silent for this long is ended. More than heartbeat_interval_ms.",
    ),
);
pub(super) const END_CREDIT_TIMEOUT: Number = time(
    limits::END_CREDIT_TIMEOUT_MS,
    Key::new(
        "bus",
        "end_credit_timeout_ms",
        "How long the server waits for credit for an end payload before it ends with an empty one.",
    ),
);
pub(super) const SHUTDOWN_TIMEOUT: Number = time(
    limits::SHUTDOWN_TIMEOUT_MS,
    Key::new("bus", "shutdown_timeout_ms", "How long a stopping daemon goes on delivering what it has accepted."),
);

pub(super) const CONNECTIONS_MAX: Number = Number::new(
    Unit::Things,
    limits::CONNECTIONS_MAX,
    (1, 1_000_000),
    Key::new("limits", "connections_max", "Connections at once, over all shards."),
);
pub(super) const CONNECTIONS_PER_UID_MAX: Number = Number::new(
    Unit::Things,
    limits::CONNECTIONS_PER_UID_MAX,
    (1, 1_000_000),
    Key::new("limits", "connections_per_uid_max", "Connections of one user at once, on unix sockets."),
);
pub(super) const CHANNELS_PER_PLUGIN_MAX: Number = Number::new(
    Unit::Things,
    limits::CHANNELS_PER_PLUGIN_MAX,
    (1, 16_777_216),
    Key::new(
        "limits",
        "channels_per_plugin_max",
        "Requests, sinks, streams and duplexes that one plugin may have open at once.",
    ),
);
pub(super) const OFFERS_PER_PLUGIN_MAX: Number = Number::new(
    Unit::Things,
    limits::OFFERS_PER_PLUGIN_MAX,
    (1, 1_048_576),
    Key::new("limits", "offers_per_plugin_max", "Connects that may wait for one plugin's top-level credit."),
);
pub(super) const OFFER_TIMEOUT: Number = time(
    limits::OFFER_TIMEOUT_MS,
    Key::new("limits", "offer_timeout_ms", "How long a connect may wait for that credit before it is denied."),
);
pub(super) const OPENINGS_PARTIAL_MAX: Number = Number::new(
    Unit::Things,
    limits::OPENINGS_PARTIAL_MAX,
    (1, 65_536),
    Key::new("limits", "openings_partial_max", "Unfinished opening payloads of one connection."),
);
pub(super) const TOP_LEVEL_CREDIT: Number = Number::new(
    Unit::Bytes,
    limits::TOP_LEVEL_CREDIT_BYTES,
    (limits::TOP_LEVEL_CREDIT_BYTES_MIN, 1 << 30),
    Key::new("limits", "top_level_credit_bytes", "Top-level credit that a plugin is kept topped up to."),
);

pub(super) const OVERHEAD_MEMORY: Number = Number::new(
    Unit::Bytes,
    limits::OVERHEAD_MEMORY_BYTES,
    (1 << 20, 1 << 40),
    Key::new(
        "limits",
        "overhead_memory_bytes",
        "What the connections of one shard may take together besides payload: themselves, channels, heads of messages,\n\
         answers. Beyond it the one that takes most is ended.",
    ),
);
pub(super) const WORK_UNITS_PER_S: Number = Number::new(
    Unit::Things,
    limits::WORK_UNITS_PER_S,
    (1_000, 1 << 40),
    Key::new(
        "limits",
        "work_units_per_s",
        "What one connection may go on with that no payload pays for: pings, empty messages, credit in small bits,\n\
         opens and ends, about one unit for each field of a chunk; and payload for the relay itself and answers of its\n\
         own, a unit for 128 bytes. Beyond it the connection is slowed.",
    ),
);
pub(super) const WORK_BURST: Number = Number::new(
    Unit::Things,
    limits::WORK_BURST_UNITS,
    (1_000, 1 << 40),
    Key::new("limits", "work_burst_units", "How much of that it may do at once before the rate binds."),
);
pub(super) const FLOOD_TIMEOUT: Number = time(
    limits::FLOOD_TIMEOUT_MS,
    Key::new(
        "limits",
        "flood_timeout_ms",
        "A connection that has to be slowed for this long without a break is ended.",
    ),
);

pub(super) const MEMORY: Number = Number::new(
    Unit::Bytes,
    limits::CREDIT_MEMORY_BYTES,
    (128 << 10, 1 << 40),
    Key::new(
        "credit",
        "memory_bytes",
        "Payload that one shard may have promised to take in or be holding. At least twice cap_max_bytes.",
    ),
);
pub(super) const CAP_MIN: Number = cap(
    limits::CREDIT_CAP_MIN_BYTES,
    Key::new(
        "credit",
        "cap_min_bytes",
        "What a connect reserves for each direction, or is refused. At most cap_initial_bytes.",
    ),
);
pub(super) const CAP_INITIAL: Number = cap(
    limits::CREDIT_CAP_INITIAL_BYTES,
    Key::new(
        "credit",
        "cap_initial_bytes",
        "What one direction of a new connection may have in flight. It grows while that keeps its writer waiting, and\n\
         shrinks when bytes stand in the relay or nothing is said. At most cap_max_bytes.",
    ),
);
pub(super) const CAP_MAX: Number = cap(
    limits::CREDIT_CAP_MAX_BYTES,
    Key::new("credit", "cap_max_bytes", "What one direction may have in flight at the most."),
);
pub(super) const STANDING_UNIX: Number = time(
    limits::CREDIT_STANDING_UNIX_MS,
    Key::new(
        "credit",
        "standing_unix_ms",
        "Bytes that wait longer than this for a unix socket, all the time, shrink the cap.",
    ),
);
pub(super) const STANDING_TCP: Number =
    time(limits::CREDIT_STANDING_TCP_MS, Key::new("credit", "standing_tcp_ms", "The same for a TCP socket."));
pub(super) const STANDING_INTERVAL: Number = time(
    limits::CREDIT_STANDING_INTERVAL_MS,
    Key::new("credit", "standing_interval_ms", "How long they must do so before the cap loses a quarter, each time."),
);
pub(super) const IDLE: Number = time(
    limits::CREDIT_IDLE_MS,
    Key::new("credit", "idle_ms", "Silence of a writer, for each of which its cap is halved."),
);

/// Rules for the caps of single plugins: tables rather than a value.
pub(super) const RULES: Key = Key::new(
    "credit",
    "plugin",
    "Other caps for directions whose writer or reader has a name like this (`*` stands for anything). The first rule\n\
     that fits counts; what it does not say follows from the above. Any number of these:\n\
     [[credit.plugin]]\n\
     writer = \"camera*\"\n\
     reader = \"recorder\"\n\
     cap_min_bytes = \"64 KiB\"\n\
     cap_initial_bytes = \"1 MiB\"\n\
     cap_max_bytes = \"32 MiB\"",
);
/// The keys of such a rule besides the caps.
pub(super) const RULE_WRITER: &str = "writer";
pub(super) const RULE_READER: &str = "reader";
/// All keys of such a rule.
pub(super) const RULE_KEYS: [&str; 5] =
    [RULE_WRITER, RULE_READER, CAP_MIN.key.name, CAP_INITIAL.key.name, CAP_MAX.key.name];

pub(super) const UNIX_SEND_BUFFER: Number = socket_buffer(
    limits::UNIX_SEND_BUFFER_BYTES,
    Key::new(
        "socket",
        "unix_send_buffer_bytes",
        "Send buffer of a unix socket. Beyond net.core.wmem_max it takes the right CAP_NET_ADMIN.",
    ),
);
pub(super) const UNIX_RECEIVE_BUFFER: Number = socket_buffer(
    limits::UNIX_RECEIVE_BUFFER_BYTES,
    Key::new(
        "socket",
        "unix_receive_buffer_bytes",
        "Receive buffer of a unix socket; the sender's buffer is the one that counts.",
    ),
);
pub(super) const TCP_SEND_BUFFER: Number = socket_buffer(
    limits::TCP_SEND_BUFFER_BYTES,
    Key::new(
        "socket",
        "tcp_send_buffer_bytes",
        "Send buffer of a TCP socket; a fixed size turns the kernel's autotuning off.",
    ),
);
pub(super) const TCP_RECEIVE_BUFFER: Number = socket_buffer(
    limits::TCP_RECEIVE_BUFFER_BYTES,
    Key::new(
        "socket",
        "tcp_receive_buffer_bytes",
        "Receive buffer of a TCP socket; a fixed size turns the kernel's autotuning off.",
    ),
);
pub(super) const TCP_NODELAY: Key =
    Key::new("socket", "tcp_nodelay", "Whether TCP sends at once, without waiting to fill packets.");
pub(super) const TCP_NOTSENT_LOWAT: Number = socket_buffer(
    limits::TCP_NOTSENT_LOWAT_BYTES,
    Key::new(
        "socket",
        "tcp_notsent_lowat_bytes",
        "Bytes that a TCP socket may hold unsent before it counts as full. Less keeps control nearer to the wire.",
    ),
);
pub(super) const TCP_KEEPALIVE: Number = Number::new(
    Unit::Seconds,
    limits::TCP_KEEPALIVE_S,
    (0, limits::TCP_KEEPALIVE_S_MAX),
    Key::new(
        "socket",
        "tcp_keepalive_s",
        "Silence after which the kernel probes a TCP peer; 0 is never. Heartbeats find dead peers without it.",
    ),
);
pub(super) const TCP_BUSY_POLL: Number = Number::new(
    Unit::Microseconds,
    limits::TCP_BUSY_POLL_US,
    (0, limits::TCP_BUSY_POLL_US_MAX),
    Key::new(
        "socket",
        "tcp_busy_poll_us",
        "How long the kernel polls the network device of a TCP socket before it sleeps. More than\n\
         net.core.busy_read takes the right CAP_NET_ADMIN.",
    ),
);

pub(super) const KERNEL_MEMORY: Number = Number::new(
    Unit::Bytes,
    limits::KERNEL_MEMORY_BYTES,
    (1 << 20, 1 << 40),
    Key::new(
        "socket",
        "kernel_memory_bytes",
        "What the kernel may hold for connections that do not read, all together: when many are there, new ones get\n\
         smaller send buffers than the above, down to 16 KiB. TCP buffers left to the kernel are not part of it:\n\
         net.ipv4.tcp_mem bounds those.",
    ),
);

pub(super) const RING_ENTRIES: Number = Number::new(
    Unit::Things,
    limits::RING_ENTRIES,
    (64, limits::RING_ENTRIES_MAX),
    Key::new("engine", "ring_entries", "Submission entries of a shard's io_uring."),
)
.power_of_two();
pub(super) const RECEIVE_BUFFERS: Number = Number::new(
    Unit::Things,
    limits::RECEIVE_BUFFERS,
    (2, limits::RECEIVE_BUFFERS_MAX),
    Key::new("engine", "receive_buffers", "Receive buffers of a shard, shared by its connections."),
)
.power_of_two();
pub(super) const RECEIVE_BUFFER: Number = Number::new(
    Unit::Bytes,
    limits::RECEIVE_BUFFER_BYTES,
    (4 << 10, 16 << 20),
    Key::new("engine", "receive_buffer_bytes", "Size of one of them."),
);
pub(super) const OUTBOX: Number = Number::new(
    Unit::Bytes,
    limits::OUTBOX_BYTES,
    (4 << 10, 1 << 30),
    Key::new(
        "engine",
        "outbox_bytes",
        "Payload that may wait for one connection in receive buffers before it is copied to the backlog.",
    ),
);

pub(super) const SPLICE: Key = Key::new(
    "engine",
    "splice",
    "Whether large messages may go through pipes, without being copied. They do where the kernel does it well.",
);
pub(super) const SPLICE_MIN: Number = Number::new(
    Unit::Bytes,
    limits::SPLICE_MIN_BYTES,
    (limits::SPLICE_MIN_BYTES_MIN, 1 << 40),
    Key::new("engine", "splice_min_bytes", "Messages of at least this length do, or parts of longer ones."),
);
pub(super) const PIPE: Number = Number::new(
    Unit::Bytes,
    limits::PIPE_BYTES,
    (64 << 10, limits::PIPE_BYTES_MAX),
    Key::new(
        "engine",
        "pipe_bytes",
        "What a pipe holds. More than fs.pipe-max-size takes the right CAP_SYS_RESOURCE; else it is less.",
    ),
);
pub(super) const PIPES: Number = Number::new(
    Unit::Things,
    limits::PIPES,
    (2, 65_536),
    Key::new(
        "engine",
        "pipes_max",
        "Pipes of the process. All pipes of a user may hold fs.pipe-user-pages-soft pages.",
    ),
);

pub(super) const SPIN: Number = Number::new(
    Unit::Microseconds,
    limits::SPIN_US,
    (0, limits::SPIN_US_MAX),
    Key::new(
        "engine",
        "spin_us",
        "How long a shard looks for work before it sleeps, while work comes that soon. For shards with a CPU of\n\
         their own, which they then use up; 0 is never.",
    ),
);

/// All keys, in the order in which they are printed.
pub(super) const ALL: [&Key; 50] = [
    &UNIX,
    &UNIX_MODE,
    &TCP,
    &COUNT.key,
    &CPUS,
    &PIN,
    &INITIATOR,
    &STATS,
    &REGISTRATION_TIMEOUT.key,
    &HEARTBEAT_INTERVAL.key,
    &HEARTBEAT_TIMEOUT.key,
    &END_CREDIT_TIMEOUT.key,
    &SHUTDOWN_TIMEOUT.key,
    &CONNECTIONS_MAX.key,
    &CONNECTIONS_PER_UID_MAX.key,
    &CHANNELS_PER_PLUGIN_MAX.key,
    &OFFERS_PER_PLUGIN_MAX.key,
    &OFFER_TIMEOUT.key,
    &OPENINGS_PARTIAL_MAX.key,
    &TOP_LEVEL_CREDIT.key,
    &OVERHEAD_MEMORY.key,
    &WORK_UNITS_PER_S.key,
    &WORK_BURST.key,
    &FLOOD_TIMEOUT.key,
    &MEMORY.key,
    &CAP_MIN.key,
    &CAP_INITIAL.key,
    &CAP_MAX.key,
    &STANDING_UNIX.key,
    &STANDING_TCP.key,
    &STANDING_INTERVAL.key,
    &IDLE.key,
    &UNIX_SEND_BUFFER.key,
    &UNIX_RECEIVE_BUFFER.key,
    &TCP_SEND_BUFFER.key,
    &TCP_RECEIVE_BUFFER.key,
    &TCP_NODELAY,
    &TCP_NOTSENT_LOWAT.key,
    &TCP_KEEPALIVE.key,
    &TCP_BUSY_POLL.key,
    &KERNEL_MEMORY.key,
    &RING_ENTRIES.key,
    &RECEIVE_BUFFERS.key,
    &RECEIVE_BUFFER.key,
    &OUTBOX.key,
    &SPLICE,
    &SPLICE_MIN.key,
    &PIPE.key,
    &PIPES.key,
    &SPIN.key,
];

const fn time(default_ms: u64, key: Key) -> Number {
    Number::new(Unit::Milliseconds, default_ms, (1, limits::TIMEOUT_MS_MAX), key)
}

const fn cap(default_bytes: u64, key: Key) -> Number {
    Number::new(Unit::Bytes, default_bytes, (limits::CANCEL_CREDIT_BYTES_MAX, 1 << 39), key)
}

const fn socket_buffer(default_bytes: u64, key: Key) -> Number {
    Number::new(Unit::Bytes, default_bytes, (0, limits::SOCKET_BUFFER_BYTES_MAX), key)
}

// These become smaller types in the checked configuration.
const _: () = {
    assert!(RING_ENTRIES.most <= u32::MAX as u64 && RECEIVE_BUFFERS.most <= u16::MAX as u64);
    assert!(TCP_NOTSENT_LOWAT.most <= u32::MAX as u64);
    assert!(TCP_BUSY_POLL.most <= u32::MAX as u64);
};
