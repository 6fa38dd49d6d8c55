//! Memory accounting: what tables take.

use std::collections::HashMap;

/// What a table of hashes takes, in bytes: its slots, of which seven in eight may be taken, with a byte of control for each.
#[must_use]
pub fn table_bytes<K, V>(table: &HashMap<K, V>) -> usize {
    table.capacity().div_ceil(7) * 8 * (size_of::<(K, V)>() + 1)
}
