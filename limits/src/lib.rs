//! Every bound of the relay in one place, with its unit at the end of its name.
//!
//! A constant here is either fixed by the protocol or the default of a configuration key of the same name. Each says
//! whom it protects and where it comes from; a number that nobody has measured says so. The assertions at the end
//! relate them to each other, so that a careless change does not compile.

#![forbid(unsafe_code)]

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

// ---- fixed by the protocol -------------------------------------------------------------------------------------

pub use wire::{ENTRY_BYTES_MAX, NAME_BYTES_MAX};

/// The longest opening payload that means something to the server: an opcode and an `entry` (protocol section 2,
/// "Connect" and "Connect with a version"). Longer ones are refused without being kept.
pub const OPENING_BYTES_MAX: usize = 1 + ENTRY_BYTES_MAX;

/// The most credit for a cancel payload that may be outstanding on one half (protocol section 2, "Connect": it is
/// relayed "up to 1024 bytes outstanding"). Bounds what the relay must keep of an end payload.
pub const CANCEL_CREDIT_BYTES_MAX: u64 = 1_024;

// ---- fixed by the system ---------------------------------------------------------------------------------------

/// The longest path of a unix socket: `sun_path` has 108 bytes and the last is a NUL (unix(7)).
pub const UNIX_PATH_BYTES_MAX: usize = 107;

/// The most entries of an io_uring, `IORING_MAX_ENTRIES` of the kernel.
pub const RING_ENTRIES_MAX: u64 = 32_768;

/// The most buffers of a provided-buffer ring (io_uring_register_buf_ring(3)).
pub const RECEIVE_BUFFERS_MAX: u64 = 32_768;

/// The largest socket buffer that can be asked for: the kernel doubles the number and keeps it in an `int`
/// (socket(7), `SO_SNDBUF`).
pub const SOCKET_BUFFER_BYTES_MAX: u64 = 1 << 30;

// ---- listeners and shards --------------------------------------------------------------------------------------

/// Connections that may wait to be accepted, for each listener. As many as `net.core.somaxconn` allows by default
/// since Linux 5.4, so that hundreds of plugins started at once are not refused.
pub const ACCEPT_BACKLOG: i32 = 4_096;

/// How often a free port is looked for that several addresses of a host can share. One that is free on the first and taken
/// on another is rare. Randomly picked, no tuning so far.
pub const SHARED_PORT_ATTEMPTS: u32 = 16;

/// How long an address may stay taken after its last daemon has died: the kernel lets go of the sockets in a ring only
/// some time after the process. Usually milliseconds; otherwise randomly picked, no tuning so far.
pub const TAKEOVER_PATIENCE_MS: u64 = 1_000;

/// The rights of a socket file: its owner and its group. Whoever may connect may take any free name, so "everybody"
/// must be a decision of the administrator and not the default.
pub const UNIX_MODE: u32 = 0o660;

/// The most shards. Shards are meant to be one a CPU; randomly picked, no tuning so far.
pub const SHARDS_MAX: u64 = 256;

// ---- the bus ---------------------------------------------------------------------------------------------------

/// How long a connection may take to register (protocol section 2, `registration_timeout`). Protects descriptors and
/// memory from connections that never become plugins. Randomly picked, no tuning so far.
pub const REGISTRATION_TIMEOUT_MS: u64 = 5_000;

/// Silence after which a plugin is pinged (protocol section 2, "Heartbeats"). Rare enough that 16,000 idle plugins
/// cost about a thousand pings a second. Otherwise randomly picked, no tuning so far.
pub const HEARTBEAT_INTERVAL_MS: u64 = 15_000;

/// Silence after which a connection is ended (protocol section 2, "Heartbeats"): two pings may get lost in a stall of
/// the plugin before it is given up.
pub const HEARTBEAT_TIMEOUT_MS: u64 = 45_000;

/// How long the server waits for credit for an end payload that it owes before it ends with an empty one (protocol
/// section 2, `end_credit_timeout`). Protects the id and the memory of the half. Randomly picked, no tuning so far.
pub const END_CREDIT_TIMEOUT_MS: u64 = 5_000;

/// How long a stopping server goes on delivering what it has accepted. Well under the 90 s after which service
/// managers kill. Otherwise randomly picked, no tuning so far.
pub const SHUTDOWN_TIMEOUT_MS: u64 = 5_000;

/// The longest time that any of the above may be set to: a day, so that sums of them never overflow a clock.
pub const TIMEOUT_MS_MAX: u64 = 86_400_000;

// ---- what one peer can make us hold ----------------------------------------------------------------------------

/// Connections served at once. Protects file descriptors and memory; leaves room under the hard descriptor limit of
/// 524,288 that systemd grants. Randomly picked, no tuning so far.
pub const CONNECTIONS_MAX: u64 = 16_000;

/// Connections of one user on unix sockets, all together. Leaves a quarter of the places to others. Randomly picked, no
/// tuning so far.
pub const CONNECTIONS_PER_UID_MAX: u64 = 12_000;

/// The part of all places that is kept from any one address (of IPv6, from any one network of 64 bits) when there are many:
/// nobody knows which users are behind it. With [`CONNECTIONS_PER_UID_MAX`] the places that are free are shared the same
/// way: one who has more than its multiple of what is free gets no more, so there is always something left for the next.
pub const ADDRESS_PLACES_PARTS: usize = 4;

/// Connections that have not registered yet, all together. One user or address may have three quarters of them
/// ([`ADDRESS_PLACES_PARTS`]), and of what is free no more than a multiple. Half of [`CONNECTIONS_MAX`]: thousands may
/// come at once when everything starts.
pub const HANDSHAKES_MAX: u64 = CONNECTIONS_MAX / 2;

/// Connections over these limits that are kept until they have given credit for the reason, but no longer than
/// [`REGISTRATION_TIMEOUT_MS`]. Further ones are closed without a word. Randomly picked, no tuning so far.
pub const REFUSED_MAX: usize = 64;

/// Requests, sinks, streams and duplexes that one plugin may have open at once. Protects the ledger from a plugin that
/// opens without end. Randomly picked, no tuning so far.
pub const CHANNELS_PER_PLUGIN_MAX: u64 = 65_536;

/// Connects that may wait for one plugin's top-level credit (protocol section 2, "it waits for that in a bounded
/// queue"). Protects the memory of the shard from a plugin that grants nothing. Randomly picked, no tuning so far.
pub const OFFERS_PER_PLUGIN_MAX: u64 = 1_024;

/// How long a connect may wait in that queue before it is denied. Protects the one who asks. Randomly picked, no
/// tuning so far.
pub const OFFER_TIMEOUT_MS: u64 = 10_000;

/// Opening payloads that one connection may have begun and not finished (protocol section 1, "Partial"). Each keeps up
/// to [`OPENING_BYTES_MAX`] bytes. Randomly picked, no tuning so far.
pub const OPENINGS_PARTIAL_MAX: u64 = 64;

/// Top-level credit that a plugin has when all is quiet (protocol section 2, "On accept"). Enough for 250 connects
/// with the longest names in flight, and for thousands with usual ones.
pub const TOP_LEVEL_CREDIT_BYTES: u64 = 64 * KIB;

/// The least top-level credit: the longest opening payload must fit in it, with room to top it up in time.
pub const TOP_LEVEL_CREDIT_BYTES_MIN: u64 = KIB;

/// Queries of one plugin that are being answered at once. Each may keep a listing of its own from being dropped until its
/// credit has come; more of them wait for their turn. Randomly picked, no tuning so far.
pub const ANSWERS_MAX: usize = 16;

/// The most bytes of entries in a chunk of the catalogue of all names. One is copied when a plugin comes or leaves, and one
/// is gone through to find the entry of whoever asks: about a microsecond. Some 200 usual names; no tuning so far.
pub const CATALOGUE_CHUNK_BYTES: usize = 4 << 10;

/// States of the catalogue that are kept for those who read them, over all shards. Each may be as long as all names
/// are, 4 MB for 16,000 of the longest ones; what more are read count among what their readers cost, which
/// [`OVERHEAD_MEMORY_BYTES`] bounds. Randomly picked, no tuning so far.
pub const LISTINGS_MAX: usize = 8;

/// Changes of the directory that a shard takes under its lock at once: a few microseconds. No tuning so far.
pub const CHANGES_TAKEN_MAX: usize = 256;

/// Requests of one connection about the relay that may wait, beside the one that is being answered. Each holds a few words.
/// Randomly picked, no tuning so far.
pub const STATS_QUERIES_MAX: usize = 4;

/// The longest page of an answer to them: about a hundred flows. One is held for each asker, and a shard takes some 20 µs
/// to write it.
pub const STATS_PAGE_BYTES_MAX: u64 = 16 * KIB;

/// The credit without which a page is not begun: it must hold the totals, or the flow with the longest names.
pub const STATS_PAGE_BYTES_MIN: u64 = KIB;

/// Connections and legs that are looked at for one page, so that those without flows cost no more than those with many.
/// Randomly picked, no tuning so far.
pub const STATS_VISITS_MAX: usize = 1_024;

/// The most that one message of the relay's own takes of a send at once, so that others get their turn. Half a receive
/// buffer; no tuning so far.
pub const REPLY_PART_BYTES_MAX: usize = 64 << 10;

/// Messages that may wait for a shard. When it is full, the connections that write more are not read. Two ticks of a busy
/// shard with many short runs; no tuning so far.
pub const INBOX_MSGS_MAX: usize = 4_096;

/// Messages that may wait with their sender for a shard whose inbox is full, before the connections of that sender are stopped
/// in the middle of what they have sent. A few hundred kilobytes; what is about a turn's work of a connection may come on top.
/// Randomly picked, no tuning so far.
pub const OUTGOING_MSGS_MAX: usize = 4_096;

/// Bytes of chunk heads that the backlog of one half may hold beyond those that come with payload: what costs a writer no
/// credit, which is empty messages. Past it the writer is not read until the reader has caught up. As large as a default
/// window; no tuning so far.
pub const BACKLOG_HEAD_BYTES_MAX: u64 = MIB;

/// Units of unpaid work that one connection may make each second, and go on with: heads of chunks, credit, pings, ends,
/// about one unit for each field; payload for the relay itself, and its answers, by their bytes ([`WORK_BYTES_PER_UNIT`]).
/// What is paid for by payload, or answers something, is not counted. A ping costs two, an open and its end about 20. Such
/// work takes 50 to 100 ns a unit, so a flood of it costs a shard a hundredth of its time.
pub const WORK_UNITS_PER_S: u64 = 100_000;

/// Units that a connection may make at once before that rate binds: enough to open ten thousand channels.
pub const WORK_BURST_UNITS: u64 = 200_000;

/// Payload that pays for a unit of work, in bytes: a small message pays for itself and a credit chunk beside it.
pub const WORK_PAID_BY_BYTES: u64 = 32;

/// Units that a message, a ping or an end sent to a plugin allows it to answer with: credit and an ack, or a pong.
pub const WORK_ANSWER_UNITS: u64 = 4;

/// Units that an opening costs beyond its fields: it looks up names and makes entries in tables.
pub const WORK_OPEN_UNITS: u64 = 8;

/// Bytes for which no other plugin has given credit and that cost a unit: those of payload that is for the relay itself,
/// mostly to be ignored, and for which credit comes back of itself; those of answers of the relay's own. To receive or to
/// copy and send so many takes about as long as a field does, 0.5 ns a byte.
pub const WORK_BYTES_PER_UNIT: u64 = 128;

/// Units that it costs to begin to tell who is there, beside the bytes: the lock of the directory, and a chunk of
/// [`CATALOGUE_CHUNK_BYTES`] that is gone through.
pub const WORK_LISTING_UNITS: u64 = 16;

/// Rules for caps that cost a connect a unit: it goes through all of them ([`CREDIT_RULES_MAX`]).
pub const WORK_RULES_PER_UNIT: u64 = 4;

/// Steps (runs of messages, or units of work) after which a connection has had its turn in a tick, though its receive
/// buffer is not used up: at most about 200 us. A buffer full of 64-byte messages for different halves is one turn.
pub const WORK_TURN_UNITS_MAX: u64 = 2_048;

/// How long a connection may flood, slowed all the time, before it is ended. So long that nobody who means well gets
/// there; a process that spins in a loop does. Randomly picked, no tuning so far.
pub const FLOOD_TIMEOUT_MS: u64 = 600_000;

/// What the connections of one shard may take together besides payload: themselves, their channels, heads of messages,
/// answers and names that are still to be told. Beyond it the one that takes most is ended, so that no number of
/// connections can make the relay grow past its ceiling. Some 2 KiB for each of [`CONNECTIONS_MAX`] idle ones, 1 KiB for
/// each channel, and as much again for those that do not read; no tuning so far.
pub const OVERHEAD_MEMORY_BYTES: u64 = 128 * MIB;

/// How long a listener rests after accepting has failed, for want of descriptors above all: long enough not to spin, short
/// enough to go unnoticed when the want is over. Randomly picked, no tuning so far.
pub const ACCEPT_RETRY_MS: u64 = 100;

/// How long a connection that the relay ends may take to read why, and how long one that does not listen any more is still
/// heard. Randomly picked, no tuning so far.
pub const FAREWELL_TIMEOUT_MS: u64 = 1_000;

/// How often a newcomer on TCP has it looked at whether the holder of its name has hung up, and how long after each other:
/// the end of a connection is on its way for a moment. On unix sockets it is known at once. Randomly picked, no tuning so
/// far.
pub const CONTEST_LOOKS_TCP: u32 = 4;
/// See [`CONTEST_LOOKS_TCP`].
pub const CONTEST_LOOK_INTERVAL_MS: u64 = 20;

/// At how many holders of a name it is looked for one newcomer: the first may be gone and another one faster, who may be
/// gone as well. So many that start again in a quick loop are one program. Randomly picked, no tuning so far.
pub const CONTEST_HOLDERS_MAX: u32 = 4;

/// What a connection that is over may still say, in bytes, so that it reads to its end: all that it can have been given
/// credit for by default, and much that it was not. It is read and dropped. Protects a shard from one that is ended and
/// does not stop.
pub const FAREWELL_BYTES_MAX: u32 = CREDIT_MEMORY_BYTES as u32;

/// The least and the most that a tick of a shard may be late before the rest of the delay counts as time in which the relay
/// did not run, in milliseconds; an eighth of the shortest patience with a peer, between these two. Protects plugins from
/// being ended for a suspension of the relay. Shorter delays are those of a busy machine.
pub const SUSPENSION_MS_MIN: u64 = 100;
/// See [`SUSPENSION_MS_MIN`].
pub const SUSPENSION_MS_MAX: u64 = 1_000;

/// A suspension that the log tells of, in milliseconds: longer than what a machine that is merely busy makes a thread wait.
pub const SUSPENSION_LOGGED_MS_MIN: u64 = 10_000;

// ---- credit ----------------------------------------------------------------------------------------------------

/// The part of a shard's [`CREDIT_MEMORY_BYTES`] that is kept from the floors of any one user's channels, so that others can
/// open some. Each user gets at most a multiple of what is free. Randomly picked, no tuning so far.
pub const USER_FLOORS_PARTS: u64 = 8;

/// Payload that one shard may have promised to take in or be holding, over all halves. Randomly picked, no tuning so
/// far.
pub const CREDIT_MEMORY_BYTES: u64 = 64 * MIB;

/// What a half has at the least: each connect reserves it for both directions or is refused (protocol section 2,
/// "No memory for two credit counters and two buffers"). With it, half of the default memory of one shard is enough for
/// the floors of about 1,800 channels. Half of what a half may send in one turn ([`QUANTUM_BYTES`]).
pub const CREDIT_CAP_MIN_BYTES: u64 = 8 * KIB;

/// What a new half may have, before it has shown what it makes of it. Half a receive buffer, to be cut once at the most.
pub const CREDIT_CAP_INITIAL_BYTES: u64 = 64 * KIB;

/// What a half may have at the most, however much it makes of it. A quarter of the default memory, which is what one
/// alone may take of it anyway; enough for 10 Gbit/s over 12 ms.
pub const CREDIT_CAP_MAX_BYTES: u64 = 16 * MIB;

/// Bytes for a unix socket that wait longer than this all the time are a standing backlog: the reader is the slow one,
/// and more in the relay only makes them later. About what a socket buffer of 1 MB holds for a fast reader.
pub const CREDIT_STANDING_UNIX_MS: u64 = 1;

/// The same for TCP, whose send buffer empties in larger steps.
pub const CREDIT_STANDING_TCP_MS: u64 = 5;

/// How long a backlog must stand before a cap shrinks, each time: longer than what any burst takes to pass. As CoDel has
/// it (RFC 8289, section 3.2).
pub const CREDIT_STANDING_INTERVAL_MS: u64 = 100;

/// Silence for each of which a cap is halved. A plugin that comes back after a few of these starts small again.
/// Randomly picked, no tuning so far.
pub const CREDIT_IDLE_MS: u64 = 1_000;

/// Rules for the caps of single plugins. Each connect goes through them. Randomly picked, no tuning so far.
pub const CREDIT_RULES_MAX: usize = 1_000;

/// Below this much, credit is not worth a chunk of its own while more bytes are on their way. A page; no tuning so far.
pub const GRANT_BYTES_MIN: u64 = 4 * KIB;

/// A half that has carried this much has a reader that reads: it is twice what a socket with a send buffer of
/// [`UNIX_SEND_BUFFER_BYTES`] takes, which the kernel doubles.
pub const READ_BYTES_MIN: u64 = 4 * UNIX_SEND_BUFFER_BYTES;

// ---- sockets ---------------------------------------------------------------------------------------------------

/// Send buffer of a unix socket. Beside forwarders that have this much, messages of 64 B cost 1.30 times the CPU with 256
/// KiB, 1.26 with 512 KiB, 1.18 with 1 MiB, 1.19 with 2 MiB and 1.40 with 4 MiB; those of 64 KiB 2.02, 1.69, 1.65, 1.65 and
/// 1.67 times (medians of 5).
pub const UNIX_SEND_BUFFER_BYTES: u64 = MIB;

/// Receive buffer of a unix socket: 0 leaves it alone, for unix sockets queue in the buffer of the sender.
pub const UNIX_RECEIVE_BUFFER_BYTES: u64 = 0;

/// The least send buffer that a connection gets when many are there. So much is set aside for each of
/// [`CONNECTIONS_MAX`], 800 MiB in all. As much as the smallest TCP buffers have (`net.ipv4.tcp_wmem`); no tuning so far.
pub const SEND_BUFFER_BYTES_MIN: u64 = 16 * KIB;

/// What the kernel may hold in send buffers of all connections. A stalled reader makes it hold twice the size that its
/// buffer was asked to have, 24 GiB for 12,000 with [`UNIX_SEND_BUFFER_BYTES`]. With this much the first 350 get that size, as
/// many as read slowly on any machine that means well, and later ones less. No tuning so far.
pub const KERNEL_MEMORY_BYTES: u64 = 2 << 30;

/// The part of what is left of it that one more connection may get, as a divisor: it takes so many connections to use up
/// nearly two thirds of the rest, so that there is something left for those that come late. Randomly picked, no tuning so
/// far.
pub const KERNEL_MEMORY_SHARES: u64 = 256;

/// Send buffer of a TCP socket: 0 leaves it to the kernel, whose autotuning a fixed size would turn off (tcp(7)). With both
/// buffers left to it, messages of 64 B cost 0.79 times the CPU of a forwarder and those of 64 KiB 1.10 times; fixed at 256 KiB
/// 0.93 and 1.29, at 1 MiB 0.73 and 1.15, at 4 MiB 0.81 and 1.06 (medians of 5): no fixed size is better at both.
pub const TCP_SEND_BUFFER_BYTES: u64 = 0;

/// Receive buffer of a TCP socket: 0 leaves it to the kernel, as above.
pub const TCP_RECEIVE_BUFFER_BYTES: u64 = 0;

/// Bytes that a TCP socket may hold unsent before it counts as full (`TCP_NOTSENT_LOWAT`): 0 leaves it to the kernel.
pub const TCP_NOTSENT_LOWAT_BYTES: u64 = 0;

/// Seconds of silence after which the kernel probes a TCP peer (`TCP_KEEPIDLE`), and between its probes: 0 turns that
/// off. The heartbeats of the protocol find dead peers sooner, and on unix sockets too.
pub const TCP_KEEPALIVE_S: u64 = 0;

/// The longest of these that tcp(7) takes.
pub const TCP_KEEPALIVE_S_MAX: u64 = 32_767;

/// Congestion control of TCP connections to a loopback address, where there is nothing to congest. The kernel has this
/// one always, and it does not pace packets: pacing, which BBR needs, takes a timer for every few of them, and half as
/// much processor time again or more.
pub const LOOPBACK_CONGESTION: &str = "reno";

/// How long the kernel polls the network device for a TCP receive (`SO_BUSY_POLL`): 0 leaves it to
/// `net.core.busy_read`. Of no use on loopback, and nobody's default: it burns the CPU that it polls on.
pub const TCP_BUSY_POLL_US: u64 = 0;

/// The longest of these waits: more than that only burns a CPU. Randomly picked, no tuning so far.
pub const TCP_BUSY_POLL_US_MAX: u64 = 10_000;

// ---- the engine ------------------------------------------------------------------------------------------------

/// Submission entries of one shard's io_uring. More than that only cost a further system call in one tick.
pub const RING_ENTRIES: u64 = 4_096;

/// Receive buffers of one shard. With [`RECEIVE_BUFFER_BYTES`] 8 MiB, of which those used last are used first. No tuning so
/// far.
pub const RECEIVE_BUFFERS: u64 = 64;

/// Size of one receive buffer. Beside a byte forwarder, messages of 1 KiB on unix sockets cost 1.18 times its CPU with
/// 64 KiB, 1.09 with 96 KiB, 1.08 with 128 KiB and 1.17 with 192 KiB: more in one go is worth it until two or three of them
/// no longer fit in an L2 cache of 1 MiB.
pub const RECEIVE_BUFFER_BYTES: u64 = 128 * KIB;

/// Payload that may wait for one connection in receive buffers before it is copied to the backlog. Keeps a plugin that
/// is behind from holding the buffers that all others receive into. No tuning so far.
pub const OUTBOX_BYTES: u64 = 512 * KIB;

/// Pieces and runs up to this long are copied into the bytes of a send; longer ones go out, in place, of the buffer in which
/// they came (and from [`SPLICE_MIN_BYTES`] on they bypass our memory). That is where the two cost the same: with messages for eight readers in turn, copying them all took 0.83 times the
/// CPU of copying none at 256 B, 0.97 at 512 B, and 1.02 at 1 and 2 KiB.
pub const COPY_BYTES_MAX: usize = 1_024;

/// The zero-copy threshold: the shortest payload of a chunk that goes through pipes rather than through receive buffers. Pipes took 1.07 times the
/// CPU of buffers at 16 KiB, 1.05 at 24 KiB, 0.85 at 32 KiB and 0.76 at 48 KiB on unix sockets; on TCP 1.19, 1.12, 0.99 and
/// 1.00, and 0.82 at 64 KiB (one writer and one reader, medians of 3).
pub const SPLICE_MIN_BYTES: u64 = 32 * KIB;

/// The least that [`SPLICE_MIN_BYTES`] may be set to: pages are what splice moves, and a few of them are copied sooner.
pub const SPLICE_MIN_BYTES_MIN: u64 = PIPED_BYTES_MIN as u64;

/// What a pipe holds. As much as anybody may ask for (`fs.pipe-max-size` is 1 MiB by default).
pub const PIPE_BYTES: u64 = MIB;

/// The largest pipe that can be asked for: the kernel keeps the size in an `unsigned int`.
pub const PIPE_BYTES_MAX: u64 = 1 << 31;

/// Pipes of the process. One user may have 64 MiB in pipes by default (`fs.pipe-user-pages-soft`); half of that.
pub const PIPES: u64 = 32;

/// Pipes that may wait in the backlog of one half, so that a reader that is behind does not hold them all.
pub const BACKLOG_PIPES_MAX: usize = 8;

/// Of a large body, what has come is moved if it is at least this much, and else copied: a page.
pub const PIPED_BYTES_MIN: usize = 4 << 10;

/// What has been read of a body before the rest is moved is copied into the pipe up to this length: a page.
pub const PIPED_COPY_BYTES_MAX: usize = 4 << 10;

/// Heads, control and small copies that one send may carry.
pub const STAGING_BYTES_MAX: usize = 256 << 10;

/// How long a shard may look for work before it sleeps: off, for a shard that shares its CPU with plugins would keep them
/// from answering.
pub const SPIN_US: u64 = 0;

/// The longest that it may be set to. Longer than that there is nothing to be won: a wake takes some 30 us.
pub const SPIN_US_MAX: u64 = 10_000;

/// Payload that one half may put into a send before the next half has its turn. An eighth of a receive buffer; no
/// tuning so far.
pub const QUANTUM_BYTES: usize = 16 << 10;

// ---- the log ---------------------------------------------------------------------------------------------------

/// Lines that may wait to be written. Bounds the memory that a stalled reader of stderr costs, at about 2 MiB.
pub const LOG_LINES_WAITING_MAX: usize = 8_192;

/// Lines of one kind that may be written at once. Protects the disk from whoever makes the relay say the same again and
/// again; so many that what happens to a few dozen plugins is told of each. Randomly picked, no tuning so far.
pub const LOG_BURST_LINES: u64 = 50;

/// How often a further line of that kind may be written after that: about 15 MB a day. Randomly picked, no tuning so far.
pub const LOG_LINE_INTERVAL_MS: u64 = 1_000;

/// How long after the first line that was left out it is told how many were. Randomly picked, no tuning so far.
pub const LOG_LEFT_OUT_INTERVAL_MS: u64 = 5_000;

/// Kinds of lines that have a rate of their own; all further ones share one. Several times what there are in the sources.
pub const LOG_KINDS_MAX: usize = 256;

/// How long a stopping daemon waits for a reader of stderr that takes nothing. Longer than a busy machine keeps one from
/// its CPU. Randomly picked, no tuning so far.
pub const LOG_FLUSH_STALL_MS: u64 = 2_000;

/// How long it waits for one that takes something, but slowly. With [`SHUTDOWN_TIMEOUT_MS`] well under the 90 s after which
/// service managers kill. Randomly picked, no tuning so far.
pub const LOG_FLUSH_TIMEOUT_MS: u64 = 10_000;

/// How long a daemon that is to end at once waits for either. Randomly picked, no tuning so far.
pub const LOG_FLUSH_AT_ONCE_MS: u64 = 500;

const _: () = {
    // The longest connect fits in the least top-level credit, twice, so that a top-up comes in time.
    assert!(2 * OPENING_BYTES_MAX as u64 <= TOP_LEVEL_CREDIT_BYTES_MIN);
    assert!(TOP_LEVEL_CREDIT_BYTES_MIN <= TOP_LEVEL_CREDIT_BYTES);
    // A plugin is pinged at least twice before it is given up.
    assert!(2 * HEARTBEAT_INTERVAL_MS < HEARTBEAT_TIMEOUT_MS);
    assert!(HEARTBEAT_TIMEOUT_MS <= TIMEOUT_MS_MAX);
    assert!(OFFER_TIMEOUT_MS <= TIMEOUT_MS_MAX && FLOOD_TIMEOUT_MS <= TIMEOUT_MS_MAX);
    // A plugin that is slowed gets a turn many times each second.
    assert!(10 * WORK_TURN_UNITS_MAX <= WORK_UNITS_PER_S && WORK_UNITS_PER_S <= WORK_BURST_UNITS);
    // Two halves at their windows fit in the memory of a shard.
    assert!(CREDIT_CAP_MIN_BYTES <= CREDIT_CAP_INITIAL_BYTES && CREDIT_CAP_INITIAL_BYTES <= CREDIT_CAP_MAX_BYTES);
    assert!(2 * CREDIT_CAP_MAX_BYTES <= CREDIT_MEMORY_BYTES);
    // Lagging connections reach their outbox limit before they hold all receive buffers.
    assert!(OUTBOX_BYTES < RECEIVE_BUFFERS * RECEIVE_BUFFER_BYTES);
    assert!(RECEIVE_BUFFERS.is_power_of_two() && RECEIVE_BUFFERS <= RECEIVE_BUFFERS_MAX);
    assert!(RING_ENTRIES.is_power_of_two() && RING_ENTRIES <= RING_ENTRIES_MAX);
    assert!(SEND_BUFFER_BYTES_MIN <= UNIX_SEND_BUFFER_BYTES && UNIX_SEND_BUFFER_BYTES <= SOCKET_BUFFER_BYTES_MAX);
};
