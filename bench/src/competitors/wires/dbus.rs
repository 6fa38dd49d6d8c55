//! D-Bus: signals from one client to another, which nobody answers.

use anyhow::{Context, Result};

use crate::traffic::wire::{Talk, Wire, find};

pub(in crate::competitors) struct DBus;

/// Message types.
const METHOD_CALL: u8 = 1;
const SIGNAL: u8 = 4;

/// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

const BUS: &str = "org.freedesktop.DBus";

/// What begins a unique name.
const UNIQUE: &[u8] = b":1.";

impl Wire for DBus {
    fn join(&self, talks: &mut [Talk], _name: &str) -> Result<String> {
        let talk = &mut talks[0];
        let user: String =
            rustix::process::getuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        talk.say(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
        talk.hear_line("OK")?;
        talk.say(b"BEGIN\r\n")?;
        let fields = [(PATH, "/"), (INTERFACE, BUS), (MEMBER, "Hello"), (DESTINATION, BUS)];
        talk.say(&message(METHOD_CALL, &fields, &[]))?;
        // The answer, and a signal that says the same.
        let heard = [talk.hear(message_len)?, talk.hear(message_len)?].concat();
        let at = find(&heard, UNIQUE).context("the bus has given us no name")?;
        let name = heard[at..].split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8(name.to_vec())?)
    }

    fn message(&self, to: &str, payload: &[u8]) -> Vec<u8> {
        let fields = [(PATH, "/b"), (INTERFACE, "b.b"), (MEMBER, "b"), (DESTINATION, to)];
        message(SIGNAL, &fields, payload)
    }
}

/// A message in the order of bytes of this machine's kind, with an array of bytes as its body, or none.
fn message(kind: u8, fields: &[(u8, &str)], payload: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for (field, value) in fields {
        align(&mut header);
        let kind = if *field == PATH { b'o' } else { b's' };
        header.extend([*field, 1, kind, 0]);
        header.extend((value.len() as u32).to_le_bytes());
        header.extend(value.bytes());
        header.push(0);
    }
    if !payload.is_empty() {
        align(&mut header);
        header.extend([SIGNATURE, 1, b'g', 0, 2, b'a', b'y', 0]);
    }
    let body_len = if payload.is_empty() { 0 } else { 4 + payload.len() as u32 };
    let mut bytes = vec![b'l', kind, 0, 1];
    for number in [body_len, 1, header.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(header);
    align(&mut bytes);
    if !payload.is_empty() {
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(payload);
    }
    bytes
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

/// How long the message at the front is, if it is there whole.
fn message_len(input: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(u32::from_le_bytes(*input.get(at..)?.first_chunk()?) as usize);
    let len = (16 + number(12)?).next_multiple_of(8) + number(4)?;
    (input.len() >= len).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_long_as_they_say() {
        for size in [0, 1, 7, 4096] {
            let message = DBus.message(":1.20", &vec![1; size]);
            assert_eq!(message_len(&message), Some(message.len()), "{size}");
            assert_eq!(message_len(&message[..message.len() - 1]), None);
            assert!(message.ends_with(&vec![1; size]));
        }
    }
}
