//! The text protocol of NATS.

use anyhow::Result;

use crate::traffic::wire::{Talk, Wire, find};

pub(in crate::competitors) struct Nats;

impl Wire for Nats {
    fn join(&self, talks: &mut [Talk], name: &str) -> Result<String> {
        let talk = &mut talks[0];
        talk.hear_line("INFO")?;
        talk.say(br#"CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"0"}"#)?;
        talk.say(format!("\r\nSUB {name} 1\r\nPING\r\n").as_bytes())?;
        talk.hear_line("PONG")?;
        Ok(name.to_owned())
    }

    fn message(&self, to: &str, payload: &[u8]) -> Vec<u8> {
        [format!("PUB {to} {}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat()
    }

    fn trailer(&self) -> &'static [u8] {
        b"\r\n"
    }

    fn aside(&self, input: &[u8]) -> Option<(usize, &'static [u8])> {
        let len = find(input, b"\r\n")? + 2;
        match input.get(..4)? {
            b"PING" => Some((len, b"PONG\r\n")),
            b"PONG" | b"INFO" => Some((len, b"")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_are_answered_once_they_are_whole() {
        assert_eq!(Nats.aside(b"PING\r\nMSG"), Some((6, &b"PONG\r\n"[..])));
        assert_eq!(Nats.aside(b"PING"), None);
        assert_eq!(Nats.aside(b"MSG a 1 2\r\nhi\r\n"), None);
    }
}
