//! Where a relay is, and a connected socket to it.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;

use relay::limits::UNIX_PATH_BYTES_MAX;

/// Bytes of send buffer to ask for: a writer that finds room seldom sleeps. The system may give less.
pub(crate) const SEND_BUFFER_BYTES: usize = 1 << 20;

/// Where a relay listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// A name in the kernel's abstract namespace of unix sockets, without a file.
    Abstract(String),
    /// Host and port, as the resolver takes them.
    Tcp(String),
}

impl Address {
    /// Connects.
    pub(crate) fn connect(&self) -> io::Result<OwnedFd> {
        let socket: OwnedFd = match self {
            Self::Unix(_) | Self::Abstract(_) => self.connect_unix()?.into(),
            Self::Tcp(host_port) => {
                let stream = TcpStream::connect(host_port)?;
                stream.set_nodelay(true)?;
                stream.into()
            }
        };
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER_BYTES)?;
        Ok(socket)
    }

    /// The process that listens there, if that can be known: that of a unix socket can, and only while it is ours to see.
    pub(crate) fn listener_pid(&self) -> Option<u32> {
        let socket = self.connect_unix().ok()?;
        let pid = rustix::net::sockopt::socket_peercred(socket).ok()?.pid;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }
}

impl Address {
    fn connect_unix(&self) -> io::Result<UnixStream> {
        match self {
            Self::Unix(path) => UnixStream::connect(path),
            Self::Abstract(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?),
            Self::Tcp(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    /// As the plugin library has it, and with the same addresses refused.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) => match path.as_bytes() {
                [] => Err("unix: names no path: it must be unix:PATH".into()),
                [b'@', name @ ..] if (1..=UNIX_PATH_BYTES_MAX).contains(&name.len()) => {
                    Ok(Self::Abstract(path[1..].into()))
                }
                [b'@', ..] => {
                    Err(format!("unix:@NAME is an abstract socket with a name of 1 to {UNIX_PATH_BYTES_MAX} bytes"))
                }
                _ => Ok(Self::Unix(path.into())),
            },
            Some(("tcp", host_port)) => check_host_port(host_port).map(|()| Self::Tcp(host_port.into())),
            _ => Err("an address is unix:PATH or tcp:HOST:PORT".into()),
        }
    }
}

/// A host, in brackets if it is an IPv6 address, and a port.
fn check_host_port(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Err("an address is no URL: write tcp:HOST:PORT, without slashes".into());
    }
    let wrong = || "it must be tcp:HOST:PORT, as in tcp:localhost:7700 or tcp:[::1]:7700".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok()),
        None => Some(host).filter(|host| !host.contains([':', '/', ']'])),
    };
    // `parse` takes a sign.
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if host.is_some_and(|host| !host.is_empty()) && is_port { Ok(()) } else { Err(wrong()) }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
            Self::Tcp(host_port) => write!(f, "tcp:{host_port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn both_forms_survive_and_others_are_refused() {
        for text in [
            "unix:/tmp/bus.sock",
            "unix:relative",
            "unix:///run/bus.sock",
            "unix:./@file",
            "unix:@abstract",
            "tcp:127.0.0.1:7400",
            "tcp:[::1]:65535",
            "tcp:localhost:1",
        ] {
            assert_eq!(text.parse::<Address>().expect("valid").to_string(), text);
        }
        for text in ["", "unix:", "/tmp/bus.sock", "udp:localhost:1", "TCP:localhost:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        for host_port in ["", "h", "h:", ":80", "::1:80", "[::1:80", "[]:80", "[h]:80", "::1]:80", "h/x:80"] {
            assert!(format!("tcp:{host_port}").parse::<Address>().is_err(), "{host_port}");
        }
        for port in ["0", "65536", "+80", "-1", "http", " 80", "80/"] {
            assert!(format!("tcp:localhost:{port}").parse::<Address>().is_err(), "{port}");
        }
    }

    #[test]
    fn what_looks_like_an_address_is_refused_with_a_reason() {
        let long = format!("unix:@{}", "x".repeat(108));
        for (text, words) in
            [("tcp://h:1", "no URL"), ("unix:@", "abstract"), (&*long, "abstract"), ("tcp:::1:80", "[::1]")]
        {
            let reason = text.parse::<Address>().expect_err(text);
            assert!(reason.contains(words), "{text}: {reason}");
        }
    }

    #[test]
    fn an_abstract_socket_can_be_reached() {
        let name = format!("minbus-load-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let _listener = UnixListener::bind_addr(&address).expect("nobody else has it");
        let address: Address = format!("unix:@{name}").parse().expect("valid");
        address.connect().expect("somebody listens");
        assert_eq!(address.listener_pid(), Some(std::process::id()));
    }
}
