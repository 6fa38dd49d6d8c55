//! A connect: the opening payload of a duplex that asks for a channel to a plugin.

use crate::entry::{put_text, take_name};

/// A connect to a name.
const CONNECT: u8 = 0x00;
/// A connect to a name, with the version that it has at least.
const CONNECT_WITH_VERSION: u8 = 0x01;

/// Whom to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The plugin.
    pub name: &'a [u8],
    /// Its version must not be lower.
    pub version_min: Option<u16>,
}

impl<'a> Connect<'a> {
    /// The first byte of a connect, also of the relay's own, which an entry of the asking plugin follows.
    pub const CODE: u8 = CONNECT;

    /// The opening payload.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.name.len() + 4);
        bytes.push(if self.version_min.is_some() { CONNECT_WITH_VERSION } else { CONNECT });
        put_text(self.name, &mut bytes);
        bytes.extend(self.version_min.into_iter().flat_map(u16::to_be_bytes));
        bytes
    }

    /// Reads an opening payload, all of it.
    #[must_use]
    pub fn parse(opening: &'a [u8]) -> Option<Self> {
        let (&code, rest) = opening.split_first()?;
        let (name, rest) = take_name(rest)?;
        let version_min = match code {
            CONNECT if rest.is_empty() => None,
            CONNECT_WITH_VERSION => Some(u16::from_be_bytes(rest.try_into().ok()?)),
            _ => return None,
        };
        Some(Self { name, version_min })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connects_to_the_byte() {
        for (connect, bytes) in [
            (Connect { name: b"b", version_min: None }, &b"\0\x01b"[..]),
            (Connect { name: b"b", version_min: Some(258) }, b"\x01\x01b\x01\x02"),
        ] {
            assert_eq!(connect.to_bytes(), bytes);
            assert_eq!(Connect::parse(bytes), Some(connect));
        }
    }

    #[test]
    fn anything_else_is_none() {
        for bytes in
            [&b""[..], b"\0", b"\0\x02b", b"\0\x01bc", b"\x01\x01b\x01", b"\x01\x01b\x01\x02\x03", b"\x02\x01b"]
        {
            assert_eq!(Connect::parse(bytes), None, "{bytes:?}");
        }
    }
}
