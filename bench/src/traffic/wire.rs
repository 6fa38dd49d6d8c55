//! What a competitor's clients say: the least that a client of its protocol needs to send messages to another and to
//! receive them.

use anyhow::{Result, ensure};

use crate::plugin::socket::Socket;

/// The protocol of a competitor.
pub(crate) trait Wire: Send {
    /// Introduces a client over its connections, which takes what is sent to `name`. Returns how others address it.
    fn join(&self, talks: &mut [Talk], name: &str) -> Result<String>;

    /// What is to be said, as a message, before the first message to an address.
    fn introduction(&self, _to: &str) -> Option<Vec<u8>> {
        None
    }

    /// A message as it is sent.
    fn message(&self, to: &str, payload: &[u8]) -> Vec<u8>;

    /// What stands behind the payload where a message arrives.
    fn trailer(&self) -> &'static [u8] {
        &[]
    }

    /// Something that is no message stands at the front. How long it is, if that is known, and what is to be answered.
    fn aside(&self, _input: &[u8]) -> Option<(usize, &'static [u8])> {
        None
    }

    /// Puts messages of one write into envelopes, where there are any. Returns where the running numbers of these stand,
    /// which count up to [`ENVELOPES`].
    fn wrap(&self, _messages: &mut Vec<u8>) -> Vec<usize> {
        Vec::new()
    }

    /// Takes the messages out of their envelopes.
    fn opener(&self) -> Option<Opener> {
        None
    }
}

/// How many running numbers envelopes have.
pub(crate) const ENVELOPES: u8 = 128;

/// Takes what has come, as often as there is something in it, and hands the contents on.
pub(crate) type Opener = Box<dyn FnMut(&[u8], &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> + Send>;

/// A connection as long as client and server introduce themselves: what has come and was not looked at is kept.
pub(crate) struct Talk {
    socket: Socket,
    input: Vec<u8>,
}

impl Talk {
    pub(crate) fn new(socket: Socket) -> Self {
        Self { socket, input: Vec::new() }
    }

    pub(crate) fn say(&self, bytes: &[u8]) -> Result<()> {
        self.socket.write(bytes, &[])
    }

    /// Waits until `len` finds the end of something at the front, and returns that.
    pub(crate) fn hear(&mut self, len: impl Fn(&[u8]) -> Option<usize>) -> Result<Vec<u8>> {
        loop {
            if let Some(len) = len(&self.input) {
                return Ok(self.input.drain(..len).collect());
            }
            let input = &mut self.input;
            self.socket.read(|bytes| {
                ensure!(!bytes.is_empty(), "the server has ended the connection after {:?}", shown(input));
                input.extend_from_slice(bytes);
                Ok(())
            })?;
        }
    }

    /// Waits for so many bytes.
    pub(crate) fn hear_bytes(&mut self, len: usize) -> Result<Vec<u8>> {
        self.hear(|input| (input.len() >= len).then_some(len))
    }

    /// Waits for a line that contains this, and passes over all before it.
    pub(crate) fn hear_line(&mut self, part: &str) -> Result<String> {
        loop {
            let line = self.hear(|input| Some(find(input, b"\n")? + 1))?;
            let line = String::from_utf8_lossy(&line).into_owned();
            ensure!(!line.starts_with("-"), "the server refuses: {line}");
            if line.contains(part) {
                return Ok(line);
            }
        }
    }

    /// The introductions are over.
    pub(crate) fn end(self) -> (Socket, Vec<u8>) {
        (self.socket, self.input)
    }
}

/// Where something stands.
pub(crate) fn find(input: &[u8], what: &[u8]) -> Option<usize> {
    input.windows(what.len()).position(|window| window == what)
}

/// For errors.
pub(crate) fn shown(input: &[u8]) -> String {
    String::from_utf8_lossy(&input[..input.len().min(100)]).into_owned()
}

/// A number in portions of seven bits, the lowest first.
pub(crate) fn put_varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
