//! What the benchmarks of the protocol core measure: a buffer full of messages, and the two ways to read it.

use bpmux::{Event, Flags, HalfKey, Kind, Limits, Link, Opened, Rewrite, chunk};

/// The id of the sink that is written to.
const ID: u64 = 1;

/// `count` plain messages of one sink, one behind the other.
#[must_use]
pub fn messages(payload_len: usize, count: usize) -> Vec<u8> {
    let mut message = Vec::new();
    chunk::put_payload_head(Kind::OutSink, Flags::NONE, ID, payload_len as u64, &mut message);
    message.resize(message.len() + payload_len, 0x5a);
    message.repeat(count)
}

/// How many such messages a buffer of `buffer_len` bytes holds whole.
#[must_use]
pub fn messages_in(buffer_len: usize, payload_len: usize) -> usize {
    buffer_len / messages(payload_len, 1).len()
}

/// An endpoint that reads a sink, with more credit on it than any benchmark spends.
#[derive(Clone, Debug)]
pub struct Reader {
    link: Link<u64>,
    half: HalfKey,
}

impl Default for Reader {
    fn default() -> Self {
        let mut link = Link::new(Limits { halves_max: 1, openings_partial_max: 1 });
        let opening = messages(0, 1);
        let step = link.next(&opening).expect("an empty opening needs no credit");
        let Some(Event::Opened(Opened::Sink(half))) = step.event else { panic!("not an opening: {step:?}") };
        let mut reader = Self { link, half };
        reader.read_events(&opening[step.used..]);
        reader.link.grant(half, u64::MAX);
        reader
    }
}

impl Reader {
    /// Reads event by event, as anything can be read. Returns the bytes of payload.
    ///
    /// # Panics
    /// When the input breaks a rule.
    #[inline]
    pub fn read_events(&mut self, input: &[u8]) -> u64 {
        let mut at = 0;
        let mut payload_bytes = 0;
        loop {
            let step = self.link.next(&input[at..]).expect("the input is valid");
            at += step.used;
            match step.event {
                Some(Event::Piece(_, _, piece)) => payload_bytes += piece.len as u64,
                Some(_) => {}
                None => return payload_bytes,
            }
        }
    }

    /// Reads it as one run, and gives each message a new id: the one that it has, so that the same input can be read
    /// again. Returns the bytes of payload.
    ///
    /// # Panics
    /// When the input is not whole messages.
    #[inline]
    pub fn read_run(&mut self, input: &mut [u8]) -> u64 {
        let found = self.link.run_at(input);
        assert_eq!(found.map(|(half, _)| half), Some(self.half), "a message begins here");
        let run = self.link.take_run(self.half, input, Some(&Rewrite::to(ID)));
        assert_eq!(run.bytes, input.len(), "the input is whole messages");
        run.payload_bytes
    }
}
