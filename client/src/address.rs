//! Where a bus is: `unix:PATH`, `unix:@NAME` or `tcp:HOST:PORT`, and where to look for it when nobody says.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The environment variable that names the bus.
pub const ADDRESS_VARIABLE: &str = "MINBUS_ADDRESS";

/// The environment variable that names the directory for a user's sockets.
const DIRECTORY_VARIABLE: &str = "XDG_RUNTIME_DIR";

/// The socket's name within the directory for a user's sockets.
const SOCKET_NAME: &str = "minbus.sock";

/// The longest path of a unix socket, and the longest name of an abstract one, in bytes: the kernel has room for 108, one of
/// which is the zero behind the path or before the name.
const UNIX_LEN_MAX: usize = 107;

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
/// assert_eq!("unix:@bus".parse(), Ok(Address::Abstract("bus".into())));
/// assert_eq!("unix:./@bus".parse(), Ok(Address::Unix("./@bus".into())));
/// # Ok::<(), minbus::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A unix socket with a path.
    Unix(PathBuf),
    /// A unix socket with a name in the kernel's abstract namespace, without a file: `unix:@NAME`.
    Abstract(String),
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
    #[error("{0:?} is no bus address: it must be unix:PATH, unix:@NAME or tcp:HOST:PORT")]
    UnknownScheme(String),
    /// Nothing follows `unix:` or `unix:@`.
    #[error("{0:?} names no path: it must be unix:PATH, or unix:@NAME for an abstract socket")]
    NoPath(String),
    /// What follows `unix:` is longer than a socket's path or name can be.
    #[error(
        "{address:?} has {len} bytes, and the path or name of a unix socket may have {UNIX_LEN_MAX}: choose a shorter one"
    )]
    TooLong {
        /// The path or name.
        address: String,
        /// Its length, in bytes.
        len: usize,
    },
    /// What follows `tcp:` is not a host and a port.
    #[error("{0:?} names no host and port: it must be tcp:HOST:PORT, as in tcp:localhost:7700 or tcp:[::1]:7700")]
    NoHostAndPort(String),
    /// An environment variable has led to an address that is none.
    #[error("the environment variable {variable}: {error}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What is wrong with the address.
        #[source]
        error: Box<AddressError>,
    },
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
    /// What `$MINBUS_ADDRESS` or `$XDG_RUNTIME_DIR` says leads to no address, or nothing is set.
    pub fn from_env() -> Result<Self, AddressError> {
        Self::from_variables(|name| env::var_os(name), rustix::process::geteuid().is_root())
    }

    /// The environment variable from which [`Address::from_env`] takes the address now, if it takes it from one.
    #[must_use]
    pub fn env_variable() -> Option<&'static str> {
        chosen(|name| env::var_os(name)).map(|(variable, _)| variable)
    }

    fn from_variables(get: impl Fn(&str) -> Option<OsString>, is_root: bool) -> Result<Self, AddressError> {
        let Some((variable, value)) = chosen(get) else {
            return if is_root { Ok(Self::Unix(SYSTEM_SOCKET.into())) } else { Err(AddressError::NoDefault) };
        };
        let address = if variable == DIRECTORY_VARIABLE {
            Self::Unix(Path::new(&value).join(SOCKET_NAME)).check()
        } else {
            let unknown = || AddressError::UnknownScheme(value.to_string_lossy().into_owned());
            value.to_str().ok_or_else(unknown).and_then(str::parse)
        };
        address.map_err(|error| AddressError::Variable { variable, error: Box::new(error) })
    }

    /// Fails when no socket can have the address, because it is too long.
    pub(crate) fn check(self) -> Result<Self, AddressError> {
        let (len, least) = match &self {
            Self::Unix(path) => (path.as_os_str().as_bytes().len(), "unix:"),
            Self::Abstract(name) => (name.len(), "unix:@"),
            Self::Tcp { .. } => return Ok(self),
        };
        match len {
            0 => Err(AddressError::NoPath(least.into())),
            1..=UNIX_LEN_MAX => Ok(self),
            _ => Err(AddressError::TooLong { address: self.to_string(), len }),
        }
    }
}

/// The first variable that says where the bus is, and what it says.
fn chosen(get: impl Fn(&str) -> Option<OsString>) -> Option<(&'static str, OsString)> {
    let value = |name| get(name).filter(|value| !value.is_empty());
    [ADDRESS_VARIABLE, DIRECTORY_VARIABLE].into_iter().find_map(|variable| Some((variable, value(variable)?)))
}

/// Whether a text can be a host: a name, an IPv4 address or, in its brackets, an IPv6 address with or without a zone.
fn parse_host(text: &str) -> Option<&str> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']')?;
        let address = inner.split_once('%').map_or(inner, |(address, _)| address);
        return address.parse::<Ipv6Addr>().is_ok().then_some(inner);
    }
    let strange = |char: char| char.is_whitespace() || char.is_control() || ":/\\@?#%[]".contains(char);
    (!text.is_empty() && !text.contains(strange)).then_some(text)
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let address = match path.strip_prefix('@') {
                Some(name) => Self::Abstract(name.into()),
                None => Self::Unix(path.into()),
            };
            return address.check();
        }
        let Some(rest) = text.strip_prefix("tcp:") else { return Err(AddressError::UnknownScheme(text.into())) };
        let (host, port) = rest.rsplit_once(':').unwrap_or_default();
        // The parser of numbers would take a sign, too. Nobody listens on port 0: it stands for any that is free.
        let port = if port.starts_with(|char: char| char.is_ascii_digit()) { port.parse().unwrap_or(0) } else { 0 };
        match parse_host(host) {
            Some(host) if port > 0 => Ok(Self::Tcp { host: host.into(), port }),
            _ => Err(AddressError::NoHostAndPort(text.into())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Else it would be taken for an abstract one.
            Self::Unix(path) if path.as_os_str().as_bytes().starts_with(b"@") => write!(f, "unix:./{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
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
        for text in [
            "unix:/run/a b.sock",
            "unix:relative",
            "unix:./@file",
            "unix:@abstract",
            "unix:@@",
            "tcp:localhost:1",
            "tcp:[::1]:65535",
            "tcp:[fe80::1%eth0]:1",
            "tcp:10.0.0.1:80",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        let file = Address::Unix("@file".into());
        assert_eq!(file.to_string().parse(), Ok(Address::Unix("./@file".into())), "it stays a file");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for text in ["", "/run/minbus.sock", "udp:localhost:1", "UNIX:/run/x"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::UnknownScheme(text.into())));
        }
        for text in ["unix:", "unix:@"] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::NoPath(text.into())));
        }
        for rest in [
            "",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+80",
            "host:-1",
            "host: 80",
            ":80",
            "::1:80",
            "[::1:80",
            "[]:80",
            "[host]:80",
            "//host:1",
            "//host:1/",
            "user@host:1",
            "host/path:1",
            "a b:1",
            "host\n:1",
        ] {
            let text = format!("tcp:{rest}");
            assert_eq!(text.parse::<Address>(), Err(AddressError::NoHostAndPort(text)));
        }
    }

    #[test]
    fn what_no_socket_can_be_called_is_known_before() {
        for prefix in ["unix:/", "unix:@"] {
            let rest = |len: usize| format!("{prefix}{}", "x".repeat(len - usize::from(prefix.ends_with('/'))));
            rest(107).parse::<Address>().expect("the kernel has room for it");
            let error = rest(108).parse::<Address>().expect_err("too long");
            assert_eq!(error, AddressError::TooLong { address: rest(108), len: 108 });
            assert!(error.to_string().contains("107"), "{error}");
        }
    }

    #[test]
    fn the_environment_is_blamed_for_what_came_of_it() {
        let of = |variables: &[(&str, &str)]| {
            let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            Address::from_variables(get, false)
        };
        let long = format!("/{}", "x".repeat(200));
        let given = [(ADDRESS_VARIABLE, "tcp:h:1"), (DIRECTORY_VARIABLE, &long)];
        assert_eq!(of(&given), Ok(Address::Tcp { host: "h".into(), port: 1 }));
        assert_eq!(of(&[(DIRECTORY_VARIABLE, "/run/user/1")]), Ok(Address::Unix("/run/user/1/minbus.sock".into())));
        assert_eq!(of(&[(ADDRESS_VARIABLE, "")]), Err(AddressError::NoDefault));
        for (variable, value) in
            [(ADDRESS_VARIABLE, "tcp://h:1"), (ADDRESS_VARIABLE, &format!("unix:{long}")), (DIRECTORY_VARIABLE, &long)]
        {
            let error = of(&[(variable, value)]).expect_err("no address");
            assert!(error.to_string().contains(variable), "{error}");
        }
    }
}
