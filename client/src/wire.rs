//! The payloads of Min-Bus: `entry` = `<length u8><name><version u16>`, and what is built of it.

use crate::name::{Name, Plugin};

/// The longest entry, in bytes.
pub(crate) const ENTRY_LEN_MAX: usize = 1 + crate::name::NAME_LEN_MAX + 2;

/// The first byte of an opening payload that asks for a connection: towards the relay and from it.
pub(crate) const CONNECT: u8 = 0x00;
/// The same with a minimum version.
const CONNECT_WITH_VERSION: u8 = 0x01;

/// End payloads of the relay: it had no memory for a connection ...
pub(crate) const END_NO_MEMORY: &[u8] = &[0x00];
/// ... the other plugin is not there, has denied, or has left ...
pub(crate) const END_GONE: &[u8] = &[0x01];
/// ... the other plugin's version is too low.
pub(crate) const END_VERSION: &[u8] = &[0x02];
/// On a channel that has been accepted: the other plugin has ended it, and its own payload follows.
pub(crate) const END_BY_PEER: u8 = 0x00;

/// Watch messages: a plugin connects ...
pub(crate) const JOINED: u8 = 0x00;
/// ... a plugin leaves.
pub(crate) const LEFT: u8 = 0x01;

/// A request for what the relay tells of itself, and the version of it.
const STATS: [u8; 2] = [0x10, 1];
/// It is declined, because the version is not known; the lowest and the highest that are follow ...
pub(crate) const STATS_DECLINED_VERSION: u8 = 0x01;
/// ... because the connection may not ask.
pub(crate) const STATS_DECLINED_RIGHT: u8 = 0x02;

/// The opening payload that asks for a page of what a shard tells of itself.
pub(crate) fn stats_request(shard: u16, cursor: u64) -> Vec<u8> {
    [&STATS[..], &shard.to_be_bytes(), &cursor.to_be_bytes()].concat()
}

/// The entry of a plugin; of an empty name for a client.
pub(crate) fn entry(plugin: &Plugin) -> Vec<u8> {
    let name = plugin.name.as_bytes();
    let mut entry = Vec::with_capacity(ENTRY_LEN_MAX);
    entry.push(name.len() as u8);
    entry.extend_from_slice(name);
    entry.extend_from_slice(&plugin.version.to_be_bytes());
    entry
}

/// The opening payload that asks for a channel to `name`.
pub(crate) fn connect(name: &Name, version_min: Option<u16>) -> Vec<u8> {
    let mut opening = Vec::with_capacity(1 + ENTRY_LEN_MAX);
    opening.push(if version_min.is_some() { CONNECT_WITH_VERSION } else { CONNECT });
    opening.push(name.as_bytes().len() as u8);
    opening.extend_from_slice(name.as_bytes());
    opening.extend(version_min.into_iter().flat_map(u16::to_be_bytes));
    opening
}

/// Takes an entry off the front of `bytes`; nothing when it is cut off.
fn take_entry(bytes: &[u8]) -> Option<(Plugin, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(len))?;
    let (version, rest) = rest.split_first_chunk()?;
    let name = Name::new(name).expect("a byte holds the length of a name");
    Some((Plugin { name, version: u16::from_be_bytes(*version) }, rest))
}

/// Exactly one entry.
pub(crate) fn parse_entry(bytes: &[u8]) -> Option<Plugin> {
    take_entry(bytes).filter(|(_, rest)| rest.is_empty()).map(|(plugin, _)| plugin)
}

/// Any number of entries, and nothing else.
pub(crate) fn parse_entries(mut bytes: &[u8]) -> Option<Vec<Plugin>> {
    let mut plugins = Vec::new();
    while !bytes.is_empty() {
        let (plugin, rest) = take_entry(bytes)?;
        plugins.push(plugin);
        bytes = rest;
    }
    Some(plugins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(name: &str, version: u16) -> Plugin {
        Plugin { name: Name::new(name).unwrap(), version }
    }

    #[test]
    fn entries_to_the_byte() {
        assert_eq!(entry(&plugin("echo", 0x0102)), b"\x04echo\x01\x02");
        assert_eq!(entry(&Plugin::default()), b"\0\0\0");
        assert_eq!(connect(&Name::new("b").unwrap(), None), b"\0\x01b");
        assert_eq!(stats_request(0x0102, 3), b"\x10\x01\x01\x02\0\0\0\0\0\0\0\x03");
        assert_eq!(connect(&Name::new("b").unwrap(), Some(258)), b"\x01\x01b\x01\x02");
    }

    #[test]
    fn only_whole_entries_are_read() {
        assert_eq!(parse_entry(b"\x01a\0\x07"), Some(plugin("a", 7)));
        for cut in [&b""[..], b"\x01", b"\x01a", b"\x01a\0", b"\x01a\0\x07!"] {
            assert_eq!(parse_entry(cut), None, "{cut:?}");
        }
        assert_eq!(parse_entries(b"\x01a\0\x07\0\0\0"), Some(vec![plugin("a", 7), Plugin::default()]));
        assert_eq!(parse_entries(b""), Some(Vec::new()));
        assert_eq!(parse_entries(b"\x01a\0\x07\x01"), None);
    }
}
