//! What stands in the payloads of Min-Bus: the entries of plugins, and the openings of connects.

/// The entry of a plugin: its name with a length before it, and its version behind it.
pub fn entry(name: &[u8], version: u16) -> Vec<u8> {
    [&[name.len() as u8], name, &version.to_be_bytes()].concat()
}

/// Reads entries until the bytes are used up.
///
/// # Panics
/// When the bytes are not entries.
pub fn entries(mut bytes: &[u8]) -> Vec<(Vec<u8>, u16)> {
    let mut list = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length)).expect("an entry holds its name");
        let (version, rest) = rest.split_first_chunk().expect("an entry holds its version");
        list.push((name.to_vec(), u16::from_be_bytes(*version)));
        bytes = rest;
    }
    list
}

/// The opening payload of a connect.
pub fn connect_to(name: &[u8]) -> Vec<u8> {
    [&[0, name.len() as u8], name].concat()
}
