//! The payloads of Min-Bus as the library has them: of its own names and plugins.

use wire::{Connect, Entry};

use crate::name::{Name, Plugin};

/// The entry of a plugin; of an empty name for a client.
pub(crate) fn entry(plugin: &Plugin) -> Vec<u8> {
    Entry { name: plugin.name.as_bytes(), version: plugin.version }.to_bytes()
}

/// The opening payload that asks for a channel to `name`.
pub(crate) fn connect(name: &Name, version_min: Option<u16>) -> Vec<u8> {
    Connect { name: name.as_bytes(), version_min }.to_bytes()
}

fn plugin(entry: Entry<'_>) -> Plugin {
    let name = Name::new(entry.name).expect("a byte holds the length of a name");
    Plugin { name, version: entry.version }
}

/// Exactly one entry.
pub(crate) fn parse_entry(bytes: &[u8]) -> Option<Plugin> {
    Entry::parse(bytes).map(plugin)
}

/// Any number of entries, and nothing else.
pub(crate) fn parse_entries(bytes: &[u8]) -> Option<Vec<Plugin>> {
    Entry::parse_all(bytes).map(|entries| entries.into_iter().map(plugin).collect())
}
