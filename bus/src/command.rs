//! What a plugin says to the relay itself: the registration and the opening payload of a connect (protocol, section 2).

use std::fmt;
use std::sync::Arc;

/// A connect to a name.
const CONNECT: u8 = 0x00;
/// A connect to a name, with the version that it has at least.
const CONNECT_WITH_VERSION: u8 = 0x01;

/// The name of a plugin: up to 255 bytes of any kind. The empty name means a client.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// A name of these bytes.
    ///
    /// # Panics
    /// Beyond 255 bytes, which no parsed name has.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        assert!(bytes.len() <= 255, "the length of a name is one byte");
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the name of a client.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends `entry`: length, name, version.
    pub fn put_entry(&self, version: u16, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        out.extend_from_slice(&self.0);
        out.extend_from_slice(&version.to_be_bytes());
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("(client)") } else { write!(f, "{}", self.0.escape_ascii()) }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// Whom to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The plugin.
    pub name: Name,
    /// Its version must not be lower.
    pub version_min: Option<u16>,
}

/// Takes `<length u8><name>` off the front.
fn split_name(bytes: &[u8]) -> Option<(Name, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(len))?;
    Some((Name::new(name), rest))
}

/// Reads a registration: "exactly one entry".
#[must_use]
pub fn parse_entry(message: &[u8]) -> Option<(Name, u16)> {
    let (name, rest) = split_name(message)?;
    Some((name, u16::from_be_bytes(rest.try_into().ok()?)))
}

/// Reads the opening payload of a duplex.
#[must_use]
pub fn parse_connect(opening: &[u8]) -> Option<Connect> {
    let (&command, rest) = opening.split_first()?;
    let (name, rest) = split_name(rest)?;
    let version_min = match command {
        CONNECT if rest.is_empty() => None,
        CONNECT_WITH_VERSION => Some(u16::from_be_bytes(rest.try_into().ok()?)),
        _ => return None,
    };
    Some(Connect { name, version_min })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_exact() {
        assert_eq!(parse_entry(b"\x04echo\x00\x07"), Some((Name::new(b"echo"), 7)));
        assert_eq!(parse_entry(b"\x00\x00\x00"), Some((Name::new(b""), 0)));
        for malformed in [&b""[..], b"\x04ech", b"\x04echo", b"\x04echo\x00", b"\x04echo\x00\x07\x00"] {
            assert_eq!(parse_entry(malformed), None, "{malformed:?}");
        }
        let mut out = Vec::new();
        Name::new(b"echo").put_entry(7, &mut out);
        assert_eq!(out, b"\x04echo\x00\x07");
    }

    #[test]
    fn connects_are_exact() {
        let connect = |name: &[u8], version_min| Some(Connect { name: Name::new(name), version_min });
        assert_eq!(parse_connect(b"\x00\x04echo"), connect(b"echo", None));
        assert_eq!(parse_connect(b"\x01\x04echo\x01\x02"), connect(b"echo", Some(258)));
        assert_eq!(parse_connect(b"\x00\x00"), connect(b"", None));
        for malformed in [&b""[..], b"\x00", b"\x00\x04ech", b"\x00\x04echo\x00", b"\x01\x04echo", b"\x02\x04echo"] {
            assert_eq!(parse_connect(malformed), None, "{malformed:?}");
        }
    }
}
