//! Min-Bus for plugins: connect to a bus, find other plugins by name, and talk with them.
//!
//! A [`Bus`] is one connection to the relay, made by a [`Builder`]. It [lists](Bus::list) and [watches](Bus::watch) who
//! is there, [opens](Bus::open) connections to others and takes [those of others](Bus::incoming). Each is a
//! [`Channel`]: whole messages of any size both ways, or a [`ByteStream`] for any protocol that runs over bytes. The
//! credit that the protocol asks for, heartbeats and the cutting of large messages are all done under the hood.
//!
//! ```no_run
//! use minbus::Bus;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let bus = Bus::client().await?;
//!     for plugin in bus.list().await? {
//!         println!("{plugin}");
//!     }
//!     let mut channel = bus.open("echo").await?;
//!     channel.send("hello").await?;
//!     println!("{:?}", channel.recv().await?);
//!     bus.close().await?;
//!     Ok(())
//! }
//! ```
//!
//! # What is promised
//!
//! Handles hand their work to a task of the connection, which writes it to the socket. What a method promises when it returns
//! `Ok`:
//!
//! | | |
//! |---|---|
//! | [`Sender::send`], [`MessageSender::send`] | The message is queued in this process. |
//! | writing to a [`ByteWriter`] | The other plugin has given credit for the bytes, and they are on their way to the socket. |
//! | [`Sender::flush`], flushing a [`ByteWriter`] | All that was sent before is written to the socket: the kernel has it, and delivers it though the program may end at once. |
//! | [`Sender::close`], shutting down a [`ByteWriter`], [`Receiver::cancel`] | The same, and the end with its payload as well. |
//! | [`Bus::close`] | The same for all channels and for all that was dropped, denied or taken back; and the relay has hung up, so it has read all of it. |
//! | [`Bus::ping`] | The relay has read all that was flushed, closed or cancelled before. |
//!
//! Accepting and denying ([`Incoming`]) and dropping a handle begin something that the task carries out soon; they promise
//! nothing by themselves. So a program that ends waits for [`Bus::close`], or at least for the flush or close of what
//! counts: when the runtime stops, the task stops with it, and what is not written by then is lost. Over TCP only
//! [`Bus::close`] is safe when the relay is far or behind: a kernel drops what it has not delivered yet when the program
//! ends and leaves anything unread.
//!
//! That the program of the other plugin has received something only that program can say: by an answer, or by its own close.
//!
//! Whoever waits for anything hears when the connection is over, in every state: no method of this library waits for a relay
//! that is gone.
//!
//! # How it is built
//!
//! `session` is all of a connection but its socket, clock and task; `driver` is the task that owns those; the handles
//! in `bus`, `channel`, `watch` and so on ask the session, behind a lock that is never held across an await. Whatever
//! was begun is kept in the session and not in futures, so dropping a future loses nothing.

#![forbid(unsafe_code)]

mod address;
mod builder;
mod bus;
mod channel;
mod driver;
mod error;
mod escape;
mod heartbeat;
mod incoming;
mod name;
mod open;
mod patience;
mod query;
mod session;
mod shared;
mod socket;
mod stats;
mod watch;

pub use address::{ADDRESS_VARIABLE, Address, AddressError};
pub use builder::Builder;
pub use bus::Bus;
pub use channel::{ByteReader, ByteStream, ByteWriter, Channel, MessageSender, Receiver, Sender};
pub use error::{
    BusError, ConnectError, ListError, OpenError, PingError, RecvError, SendError, StatsError, WatchError,
};
pub use escape::{Escaped, escape};
pub use incoming::Incoming;
pub use name::{NAME_LEN_MAX, Name, NameTooLong, Plugin};
pub use open::{Open, Opening};
pub use session::{END_PAYLOAD_LEN_MAX, Part};
pub use stats::{ConnectionId, End, Flow, FlowState, ShardStats, Stats};
pub use watch::{Presence, Watch};

/// What a rule of the protocol is called that the relay has broken.
pub use bpmux::LinkError;
