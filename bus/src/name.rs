//! The name of a plugin, shared by all who hold it.

use std::fmt;
use std::sync::Arc;

use wire::{Entry, NAME_BYTES_MAX};

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
        assert!(bytes.len() <= NAME_BYTES_MAX, "the length of a name is one byte");
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
        Entry { name: &self.0, version }.put(out);
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
