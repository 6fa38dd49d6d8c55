//! An entry: a plugin's name and version, `<length u8><name><version u16>`.

/// The longest name, in bytes: its length is one byte.
pub const NAME_BYTES_MAX: usize = u8::MAX as usize;
/// The longest entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 1 + NAME_BYTES_MAX + 2;

/// A plugin as it stands on the wire; of an empty name for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name: up to 255 bytes of any kind.
    pub name: &'a [u8],
    /// Its version.
    pub version: u16,
}

impl<'a> Entry<'a> {
    /// Appends the entry.
    pub fn put(self, out: &mut Vec<u8>) {
        put_text(self.name, out);
        out.extend_from_slice(&self.version.to_be_bytes());
    }

    /// The bytes of the entry.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENTRY_BYTES_MAX);
        self.put(&mut bytes);
        bytes
    }

    /// Takes an entry off the front of `bytes`; nothing when it is cut off.
    #[must_use]
    pub fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (name, rest) = take_name(bytes)?;
        let (version, rest) = rest.split_first_chunk()?;
        Some((Self { name, version: u16::from_be_bytes(*version) }, rest))
    }

    /// Reads exactly one entry.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Self::take(bytes).filter(|(_, rest)| rest.is_empty()).map(|(entry, _)| entry)
    }

    /// Reads any number of entries, and nothing else.
    #[must_use]
    pub fn parse_all(mut bytes: &'a [u8]) -> Option<Vec<Self>> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            let (entry, rest) = Self::take(bytes)?;
            entries.push(entry);
            bytes = rest;
        }
        Some(entries)
    }
}

/// Appends a text, as names are, with its length before it. It has no more than [`NAME_BYTES_MAX`] bytes.
pub fn put_text(text: &[u8], out: &mut Vec<u8>) {
    debug_assert!(text.len() <= NAME_BYTES_MAX);
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

/// Takes `<length u8><name>` off the front.
pub(crate) fn take_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_to_the_byte() {
        assert_eq!(Entry { name: b"echo", version: 0x0102 }.to_bytes(), b"\x04echo\x01\x02");
        assert_eq!(Entry { name: b"", version: 0 }.to_bytes(), b"\0\0\0");
    }

    #[test]
    fn only_whole_entries_are_read() {
        let (a, client) = (Entry { name: b"a", version: 7 }, Entry { name: b"", version: 0 });
        assert_eq!(Entry::parse(b"\x01a\0\x07"), Some(a));
        for cut in [&b""[..], b"\x01", b"\x01a", b"\x01a\0", b"\x01a\0\x07!"] {
            assert_eq!(Entry::parse(cut), None, "{cut:?}");
        }
        assert_eq!(Entry::parse_all(b"\x01a\0\x07\0\0\0"), Some(vec![a, client]));
        assert_eq!(Entry::parse_all(b""), Some(Vec::new()));
        assert_eq!(Entry::parse_all(b"\x01a\0\x07\x01"), None);
    }
}
