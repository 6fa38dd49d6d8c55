//! Zenoh: messages in frames with a running number; those that do not fit into one frame are cut into fragments.

use std::iter;
use std::mem;

use anyhow::{Context, Result, ensure};

use crate::traffic::wire::{ENVELOPES, Opener, Talk, Wire, put_varint};

pub(in crate::competitors) struct Zenoh;

/// Of the protocol, as zenohd 1 has it.
const VERSION: u8 = 9;

/// Messages of the transport, with the flags that we set, and which bits tell them apart.
const INIT: u8 = 0x01 | SIZES;
const SIZES: u8 = 0x40;
const OPEN: u8 = 0x02 | 0x40;
const CLOSE: u8 = 0x03;
const FRAME: u8 = 0x05 | 0x20;
const FRAGMENT: u8 = 0x06 | 0x20;
const MORE: u8 = 0x40;
const ID: u8 = 0x1f;

/// Messages of the network: declarations of a key or a subscriber by name, and values under a key that we have declared.
const DECLARE: u8 = 0x1e;
const NAMED: u8 = 0x20;
const SUBSCRIBER: u8 = 0x02;
const PUSH: u8 = 0x1d | 0x40 | 0x80;
const PUT: u8 = 0x01;

/// Time in which the router wants to hear of us, in seconds: we have nothing to say beside messages.
const LEASE_S: u64 = 3600;

/// Running numbers of one byte; requests, of which there are none, have numbers of four.
const RESOLUTION: u8 = 0b1000;

/// The most that a frame or fragment may hold beside its head, in bytes: over TCP the router takes 48 KiB.
const CONTENT_BYTES_MAX: usize = 49_000;

/// The key of whoever we send to, as a number.
const KEY: u8 = 1;

impl Wire for Zenoh {
    fn join(&self, talks: &mut [Talk], name: &str) -> Result<String> {
        let talk = &mut talks[0];
        // Who we are must be unique: the name is, padded to 16 bytes.
        let id: Vec<u8> = name.bytes().chain(iter::repeat(1)).take(16).collect();
        let syn = [&[INIT, VERSION, 0xf0 | 0b10][..], &id, &[RESOLUTION, 0xff, 0xff]].concat();
        talk.say(&enveloped(&syn))?;
        let ack = talk.hear(envelope_len)?;
        let cookie = cookie(&ack[2..])?;
        let mut open = vec![OPEN];
        put_varint(LEASE_S, &mut open);
        // The first running number, and the cookie.
        open.push(ENVELOPES - 1);
        put_varint(cookie.len() as u64, &mut open);
        open.extend(cookie);
        talk.say(&enveloped(&open))?;
        talk.hear(envelope_len)?;
        // A subscription under our name.
        let mut declare = vec![FRAME, ENVELOPES - 1, DECLARE, SUBSCRIBER | NAMED, 1, 0];
        put_varint(name.len() as u64, &mut declare);
        declare.extend(name.bytes());
        talk.say(&enveloped(&declare))?;
        Ok(name.to_owned())
    }

    /// A key by number, so that the router need not read the name each time.
    fn introduction(&self, to: &str) -> Option<Vec<u8>> {
        let mut bytes = vec![DECLARE, NAMED, KEY, 0];
        put_varint(to.len() as u64, &mut bytes);
        bytes.extend(to.bytes());
        Some(bytes)
    }

    /// One that is to wait where there is no room, rather than be dropped.
    fn message(&self, _to: &str, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![PUSH, KEY, 0x21, 0x0d, PUT];
        put_varint(payload.len() as u64, &mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn wrap(&self, messages: &mut Vec<u8>) -> Vec<usize> {
        let content = mem::take(messages);
        let parts: Vec<&[u8]> = content.chunks(CONTENT_BYTES_MAX).collect();
        let mut numbers_at = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let kind = match parts.len() {
                1 => FRAME,
                count if index + 1 < count => FRAGMENT | MORE,
                _ => FRAGMENT,
            };
            messages.extend((part.len() as u16 + 2).to_le_bytes());
            messages.push(kind);
            numbers_at.push(messages.len());
            messages.push(0);
            messages.extend_from_slice(part);
        }
        numbers_at
    }

    fn opener(&self) -> Option<Opener> {
        let mut envelope = Envelope::default();
        Some(Box::new(move |input, hand_on| envelope.open(input, hand_on)))
    }
}

/// What has come of an envelope.
#[derive(Default)]
struct Envelope {
    head: Vec<u8>,
    /// How much more there is to come, once the head is whole.
    left: usize,
    /// Whether that is messages.
    is_wanted: bool,
}

impl Envelope {
    fn open(&mut self, mut input: &[u8], hand_on: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while !input.is_empty() {
            if self.left == 0 {
                self.head.push(input[0]);
                input = &input[1..];
                self.begin(hand_on)?;
                continue;
            }
            let (content, rest) = input.split_at(self.left.min(input.len()));
            if self.is_wanted {
                hand_on(content)?;
            }
            self.left -= content.len();
            input = rest;
        }
        Ok(())
    }

    /// Looks whether the head is whole: the length, what it is, its number, and of a frame what the first message is.
    fn begin(&mut self, hand_on: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let [low, high, kind, rest @ ..] = &self.head[..] else { return Ok(()) };
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        ensure!(kind & ID != CLOSE, "the router has ended the session");
        let is_frame = kind & ID == FRAME & ID;
        let is_fragment = kind & ID == FRAGMENT & ID;
        if (is_frame || is_fragment) && rest.len() < 2 {
            return Ok(());
        }
        self.is_wanted = is_fragment || is_frame && rest[1] & ID == PUSH & ID;
        if self.is_wanted {
            hand_on(&rest[1..])?;
        }
        self.left = len + 2 - self.head.len();
        self.head.clear();
        Ok(())
    }
}

fn enveloped(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_le_bytes(), message].concat()
}

/// How long the envelope at the front is, if it is there whole.
fn envelope_len(input: &[u8]) -> Option<usize> {
    let len = usize::from(u16::from_le_bytes(*input.first_chunk()?)) + 2;
    (input.len() >= len).then_some(len)
}

/// What the router wants to see again, behind its version, id and sizes.
fn cookie(ack: &[u8]) -> Result<&[u8]> {
    let parse = || {
        let id_len = usize::from(*ack.get(2)? >> 4) + 1;
        let sizes = if ack[0] & SIZES == 0 { 0 } else { 3 };
        let rest = ack.get(3 + id_len + sizes..)?;
        let head = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let len = rest[..head].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 0x7f));
        rest.get(head..head + len)
    };
    parse().context("the router's answer is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(input: &[u8], cut: usize) -> Vec<u8> {
        let mut envelope = Envelope::default();
        let mut contents = Vec::new();
        for part in input.chunks(cut) {
            let mut keep = |content: &[u8]| {
                contents.extend_from_slice(content);
                Ok(())
            };
            envelope.open(part, &mut keep).expect("the session goes on");
        }
        contents
    }

    #[test]
    fn what_is_wrapped_is_opened_however_it_is_cut() {
        for size in [64, CONTENT_BYTES_MAX, 3 * CONTENT_BYTES_MAX] {
            let message = Zenoh.message("printer", &vec![7; size]);
            let mut wrapped = message.clone();
            let numbers = Zenoh.wrap(&mut wrapped);
            assert_eq!(numbers.len(), message.len().div_ceil(CONTENT_BYTES_MAX));
            for cut in [1, 7, 1 << 20] {
                assert_eq!(opened(&wrapped, cut), message);
            }
        }
    }

    #[test]
    fn what_is_no_value_is_dropped() {
        let keep_alive = enveloped(&[0x04]);
        let declaration = enveloped(&[FRAME, 3, DECLARE, 1, 2, 3]);
        let mut value = Zenoh.message("printer", b"x");
        let expected = value.clone();
        Zenoh.wrap(&mut value);
        assert_eq!(opened(&[keep_alive, declaration, value].concat(), 5), expected);
        assert!(Envelope::default().open(&enveloped(&[CLOSE, 0]), &mut |_| Ok(())).is_err());
    }

    #[test]
    fn the_cookie_is_found() {
        let ack = [&[INIT | 0x20, VERSION, 0x10, 1, 2, RESOLUTION, 0xff, 0xff, 3][..], b"abc", b"more"].concat();
        assert_eq!(cookie(&ack).expect("it is there"), b"abc");
        assert!(cookie(&ack[..10]).is_err());
    }
}
