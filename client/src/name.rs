//! What plugins are called: any bytes, at most 255 of them, with a version beside them.

use std::fmt;

use wire::Entry;

use crate::escape::escape;

/// The longest name, in bytes.
pub const NAME_LEN_MAX: usize = u8::MAX as usize;

/// The name of a plugin.
///
/// It may be any bytes. Written out, all that could not be seen is escaped (see [`escape`]), so that different names look
/// different and none of them does harm to a terminal.
///
/// ```
/// use minbus::Name;
///
/// assert_eq!(Name::new("clock")?.to_string(), "clock");
/// assert_eq!(Name::new(b"caf\xe9\n")?.to_string(), r"caf\xe9\n");
/// # Ok::<(), minbus::NameTooLong>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// A name of more than 255 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name of {0} bytes is too long: it may have {NAME_LEN_MAX}")]
pub struct NameTooLong(pub usize);

impl Name {
    /// A name of these bytes.
    ///
    /// # Errors
    /// They are more than 255.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, NameTooLong> {
        let name = name.as_ref();
        if name.len() > NAME_LEN_MAX { Err(NameTooLong(name.len())) } else { Ok(Self(name.into())) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the name of a client, or of a plugin that the relay keeps anonymous.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        *self == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(&self.0).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A plugin, as the relay tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plugin {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: u16,
}

impl Plugin {
    /// Exactly one entry.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Entry::parse(bytes).map(Self::from_entry)
    }

    /// Any number of entries, and nothing else.
    pub(crate) fn parse_all(bytes: &[u8]) -> Option<Vec<Self>> {
        Entry::parse_all(bytes).map(|entries| entries.into_iter().map(Self::from_entry).collect())
    }

    fn from_entry(entry: Entry<'_>) -> Self {
        Self { name: Name::new(entry.name).expect("a byte holds the length of a name"), version: entry.version }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { f.write_str("a client") } else { write!(f, "{} {}", self.name, self.version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_names_look_different() {
        let names: [&[u8]; 6] = [b"a\\n", b"a\n", b"\xff", b"clock", "clock\u{200b}".as_bytes(), b"clock "];
        let shown = names.map(|name| Name::new(name).unwrap().to_string());
        assert_eq!(shown, [r"a\\n", r"a\n", r"\xff", "clock", r"clock\u{200b}", r"clock\u{20}"]);
    }

    #[test]
    fn names_have_a_limit() {
        assert!(Name::new([0; 255]).is_ok());
        assert_eq!(Name::new([0; 256]), Err(NameTooLong(256)));
    }
}
