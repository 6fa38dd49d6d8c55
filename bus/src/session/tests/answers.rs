//! What a plugin answers, and what the one that asks is told, in any order of what both do, and cut anywhere.

use bpmux::{DuplexKeys, Event, Link, Opened, What};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { halves_max: 64, openings_partial_max: 8 };

#[derive(Clone, Copy, Debug)]
enum Act {
    /// The asking plugin ends the half that it reads, or the one that it writes.
    AskerEnds {
        reads: bool,
    },
    /// The asked plugin does something.
    Accept,
    Credit,
    CancelCredit,
    Close,
    Cancel,
    /// So many bytes of it reach the relay.
    Deliver(usize),
    /// It reads what the relay has for it.
    Hear,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => any::<bool>().prop_map(|reads| Act::AskerEnds { reads }),
        1 => Just(Act::Accept),
        2 => Just(Act::Credit),
        2 => Just(Act::CancelCredit),
        1 => Just(Act::Close),
        1 => Just(Act::Cancel),
        6 => (1..12_usize).prop_map(Act::Deliver),
        4 => Just(Act::Hear),
    ];
    prop::collection::vec(act, 1..25)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Denied,
}

/// A plugin with a link of its own, and what has come on the halves of its one duplex.
struct Plugin {
    link: Link<()>,
    index: usize,
    keys: Option<DuplexKeys>,
    out: Vec<u8>,
    /// Empty messages.
    knocks: usize,
    /// How the half was ended that it reads, and the one that it writes.
    closed: Option<Vec<u8>>,
    cancelled: Option<Vec<u8>>,
}

impl Plugin {
    fn new(index: usize) -> Self {
        let link = Link::new(LIMITS);
        Self { link, index, keys: None, out: Vec::new(), knocks: 0, closed: None, cancelled: None }
    }

    fn hear(&mut self, bus: &mut Bus) {
        let bytes = bus.hear(self.index);
        let mut used = 0;
        loop {
            let step = self.link.next(&bytes[used..]).expect("the relay keeps the rules");
            used += step.used;
            match step.event {
                None => break,
                Some(Event::Opened(Opened::Duplex(keys))) => self.keys = Some(keys),
                Some(Event::Piece(key, (), piece)) if piece.what == What::End => {
                    let payload = bytes[used - piece.len..used].to_vec();
                    let reads = self.keys.is_some_and(|keys| keys.reader == key);
                    *(if reads { &mut self.closed } else { &mut self.cancelled }) = Some(payload);
                }
                Some(Event::Piece(_, (), piece)) => self.knocks += usize::from(piece.total == 0),
                Some(_) => {}
            }
        }
        self.flush();
    }

    fn flush(&mut self) {
        self.link.flush_owed(&mut self.out, usize::MAX);
    }

    fn deliver(&mut self, bus: &mut Bus, len: usize) {
        let bytes: Vec<u8> = self.out.drain(..len.min(self.out.len())).collect();
        bus.say(self.index, &bytes);
    }
}

/// Both plugins, and what the one that is asked has answered by all that it knows itself.
struct Trial {
    bus: Bus,
    a: Plugin,
    b: Plugin,
    answer: Option<Answer>,
    knocked: bool,
    gave_credit: bool,
    closed: bool,
    cancelled: bool,
    /// Whether the asking one still reads, and whether it still writes.
    reads: bool,
    writes: bool,
}

impl Trial {
    fn new() -> Self {
        let mut bus = Bus::new(&["a", "b"]);
        let (mut a, mut b) = (Plugin::new(0), Plugin::new(1));
        for plugin in [&mut a, &mut b] {
            // What the helpers of these tests have given already.
            plugin.link.grant(bpmux::HalfKey::TOP_READER, 1 << 20);
            plugin.flush();
            plugin.out.clear();
            plugin.hear(&mut bus);
        }
        let keys = a.link.open_duplex(1, b"\x00\x01b", 9, &mut a.out).expect("there is credit");
        a.link.grant(keys.writer, 9);
        a.keys = Some(keys);
        a.flush();
        a.deliver(&mut bus, usize::MAX);
        b.hear(&mut bus);
        Self {
            bus,
            a,
            b,
            answer: None,
            knocked: false,
            gave_credit: false,
            closed: false,
            cancelled: false,
            reads: true,
            writes: true,
        }
    }

    fn run(&mut self, act: Act) {
        let (ours, theirs) = (self.a.keys.expect("it has asked"), self.b.keys.expect("it was asked"));
        let (can_write, can_read) = (self.b.link.is_open(theirs.writer), self.b.link.is_open(theirs.reader));
        match act {
            Act::AskerEnds { reads } => {
                *(if reads { &mut self.reads } else { &mut self.writes }) = false;
                self.a.link.end(if reads { ours.reader } else { ours.writer }, b"");
                self.a.flush();
                self.a.deliver(&mut self.bus, usize::MAX);
            }
            Act::Accept if can_write => {
                self.b.link.put_part(theirs.writer, 0, 0, &mut self.b.out);
                self.knocked |= self.answer.is_none();
                self.answer.get_or_insert(Answer::Accepted);
            }
            Act::Credit if can_read => {
                self.b.link.grant(theirs.reader, 5);
                self.gave_credit = true;
            }
            Act::CancelCredit => self.b.link.grant(theirs.writer, 5),
            Act::Close if can_write => {
                self.b.link.end(theirs.writer, b"");
                self.closed = true;
                self.answer.get_or_insert(Answer::Denied);
            }
            Act::Cancel if can_read => {
                self.b.link.end(theirs.reader, b"");
                self.cancelled = true;
                self.answer.get_or_insert(Answer::Denied);
            }
            Act::Deliver(len) => self.b.deliver(&mut self.bus, len),
            Act::Hear => self.b.hear(&mut self.bus),
            _ => {}
        }
        self.b.flush();
        // It has nothing to answer on any more, and knows that.
        let mute = !self.closed && !self.b.link.is_open(theirs.writer);
        if mute && self.gave_credit {
            self.answer.get_or_insert(Answer::Accepted);
        }
    }

    fn finish(&mut self) {
        for _ in 0..3 {
            for _ in 0..4 {
                self.b.deliver(&mut self.bus, usize::MAX);
                self.b.hear(&mut self.bus);
                self.a.hear(&mut self.bus);
                self.a.deliver(&mut self.bus, usize::MAX);
                // Whoever has become mute by now has accepted if it has given credit.
                self.run(Act::Hear);
            }
            // Ends do not wait for ever.
            self.bus.now += Duration::from_secs(6);
            self.bus.with(1, |session, cx| session.handle_timeout(Hearing::Open, cx)).expect("it is not over");
        }
    }

    fn check(&self) {
        let told = |ended: bool| match (self.answer, ended) {
            (Some(Answer::Denied), _) => Some(vec![1]),
            (Some(Answer::Accepted), true) => Some(vec![0]),
            _ => None,
        };
        if self.reads {
            assert_eq!((&self.a.closed, self.a.knocks > 0), (&told(self.closed), self.knocked));
        }
        if self.writes {
            assert_eq!(self.a.cancelled, told(self.cancelled));
            let keys = self.a.keys.expect("it has asked");
            let has_credit = self.a.link.may_send(keys.writer) > 0;
            let open = self.answer == Some(Answer::Accepted) && !self.cancelled;
            assert!(!open || has_credit == self.gave_credit, "credit goes to one who was accepted");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_means_what_the_plugin_has_meant(acts in acts()) {
        let mut trial = Trial::new();
        for act in acts {
            trial.run(act);
        }
        trial.finish();
        trial.check();
    }
}
