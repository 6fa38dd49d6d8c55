//! The table of keys that a configuration may have: where each stands, what it means, what it may be, what it is by
//! default, and what a change of it takes.
//!
//! The structures that hold the values, reading, checking, hints and printing are made from this table. To add a configuration
//! key (config key): a row here, its default in `limits`, its line in the example `tuning/minbusd.toml`, which a test compares
//! with what is printed, and a use of its value.

use std::time::Duration;

use super::form::Unit::{Bytes, Microseconds, PowersOfTwo, Seconds, Things};
use super::form::{Addresses, Choice, Cpus, DERIVED, Form, Mode, Rules, Switch, cap, number, socket_buffer, timeout};
use super::{Initiator, Stats, TcpAddress, UnixAddress};
use ::bus::cap::Rule;

/// A place in the configuration.
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// What it does, as lines of a comment.
    pub(super) about: &'static str,
    pub(super) reload: Reload,
}

/// Reload behaviour of a key: which part of a running daemon a changed value concerns.
#[derive(Clone, Copy)]
pub(super) enum Reload {
    /// All of it, with the connections that are there.
    AtOnce,
    /// The connections that begin later.
    NewConnections,
    /// None: the value is used when the daemon starts.
    Restart,
}

/// A key together with the form of its values, which become `T`.
pub(super) struct Setting<T: 'static> {
    pub(super) key: Key,
    pub(super) form: &'static dyn Form<T>,
}

/// A source of values for all settings.
pub(super) trait Source {
    fn take<T>(&mut self, setting: &Setting<T>) -> T;
}

/// A taker of the values of all settings, in the order of the table.
pub(super) trait Sink {
    fn put<T>(&mut self, setting: &Setting<T>, value: &T);
}

/// Expands the table. A row of it is: what the key does; its field; its name, if the field has another one; the type of
/// its values; their form, with range and default; its reload behaviour.
macro_rules! keys {
    ($(
        $(#[doc = $section_about:literal])+
        $section:ident: $structure:ident {$(
            $(#[doc = $about:literal])+
            $field:ident $($name:literal)?: $type:ty = $form:expr, $reload:ident;
        )+}
    )+) => {
        /// All that can be chosen about a relay, checked: there is at least one listener, and none is named twice;
        /// there is at least one CPU; the caps of `credit` do not descend, and twice the last is at most its memory.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {$(
            $(#[doc = $section_about])+
            pub $section: $structure,
        )+}

        $(
            $(#[doc = $section_about])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $structure {$(
                $(#[doc = $about])+
                pub $field: $type,
            )+}

            #[allow(non_upper_case_globals)]
            pub(super) mod $section {
                use super::*;

                $(pub(in crate::config) const $field: Setting<$type> = Setting {
                    key: Key {
                        section: stringify!($section),
                        name: [$($name,)? stringify!($field)][0],
                        about: concat!($($about, "\n"),+),
                        reload: Reload::$reload,
                    },
                    form: &$form,
                };)+
            }
        )+

        /// Sections in the order in which they are printed, each with what it is about.
        pub(super) const SECTIONS: &[(&str, &str)] =
            &[$((stringify!($section), concat!($($section_about, "\n"),+))),+];

        /// All keys, in the order in which they are printed.
        pub(super) const ALL: &[&Key] = &[$($(&$section::$field.key),+),+];

        impl Config {
            pub(super) fn from_source(source: &mut impl Source) -> Self {
                Self {$($section: $structure {$($field: source.take(&$section::$field)),+}),+}
            }

            pub(super) fn put_into(&self, sink: &mut impl Sink) {
                $($(sink.put(&$section::$field, &self.$section.$field);)+)+
            }
        }
    };
}

keys! {
    /// Where plugins connect.
    listen: Listen {
        /// Unix sockets, as paths of at most 107 bytes, or "@NAME" for abstract ones, which have no rights: every
        /// user of the network namespace may connect. When neither unix nor tcp has an entry, it is
        /// $XDG_RUNTIME_DIR/minbus.sock, else /run/minbus/minbus.sock for root.
        unix: Vec<UnixAddress> = Addresses("a path", UnixAddress::parse), Restart;
        /// Rights of the socket files, in octal. Who may connect may take any free name, so by default it is
        /// only the user and the group of the daemon. "0666" lets everybody in.
        unix_mode: u32 = Mode(::limits::UNIX_MODE), Restart;
        /// TCP sockets, as "HOST:PORT": all addresses of the host, and `[::]` for IPv6 alone. Port 0 takes a free one.
        /// There is no encryption and no authentication: keep it on loopback or on a network that you trust.
        tcp: Vec<TcpAddress> = Addresses("HOST:PORT", TcpAddress::parse), Restart;
    }

    /// Threads of the relay. Each serves its own connections, with an io_uring of its own.
    shards: Shards {
        /// Number of shards. Default: as many as there are CPUs in cpus.
        count: usize = number(Things, DERIVED, 1, ::limits::SHARDS_MAX), Restart;
        /// CPUs to run on, as in "0-3,6": shard i is pinned to the i-th, beginning again at the end of the list.
        /// Default: all that the process may run on.
        cpus: Vec<usize> = Cpus, Restart;
        /// Whether to pin shards to CPUs at all.
        pin: bool = Switch(true), Restart;
    }

    /// What plugins see of the server.
    bus: Bus {
        /// Whether a plugin is told who connects to it: "named", or "anonymous" (empty name, version 0).
        initiator: Initiator = Choice(&[(Initiator::Named, "named"), (Initiator::Anonymous, "anonymous")]), AtOnce;
        /// Who may ask the daemon who talks to whom, how much, and what it waits for (minbus stats, minbus why):
        /// "owner" (over unix sockets, the user of the daemon and root), "anyone", or "nobody".
        stats: Stats =
            Choice(&[(Stats::Owner, "owner"), (Stats::Anyone, "anyone"), (Stats::Nobody, "nobody")]), NewConnections;
        /// How long a connection may take to register.
        registration_timeout "registration_timeout_ms": Duration = timeout(::limits::REGISTRATION_TIMEOUT_MS), AtOnce;
        /// A plugin that has been silent for this long is pinged.
        heartbeat_interval "heartbeat_interval_ms": Duration = timeout(::limits::HEARTBEAT_INTERVAL_MS), AtOnce;
        /// A connection that has been silent for this long is ended. More than heartbeat_interval_ms.
        heartbeat_timeout "heartbeat_timeout_ms": Duration = timeout(::limits::HEARTBEAT_TIMEOUT_MS), AtOnce;
        /// How long the server waits for credit for an end payload before it ends with an empty one.
        end_credit_timeout "end_credit_timeout_ms": Duration = timeout(::limits::END_CREDIT_TIMEOUT_MS), AtOnce;
        /// How long a stopping daemon goes on delivering what it has accepted.
        shutdown_timeout "shutdown_timeout_ms": Duration = timeout(::limits::SHUTDOWN_TIMEOUT_MS), AtOnce;
    }

    /// What one peer can make the relay hold. Beyond these it refuses, and nobody else notices.
    limits: Limits {
        /// Connections at once, over all shards.
        connections_max: usize = number(Things, ::limits::CONNECTIONS_MAX, 1, 1_000_000), Restart;
        /// Connections of one user at once, on unix sockets.
        connections_per_uid_max: usize = number(Things, ::limits::CONNECTIONS_PER_UID_MAX, 1, 1_000_000), AtOnce;
        /// Requests, sinks, streams and duplexes that one plugin may have open at once.
        channels_per_plugin_max: usize = number(Things, ::limits::CHANNELS_PER_PLUGIN_MAX, 1, 16_777_216), NewConnections;
        /// Connects that may wait for one plugin's top-level credit.
        offers_per_plugin_max: usize = number(Things, ::limits::OFFERS_PER_PLUGIN_MAX, 1, 1_048_576), AtOnce;
        /// How long a connect may wait for that credit before it is denied.
        offer_timeout "offer_timeout_ms": Duration = timeout(::limits::OFFER_TIMEOUT_MS), AtOnce;
        /// Unfinished opening payloads of one connection.
        openings_partial_max: usize = number(Things, ::limits::OPENINGS_PARTIAL_MAX, 1, 65_536), NewConnections;
        /// Top-level credit that a plugin is kept topped up to.
        top_level_credit_bytes: u64 =
            number(Bytes, ::limits::TOP_LEVEL_CREDIT_BYTES, ::limits::TOP_LEVEL_CREDIT_BYTES_MIN, 1 << 30), NewConnections;
        /// What the connections of one shard may take together besides payload: themselves, channels, heads of
        /// messages, answers. Beyond it the one that takes most is ended.
        overhead_memory_bytes: usize = number(Bytes, ::limits::OVERHEAD_MEMORY_BYTES, 1 << 20, 1 << 40), AtOnce;
        /// What one connection may go on with that no payload pays for: pings, empty messages, credit in small bits,
        /// opens and ends, about one unit for each field of a chunk; and payload for the relay itself and answers of
        /// its own, a unit for 128 bytes. Beyond it the connection is slowed.
        work_units_per_s: u64 = number(Things, ::limits::WORK_UNITS_PER_S, 1_000, 1 << 40), AtOnce;
        /// How much of that it may do at once before the rate binds.
        work_burst_units: u64 = number(Things, ::limits::WORK_BURST_UNITS, 1_000, 1 << 40), AtOnce;
        /// A connection that has to be slowed for this long without a break is ended; answers slow it, and never end it.
        flood_timeout "flood_timeout_ms": Duration = timeout(::limits::FLOOD_TIMEOUT_MS), AtOnce;
    }

    /// Payload on its way. Sizes are numbers of bytes, or text with a unit: "512 B", "64 KiB", "1 MiB".
    credit: Credit {
        /// Payload that one shard may have promised to take in or be holding. At least twice cap_max_bytes.
        memory_bytes: u64 = number(Bytes, ::limits::CREDIT_MEMORY_BYTES, 128 << 10, 1 << 40), Restart;
        /// What a connect reserves for each direction, or is refused. At most cap_initial_bytes.
        cap_min_bytes: u64 = cap(::limits::CREDIT_CAP_MIN_BYTES), AtOnce;
        /// What one direction of a new connection may have in flight. It grows while that keeps its writer waiting, and
        /// shrinks when bytes stand in the relay or nothing is said. At most cap_max_bytes.
        cap_initial_bytes: u64 = cap(::limits::CREDIT_CAP_INITIAL_BYTES), AtOnce;
        /// What one direction may have in flight at the most.
        cap_max_bytes: u64 = cap(::limits::CREDIT_CAP_MAX_BYTES), AtOnce;
        /// Bytes that wait longer than this for a unix socket, all the time, shrink the cap.
        standing_unix "standing_unix_ms": Duration = timeout(::limits::CREDIT_STANDING_UNIX_MS), AtOnce;
        /// The same for a TCP socket.
        standing_tcp "standing_tcp_ms": Duration = timeout(::limits::CREDIT_STANDING_TCP_MS), AtOnce;
        /// How long they must do so before the cap loses a quarter, each time.
        standing_interval "standing_interval_ms": Duration = timeout(::limits::CREDIT_STANDING_INTERVAL_MS), AtOnce;
        /// Silence of a writer, for each of which its cap is halved.
        idle "idle_ms": Duration = timeout(::limits::CREDIT_IDLE_MS), AtOnce;
        /// Other caps for directions whose writer or reader has a name like this (`*` stands for anything). The first
        /// rule that fits counts; what it does not say follows from the above. Any number of these:
        /// [[credit.plugin]]
        /// writer = "camera*"
        /// reader = "recorder"
        /// cap_min_bytes = "64 KiB"
        /// cap_initial_bytes = "1 MiB"
        /// cap_max_bytes = "32 MiB"
        rules "plugin": Vec<Rule> = Rules, AtOnce;
    }

    /// Options of each connection's socket. 0 leaves a size to the kernel.
    socket: Socket {
        /// Send buffer of a unix socket. Beyond net.core.wmem_max it takes the right CAP_NET_ADMIN.
        unix_send_buffer_bytes: usize = socket_buffer(::limits::UNIX_SEND_BUFFER_BYTES), NewConnections;
        /// Receive buffer of a unix socket; the sender's buffer is the one that counts.
        unix_receive_buffer_bytes: usize = socket_buffer(::limits::UNIX_RECEIVE_BUFFER_BYTES), NewConnections;
        /// Send buffer of a TCP socket; a fixed size turns the kernel's autotuning off.
        tcp_send_buffer_bytes: usize = socket_buffer(::limits::TCP_SEND_BUFFER_BYTES), NewConnections;
        /// Receive buffer of a TCP socket; a fixed size turns the kernel's autotuning off.
        tcp_receive_buffer_bytes: usize = socket_buffer(::limits::TCP_RECEIVE_BUFFER_BYTES), NewConnections;
        /// Whether TCP sends at once, without waiting to fill packets.
        tcp_nodelay: bool = Switch(true), NewConnections;
        /// Bytes that a TCP socket may hold unsent before it counts as full. Less keeps control nearer to the wire.
        tcp_notsent_lowat_bytes: u32 = socket_buffer(::limits::TCP_NOTSENT_LOWAT_BYTES), NewConnections;
        /// Silence after which the kernel probes a TCP peer; 0 is never. Heartbeats find dead peers without it.
        tcp_keepalive "tcp_keepalive_s": Duration =
            number(Seconds, ::limits::TCP_KEEPALIVE_S, 0, ::limits::TCP_KEEPALIVE_S_MAX), NewConnections;
        /// How long the kernel polls the network device of a TCP socket before it sleeps. More than
        /// net.core.busy_read takes the right CAP_NET_ADMIN.
        tcp_busy_poll_us: u32 =
            number(Microseconds, ::limits::TCP_BUSY_POLL_US, 0, ::limits::TCP_BUSY_POLL_US_MAX), NewConnections;
        /// What the kernel may hold for connections that do not read, all together: when many are there, new ones get
        /// smaller send buffers than the above, down to 16 KiB. TCP buffers left to the kernel are not part of it:
        /// net.ipv4.tcp_mem bounds those.
        kernel_memory_bytes: u64 = number(Bytes, ::limits::KERNEL_MEMORY_BYTES, 1 << 20, 1 << 40), Restart;
    }

    /// The machinery of each shard. Change these with a measurement at hand.
    engine: Engine {
        /// Submission entries of a shard's io_uring.
        ring_entries: u32 = number(PowersOfTwo, ::limits::RING_ENTRIES, 64, ::limits::RING_ENTRIES_MAX), Restart;
        /// Receive buffers of a shard, shared by its connections.
        receive_buffers: u16 = number(PowersOfTwo, ::limits::RECEIVE_BUFFERS, 2, ::limits::RECEIVE_BUFFERS_MAX), Restart;
        /// Size of one of them.
        receive_buffer_bytes: usize = number(Bytes, ::limits::RECEIVE_BUFFER_BYTES, 4 << 10, 16 << 20), Restart;
        /// Payload that may wait for one connection in receive buffers before it is copied to the backlog.
        outbox_bytes: usize = number(Bytes, ::limits::OUTBOX_BYTES, 4 << 10, 1 << 30), AtOnce;
        /// Whether large messages may go through pipes, without being copied. They do where the kernel does it well.
        splice: bool = Switch(true), Restart;
        /// Messages of at least this length do, or parts of longer ones.
        splice_min_bytes: u64 = number(Bytes, ::limits::SPLICE_MIN_BYTES, ::limits::SPLICE_MIN_BYTES_MIN, 1 << 40), Restart;
        /// What a pipe holds. More than fs.pipe-max-size takes the right CAP_SYS_RESOURCE; else it is less.
        pipe_bytes: usize = number(Bytes, ::limits::PIPE_BYTES, 64 << 10, ::limits::PIPE_BYTES_MAX), Restart;
        /// Pipes of the process. All pipes of a user may hold fs.pipe-user-pages-soft pages.
        pipes_max: usize = number(Things, ::limits::PIPES, 2, 65_536), Restart;
        /// How long a shard looks for work before it sleeps, while work comes that soon. For shards with a CPU of
        /// their own, which they then use up; 0 is never.
        spin "spin_us": Duration = number(Microseconds, ::limits::SPIN_US, 0, ::limits::SPIN_US_MAX), Restart;
    }
}
