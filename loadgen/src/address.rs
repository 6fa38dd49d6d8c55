//! Where a relay is, and a connected socket to it.

use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;

/// Bytes of send buffer to ask for: a writer that finds room seldom sleeps. The system may give less.
pub(crate) const SEND_BUFFER_BYTES: usize = 1 << 20;

/// Where a relay listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// Host and port, as the resolver takes them.
    Tcp(String),
}

impl Address {
    /// Connects.
    pub(crate) fn connect(&self) -> io::Result<OwnedFd> {
        let socket: OwnedFd = match self {
            Self::Unix(path) => UnixStream::connect(path)?.into(),
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
        let Self::Unix(path) = self else { return None };
        let socket = UnixStream::connect(path).ok()?;
        let pid = rustix::net::sockopt::socket_peercred(socket).ok()?.pid;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("tcp", host_port)) if host_port.contains(':') => Ok(Self::Tcp(host_port.into())),
            _ => Err("an address is unix:PATH or tcp:HOST:PORT".into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host_port) => write!(f, "tcp:{host_port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_survive_and_others_are_refused() {
        for text in ["unix:/tmp/bus.sock", "tcp:127.0.0.1:7400", "tcp:[::1]:7400"] {
            assert_eq!(text.parse::<Address>().expect("valid").to_string(), text);
        }
        for text in ["", "unix:", "/tmp/bus.sock", "tcp:localhost", "udp:localhost:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
