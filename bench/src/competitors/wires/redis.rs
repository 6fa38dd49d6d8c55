//! RESP3, the protocol of Redis: version 3, because there whoever subscribes may also publish.

use anyhow::Result;

use crate::traffic::wire::{Talk, Wire};

pub(in crate::competitors) struct Redis;

impl Wire for Redis {
    fn join(&self, talks: &mut [Talk], name: &str) -> Result<String> {
        let talk = &mut talks[0];
        talk.say(b"HELLO 3\r\n")?;
        talk.say(&command(&[b"SUBSCRIBE", name.as_bytes()]))?;
        talk.hear_line("subscribe")?;
        talk.hear_line(name)?;
        talk.hear_line(":1")?;
        // How many have got a message is an answer for each that nobody reads.
        talk.say(&command(&[b"CLIENT", b"REPLY", b"OFF"]))?;
        Ok(name.to_owned())
    }

    fn message(&self, to: &str, payload: &[u8]) -> Vec<u8> {
        command(&[b"PUBLISH", to.as_bytes(), payload])
    }

    fn trailer(&self) -> &'static [u8] {
        b"\r\n"
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_with_their_lengths() {
        assert_eq!(command(&[b"CLIENT", b"OFF"]), b"*2\r\n$6\r\nCLIENT\r\n$3\r\nOFF\r\n");
    }
}
