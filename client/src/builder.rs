//! How to connect to a bus, and as whom.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use wire::Entry;

use crate::address::Address;
use crate::bus::Bus;
use crate::driver::{Driver, Timing};
use crate::error::{BusError, ConnectError, ListError};
use crate::heartbeat::HeartbeatConfig;
use crate::name::{Name, NameTooLong, Plugin};
use crate::patience::within;
use crate::session::{ChannelConfig, Session, SessionConfig};
use crate::shared::{Owner, Shared};
use crate::socket::{connect_tcp, connect_unix};

/// The receive window of channels for which none is chosen, in bytes.
const WINDOW: u64 = 256 * 1024;

/// The longest message that is received as a whole where no maximum is chosen, in bytes.
const MESSAGE_LEN_MAX: usize = 16 * 1024 * 1024;

/// Chooses how to connect to a bus, and connects.
///
/// ```no_run
/// # async fn run() -> Result<(), minbus::ConnectError> {
/// use minbus::Bus;
///
/// let bus = Bus::builder().name("clock").version(3).address("unix:/run/minbus/minbus.sock".parse()?).connect().await?;
/// # drop(bus);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "it connects only when told so"]
pub struct Builder {
    name: Option<Result<Name, NameTooLong>>,
    version: u16,
    address: Option<Address>,
    channels: ChannelConfig,
    session: SessionConfig,
    timing: Timing,
    connect_timeout: Duration,
}

impl Bus {
    /// Chooses how to connect.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Connects to the bus that the environment names, and registers there as a plugin. See [`Builder::connect`].
    ///
    /// # Errors
    /// The name is empty (for that there is [`Bus::client`]) or too long, there is no bus, or it refuses the registration.
    pub async fn register(name: impl AsRef<[u8]>, version: u16) -> Result<Self, ConnectError> {
        Self::builder().name(name).version(version).connect().await
    }

    /// Connects to the bus that the environment names as a client: it can do all that a plugin can, but nobody sees it
    /// and nobody can connect to it. See [`Builder::connect`].
    ///
    /// # Errors
    /// There is no bus, or it refuses the registration.
    pub async fn client() -> Result<Self, ConnectError> {
        Self::builder().connect().await
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            name: None,
            version: 0,
            address: None,
            channels: ChannelConfig { window: WINDOW, message_len_max: MESSAGE_LEN_MAX },
            session: SessionConfig { send_queue_max: 256 * 1024, backlog_max: 1024 },
            timing: Timing {
                heartbeat: HeartbeatConfig { interval: Duration::from_secs(20), timeout: Duration::from_secs(60) },
                linger: Duration::from_secs(5),
            },
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl Builder {
    /// The name to register under, 1 to 255 bytes. Without one this is a client, which is never listed and to which nobody
    /// can connect. An empty name is an error when it connects ([`ConnectError::NoName`]), so that no plugin becomes a
    /// client by mistake.
    pub fn name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.name = Some(Name::new(name));
        self
    }

    /// The version to register with; 0 if none is chosen. That of a client means nothing.
    pub fn version(mut self, version: u16) -> Self {
        self.version = version;
        self
    }

    /// Where the bus is. Without an address that is looked up: see [`Address::from_env`].
    pub fn address(mut self, address: Address) -> Self {
        self.address = Some(address);
        self
    }

    /// The receive window of channels, in bytes: how much may arrive that the program has not taken yet. 256 KiB if
    /// none is chosen, and 4 KiB at least. It can be chosen for each channel too.
    pub fn window(mut self, window: u64) -> Self {
        self.channels.window = window;
        self
    }

    /// The longest message that channels receive as a whole, in bytes, even when it is longer than the window. 16 MiB
    /// if none is chosen. It can be chosen for each channel too.
    pub fn message_len_max(mut self, message_len_max: usize) -> Self {
        self.channels.message_len_max = message_len_max;
        self
    }

    /// How many bytes may be queued on a channel whose peer gives no credit, before `send` waits. 256 KiB if not
    /// chosen. The message that passes the limit is still taken.
    pub fn send_queue_max(mut self, send_queue_max: usize) -> Self {
        self.session.send_queue_max = send_queue_max.max(1);
        self
    }

    /// How many channels may wait for [`Bus::incoming`]; further ones are denied. 1024 if not chosen.
    pub fn backlog_max(mut self, backlog_max: usize) -> Self {
        self.session.backlog_max = backlog_max;
        self
    }

    /// The relay is pinged after `interval` of silence (20 s if not chosen), and given up when nothing is heard of it for
    /// `timeout` (60 s) after that.
    ///
    /// The timeout begins when the ping is written to the socket, and only time counts in which this process ran: after it
    /// was stopped, frozen or moved to another machine the relay still gets all of its time. While the ping waits behind a
    /// full socket, each byte that the socket takes is a sign of life, too. A relay that holds up a writer, because others
    /// do not take what it writes, reads nothing of it meanwhile, and pings it each 15 s by default: so `interval` and
    /// `timeout` are to be more than that together.
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.timing.heartbeat = HeartbeatConfig { interval, timeout };
        self
    }

    /// How long connecting and registering may take together, in time in which this process ran. 10 s if not chosen. While the
    /// relay's queue of connections is full, connecting to a unix socket is tried again within this time.
    pub fn connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout;
        self
    }

    /// How long closing the connection waits for what is queued, and as long again for the relay; in time in which this process
    /// ran. 5 s if not chosen.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.timing.linger = linger;
        self
    }

    /// Connects and registers. It runs in a task of the tokio runtime, which must have its I/O and time drivers enabled.
    ///
    /// Dropping the future takes the connection back.
    ///
    /// # Errors
    /// The name or the address is wrong, there is no bus there, or it refuses the registration: then with the reason that it
    /// gives.
    pub async fn connect(self) -> Result<Bus, ConnectError> {
        let address = match &self.address {
            Some(address) => address.clone().check()?,
            None => Address::from_env()?,
        };
        let connect_timeout = self.connect_timeout;
        let connect = async {
            let unreachable = |error| ConnectError::Unreachable { address: address.clone(), error };
            let of_bus = Some(address.clone());
            match &address {
                Address::Unix(path) => self.register(connect_unix(path).await.map_err(unreachable)?, of_bus).await,
                // So abstract names are written where paths are.
                Address::Abstract(name) => {
                    let path = format!("\0{name}");
                    self.register(connect_unix(Path::new(&path)).await.map_err(unreachable)?, of_bus).await
                }
                Address::Tcp { host, port } => {
                    self.register(connect_tcp(host, *port).await.map_err(unreachable)?, of_bus).await
                }
            }
        };
        within(connect_timeout, connect).await.unwrap_or(Err(ConnectError::TimedOut(connect_timeout)))
    }

    /// Registers over a stream that leads to a bus already: TLS, a tunnel, a socket that was passed on.
    ///
    /// # Errors
    /// As [`Builder::connect`].
    pub async fn connect_over<S>(self, stream: S) -> Result<Bus, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connect_timeout = self.connect_timeout;
        let registered = within(connect_timeout, self.register(stream, None)).await;
        registered.unwrap_or(Err(ConnectError::TimedOut(connect_timeout)))
    }

    async fn register<S>(self, stream: S, address: Option<Address>) -> Result<Bus, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let name = match self.name.transpose()? {
            Some(name) if name.is_empty() => return Err(ConnectError::NoName),
            name => name.unwrap_or_default(),
        };
        let plugin = Plugin { name, version: self.version };
        let entry = Entry { name: plugin.name.as_bytes(), version: plugin.version }.to_bytes();
        let shared = Arc::new(Shared::new(Session::new(self.session, entry)));
        tokio::spawn(Driver::new(stream, Arc::clone(&shared), self.timing));
        let bus = Bus::new(Owner::new(shared), plugin, address, self.channels);
        // The relay does not answer a registration. It handles what we say in order, though: when it answers a query
        // behind the registration, that was granted.
        let registered = poll_fn(|cx| bus.handle().with(|session| session.poll_registration_sent(cx))).await;
        let registered = match registered {
            Ok(()) => bus.list().await.map(drop),
            Err(error) => Err(error.into()),
        };
        match registered {
            Ok(()) | Err(ListError::Declined) => Ok(bus),
            Err(ListError::Bus(BusError::Ended(reason))) => Err(ConnectError::Refused(reason)),
            Err(ListError::Bus(error)) => Err(error.into()),
        }
    }
}
