//! MQTT 3.1.1 with quality of service 0.

use anyhow::{Result, ensure};

use crate::traffic::wire::{Talk, Wire, put_varint};

pub(in crate::competitors) struct Mqtt;

/// Packet types, as they stand in the first byte.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

impl Wire for Mqtt {
    fn join(&self, talks: &mut [Talk], name: &str) -> Result<String> {
        let talk = &mut talks[0];
        // Level 4, a clean session, no keep-alive.
        let connect = [&text("MQTT")[..], &[4, 0x02, 0, 0], &text(name)].concat();
        talk.say(&packet(CONNECT, &connect))?;
        let answer = talk.hear_bytes(4)?;
        ensure!(answer == [CONNACK, 2, 0, 0], "the server refuses: {answer:?}");
        talk.say(&packet(SUBSCRIBE, &[&[0, 1][..], &text(name), &[0]].concat()))?;
        let answer = talk.hear_bytes(5)?;
        ensure!(answer == [SUBACK, 3, 0, 1, 0], "the server refuses: {answer:?}");
        Ok(name.to_owned())
    }

    fn message(&self, to: &str, payload: &[u8]) -> Vec<u8> {
        packet(PUBLISH, &[&text(to)[..], payload].concat())
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// A packet: its type, its length in portions of seven bits, and the rest.
fn packet(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    put_varint(rest.len() as u64, &mut bytes);
    bytes.extend_from_slice(rest);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        assert_eq!(Mqtt.message("a", b"x"), [PUBLISH, 4, 0, 1, b'a', b'x']);
        assert_eq!(Mqtt.message("a", &[0; 197])[..3], [PUBLISH, 0xc8, 1]);
    }
}
