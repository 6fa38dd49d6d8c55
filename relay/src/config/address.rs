//! The notations of addresses to listen on. Each reads back what it prints, and what the log and the tool call it:
//! `unix:PATH`, `unix:@NAME`, `tcp:HOST:PORT`.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use limits::UNIX_PATH_BYTES_MAX;

/// Where to listen with a unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixAddress {
    /// The path of a file, of at most 107 bytes.
    File(PathBuf),
    /// An abstract socket, which has a name, of 1 to 107 bytes and without NUL, and no file (unix(7)).
    Abstract(String),
}

impl UnixAddress {
    /// Reads `PATH` or `@NAME`, each with or without `unix:` before it. A file whose name begins with `@` is `./@NAME`.
    ///
    /// # Errors
    /// It is none; says what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("tcp:") {
            return Err(format!("must be paths, and {text:?} is for --tcp or listen.tcp"));
        }
        let rest = text.strip_prefix("unix:").unwrap_or(text);
        let rest = match rest.strip_prefix("//") {
            Some(path) if rest != text && path.starts_with('/') => path,
            Some(_) if rest != text => return Err(format!("must be PATH or unix:PATH, and {text:?} is a URL")),
            _ => rest,
        };
        let address =
            rest.strip_prefix('@').map_or_else(|| Self::File(rest.into()), |name| Self::Abstract(name.into()));
        if address.bytes().is_empty() || address.bytes().contains(&0) || rest.ends_with('/') {
            return Err(format!("must name files or, behind an @, abstract sockets, and {text:?} does not"));
        }
        match address.bytes_beyond() {
            None => Ok(address),
            Some(bytes) => Err(format!(
                "must be paths of at most {UNIX_PATH_BYTES_MAX} bytes, as a socket can have, and {text} has {bytes}"
            )),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::File(path) => path.as_os_str().as_bytes(),
            Self::Abstract(name) => name.as_bytes(),
        }
    }

    /// How long it is, if that is more than a socket can have.
    pub(super) fn bytes_beyond(&self) -> Option<usize> {
        let bytes = self.bytes().len();
        (bytes > UNIX_PATH_BYTES_MAX).then_some(bytes)
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

/// Where to listen with TCP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TcpAddress {
    /// A name, an IPv4 address, or an IPv6 address without brackets. Not empty.
    pub host: String,
    /// The port; 0 takes one that is free.
    pub port: u16,
}

impl TcpAddress {
    /// Reads `HOST:PORT` or `[IPV6]:PORT`, each with or without `tcp:` or `tcp://` before it.
    ///
    /// # Errors
    /// It is none; says what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("unix:") {
            return Err(format!("must be HOST:PORT, and {text:?} is for --unix or listen.unix"));
        }
        let rest = text.strip_prefix("tcp:").map_or(text, |rest| rest.strip_prefix("//").unwrap_or(rest));
        Self::host_and_port(rest).ok_or_else(|| {
            format!(
                "must be HOST:PORT, as in 127.0.0.1:7400, localhost:7400, [::1]:7400 or 0.0.0.0:7400, and {text:?} is \
                 not"
            )
        })
    }

    fn host_and_port(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        // Digits alone: `parse` would also take "+80".
        let port = if port.bytes().all(|byte| byte.is_ascii_digit()) { port.parse().ok()? } else { return None };
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let clean =
            !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "[]/".contains(c));
        clean.then(|| Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_addresses_are_hosts_with_ports() {
        for (text, parts) in [
            ("127.0.0.1:7400", Some(("127.0.0.1", 7400))),
            ("localhost:0", Some(("localhost", 0))),
            ("[::1]:65535", Some(("::1", 65535))),
            ("[::1%lo]:1", Some(("::1%lo", 1))),
            ("::1:80", None),
            ("[::1]", None),
            ("[::1:80", None),
            ("localhost", None),
            (":80", None),
            ("localhost:", None),
            ("localhost:+80", None),
            ("localhost:65536", None),
            ("local host:80", None),
            ("//h:1", None),
            ("h:1/", None),
            ("http://h:1", None),
            ("unix:/h:1", None),
            ("tcp:", None),
            ("tcp:///h:1", None),
        ] {
            let address = TcpAddress::parse(text);
            assert_eq!(address.as_ref().ok().map(|a| (a.host.as_str(), a.port)), parts, "{text:?}");
            for prefix in ["", "tcp:", "tcp://"] {
                if let Ok(address) = &address {
                    assert_eq!(address.to_string(), text);
                    assert_eq!(TcpAddress::parse(&format!("{prefix}{text}")).as_ref(), Ok(address));
                }
            }
        }
    }

    #[test]
    fn unix_addresses_are_paths_or_abstract_names() {
        let file = |path: &str| Ok(UnixAddress::File(path.into()));
        let name = |name: &str| Ok(UnixAddress::Abstract(name.into()));
        for (text, address) in [
            ("/run/a b.sock", file("/run/a b.sock")),
            ("relative", file("relative")),
            ("//run/a", file("//run/a")),
            ("./@file", file("./@file")),
            ("@name", name("name")),
            ("@@", name("@")),
            ("@a/b", name("a/b")),
        ] {
            assert_eq!(UnixAddress::parse(text), address);
            assert_eq!(address.map(|address: UnixAddress| address.to_string()), Ok::<_, String>(text.into()));
            if !text.starts_with("//") {
                assert!(UnixAddress::parse(&format!("unix:{text}")).is_ok_and(|address| address.to_string() == text));
            }
        }
        assert_eq!(UnixAddress::parse("unix:///run/a"), file("/run/a"));
        for (text, hint) in [
            ("", "must name files"),
            ("unix:", "must name files"),
            ("@", "must name files"),
            ("unix:@", "must name files"),
            ("a\0b", "must name files"),
            ("@a\0b", "must name files"),
            ("/run/", "must name files"),
            ("tcp:h:1", "--tcp"),
            ("tcp://h:1", "--tcp"),
            ("unix://run/a", "unix:PATH"),
        ] {
            let error = UnixAddress::parse(text).expect_err(text);
            assert!(error.contains(hint) && error.contains(&format!("{text:?}")), "{error}");
        }
        for long in ["x".repeat(108), format!("@{}", "x".repeat(108))] {
            assert!(UnixAddress::parse(&long[..long.len() - 1]).is_ok());
            assert!(UnixAddress::parse(&long).is_err_and(|error| error.contains("has 108")), "{long}");
        }
    }
}
