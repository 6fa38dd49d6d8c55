//! An endpoint by itself: the two ways to read a buffer full of messages.

use bpmux::{Event, HalfKey, Limits, Link, Opened, Rewrite};

use crate::messages::{ID, Lengths, Messages};

/// An endpoint that reads a sink, with more credit on it than any benchmark spends.
#[derive(Clone, Debug)]
pub struct Reader {
    link: Link<u64>,
    half: HalfKey,
}

impl Default for Reader {
    fn default() -> Self {
        let mut link = Link::new(Limits { halves_max: 1, openings_partial_max: 1 });
        let opening = Messages::fill(Lengths::Alike(0), 0).bytes;
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
