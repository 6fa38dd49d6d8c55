//! Where a bus is: `unix:PATH` or `tcp:HOST:PORT`, and where to look for it when nobody says.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The environment variable that names the bus.
pub const ADDRESS_VARIABLE: &str = "MINBUS_ADDRESS";

/// The socket's name within the directory for a user's sockets.
const SOCKET_NAME: &str = "minbus.sock";

/// Where the daemon of the whole machine listens.
const SYSTEM_SOCKET: &str = "/run/minbus/minbus.sock";

/// The address of a bus.
///
/// ```
/// use minbus::Address;
///
/// let address: Address = "tcp:localhost:7700".parse()?;
/// assert_eq!(address, Address::Tcp { host: "localhost".into(), port: 7700 });
/// assert_eq!(address.to_string(), "tcp:localhost:7700");
/// # Ok::<(), minbus::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP port. The host may be a name or an address; an IPv6 address stands in brackets when written out.
    Tcp {
        /// The host, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with neither of the two schemes.
    #[error("{0:?} is no bus address: it must be unix:PATH or tcp:HOST:PORT")]
    UnknownScheme(String),
    /// Nothing follows `unix:`.
    #[error("{0:?} names no path: it must be unix:PATH")]
    NoPath(String),
    /// What follows `tcp:` is not a host and a port.
    #[error("{0:?} names no host and port: it must be tcp:HOST:PORT, as in tcp:localhost:7700 or tcp:[::1]:7700")]
    NoHostAndPort(String),
    /// There is no address in the environment.
    #[error(
        "nothing says where the bus is: set {ADDRESS_VARIABLE} to unix:PATH or tcp:HOST:PORT \
         (XDG_RUNTIME_DIR is not set either)"
    )]
    NoDefault,
}

impl Address {
    /// The address that the environment gives: `$MINBUS_ADDRESS`, else `$XDG_RUNTIME_DIR/minbus.sock`, else for root
    /// `/run/minbus/minbus.sock`. The daemon listens there by default.
    ///
    /// # Errors
    /// `$MINBUS_ADDRESS` is no address, or nothing is set.
    pub fn from_env() -> Result<Self, AddressError> {
        let value = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(address) = value(ADDRESS_VARIABLE) {
            return match address.to_str() {
                Some(address) => address.parse(),
                None => Err(AddressError::UnknownScheme(address.to_string_lossy().into_owned())),
            };
        }
        if let Some(dir) = value("XDG_RUNTIME_DIR") {
            return Ok(Self::Unix(Path::new(&dir).join(SOCKET_NAME)));
        }
        if rustix::process::geteuid().is_root() {
            return Ok(Self::Unix(SYSTEM_SOCKET.into()));
        }
        Err(AddressError::NoDefault)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(AddressError::NoPath(text.into())) } else { Ok(Self::Unix(path.into())) };
        }
        let Some(rest) = text.strip_prefix("tcp:") else { return Err(AddressError::UnknownScheme(text.into())) };
        let wrong = || AddressError::NoHostAndPort(text.into());
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        if host.is_empty() { Err(wrong()) } else { Ok(Self::Tcp { host: host.into(), port }) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_being_written_out() {
        for text in ["unix:/run/a b.sock", "unix:relative", "tcp:localhost:1", "tcp:[::1]:65535", "tcp:10.0.0.1:80"] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["", "/run/minbus.sock", "udp:localhost:1", "UNIX:/run/x"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::UnknownScheme(text.into())));
        }
        assert_eq!("unix:".parse::<Address>(), Err(AddressError::NoPath("unix:".into())));
        for text in
            ["tcp:", "tcp:host", "tcp:host:", "tcp:host:65536", "tcp::80", "tcp:::1:80", "tcp:[::1:80", "tcp:[]:80"]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError::NoHostAndPort(text.into())));
        }
    }
}
