//! ZMTP 3.0, the protocol of ZeroMQ: a client has a PUB socket to the one side of the proxy and a SUB socket to the other.

use anyhow::{Result, ensure};

use crate::traffic::wire::{Talk, Wire};

pub(in crate::competitors) struct Zmtp;

/// Flags of a frame.
const LONG: u8 = 0x02;
const COMMAND: u8 = 0x04;

/// Bytes of a greeting.
const GREETING_BYTES: usize = 64;

impl Wire for Zmtp {
    fn join(&self, talks: &mut [Talk], name: &str) -> Result<String> {
        for (talk, kind) in talks.iter_mut().zip(["PUB", "SUB"]) {
            introduce(talk, kind)?;
        }
        // A subscription is a message that begins with 1.
        talks[1].say(&frame(0, &[b"\x01", name.as_bytes()].concat()))?;
        Ok(name.to_owned())
    }

    /// The topic is how the message begins.
    fn message(&self, to: &str, payload: &[u8]) -> Vec<u8> {
        frame(0, &[to.as_bytes(), payload].concat())
    }
}

fn introduce(talk: &mut Talk, kind: &str) -> Result<()> {
    let mut greeting = [0; GREETING_BYTES];
    greeting[0] = 0xff;
    greeting[9..12].copy_from_slice(&[0x7f, 3, 0]);
    greeting[12..16].copy_from_slice(b"NULL");
    talk.say(&greeting)?;
    let theirs = talk.hear_bytes(GREETING_BYTES)?;
    ensure!(theirs[10] >= 3, "the server speaks version {}", theirs[10]);
    let property = [&b"\x05READY\x0bSocket-Type"[..], &(kind.len() as u32).to_be_bytes(), kind.as_bytes()].concat();
    talk.say(&frame(COMMAND, &property))?;
    let ready = talk.hear(|input| {
        let len = 2 + usize::from(*input.get(1)?);
        (input.len() >= len).then_some(len)
    })?;
    ensure!(ready[2..].starts_with(b"\x05READY"), "the server says {ready:?}");
    Ok(())
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(len) => [&[flags, len], body].concat(),
        Err(_) => [&[flags | LONG][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_short_or_long() {
        assert_eq!(frame(0, b"ab"), [0, 2, b'a', b'b']);
        let long = frame(0, &[7; 256]);
        assert_eq!((long[0], &long[1..9], long.len()), (LONG, &256_u64.to_be_bytes()[..], 265));
    }
}
