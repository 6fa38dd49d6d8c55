//! Wire bytes in files: those in `oracle/vectors`, whose format stands at the top of each of them.

use crate::wire::{Chunk, Kind, chunk};

/// Valid streams, and what they mean.
pub const VALID: &str = include_str!("../vectors/valid.txt");
/// Conversations, with what one end makes of them.
pub const CONVERSATIONS: &str = include_str!("../vectors/conversations.txt");
/// Streams that break a rule each.
pub const VIOLATIONS: &str = include_str!("../vectors/violations.txt");

/// A block of a vector file: its title, and its lines as key and value.
pub struct Block {
    /// What stands between the brackets.
    pub title: String,
    /// The lines below it, in order.
    pub lines: Vec<(String, String)>,
}

impl Block {
    /// The values of all lines with this key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The rule that a title names.
    pub fn rule(&self) -> &str {
        self.title.split_once('/').map_or(self.title.as_str(), |(rule, _)| rule.trim())
    }
}

/// Splits a vector file into its blocks.
///
/// # Panics
/// On a line that is neither a comment, a title nor `key value`, and on a line before the first title.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or("").trim()).filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            blocks.push(Block { title: title.to_owned(), lines: Vec::new() });
            continue;
        }
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let block = blocks.last_mut().unwrap_or_else(|| panic!("a line before the first title: {line}"));
        block.lines.push((key.to_owned(), value.trim().to_owned()));
    }
    blocks
}

/// Hex bytes: pairs of digits, blanks anywhere between pairs, `61*248` for 248 times the byte 61.
///
/// # Panics
/// On anything else.
pub fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().flat_map(word).collect()
}

fn word(word: &str) -> Vec<u8> {
    let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
    let count = count.parse().unwrap_or_else(|_| panic!("not a count: {word}"));
    let byte = |at| {
        let pair = digits.get(at..at + 2).unwrap_or_else(|| panic!("odd digits: {word}"));
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("not hex: {word}"))
    };
    let once: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    once.repeat(count)
}

/// Reads `[Partial TOTAL;] TYPE ID [payload=HEX] [credit=N] [ping] [end=HEX] [ack-end]`, where HEX may be `empty`.
///
/// # Panics
/// On anything else.
pub fn meaning(text: &str) -> Chunk {
    let (partial, text) = match text.strip_prefix("Partial ").and_then(|rest| rest.split_once(';')) {
        Some((total, rest)) => (Some(number(total)), rest),
        None => (None, text),
    };
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_else(|| panic!("no type: {text}"));
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("no such type: {name}"));
    let id = number(words.next().unwrap_or_else(|| panic!("no id: {text}")));
    let start = Chunk { partial, ..chunk(kind, id) };
    words.fold(start, |chunk, field| match field.split_once('=') {
        Some(("payload", value)) => chunk.payload(blob(value)),
        Some(("credit", value)) => chunk.credit(number(value)),
        Some(("end", value)) => chunk.end(blob(value)),
        None if field == "ping" => chunk.ping(),
        None if field == "ack-end" => chunk.ack_end(),
        _ => panic!("no such field: {field}"),
    })
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn blob(text: &str) -> Vec<u8> {
    if text == "empty" { Vec::new() } else { hex(text) }
}
