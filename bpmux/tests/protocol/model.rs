//! A second reading of section 1, for comparison: the receiving side of a link as the text says it, over whole chunks
//! and with no thought of speed. Shares no code with the ledger.

use bpmux::{Kind, What};

use crate::support::Chunk;

/// What a chunk should mean; halves go by the order in which they came up, the top level being 0 (we write) and 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Opened(Kind, Vec<usize>),
    Payload {
        half: usize,
        what: What,
        total: u64,
        first: bool,
        last: bool,
        bytes: Vec<u8>,
    },
    Credit(usize, u64),
    Ping(usize),
    Pong(usize),
    /// A message was dropped.
    Missed(usize),
    /// What we have ended is over at the peer, too; whether its own end says so.
    Over {
        half: usize,
        crossed: bool,
    },
}

/// The rules were broken, or a limit was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OurEnd {
    No,
    Noted(Vec<u8>),
    Sent,
}

/// A payload of which parts have come.
#[derive(Clone, Copy, Debug)]
struct Parts {
    is_end: bool,
    total: u64,
    got: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Half {
    pub(crate) name: usize,
    /// As in the peer's chunks about it.
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) may_send: u64,
    pub(crate) may_receive: u64,
    pub(crate) our_end: OurEnd,
    pub(crate) peer_ended: bool,
    /// Bytes of our message under way.
    pub(crate) outgoing_left: u64,
    pub(crate) owed: Owed,
    opening: bool,
    parts: Option<Parts>,
}

/// What the next flush must write about a half, besides an end or an ack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) credit: u64,
    pub(crate) pings: u32,
    pub(crate) pongs: u32,
}

impl Half {
    pub(crate) fn is_open(&self) -> bool {
        self.our_end == OurEnd::No && !self.peer_ended
    }

    pub(crate) fn is_top(&self) -> bool {
        self.name < 2
    }

    /// Whether we write messages or the response.
    pub(crate) fn is_ours_to_write(&self) -> bool {
        matches!(self.kind, Kind::OutRequest | Kind::OutStream | Kind::InStream)
    }

    fn is_opened_by_peer(&self) -> bool {
        matches!(self.kind, Kind::OutRequest | Kind::OutSink | Kind::OutStream)
    }

    fn hears(&self) -> bool {
        self.our_end == OurEnd::No
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) halves: Vec<Half>,
    names: usize,
    halves_max: u32,
    openings_partial_max: usize,
}

impl Model {
    pub(crate) fn new(halves_max: u32, openings_partial_max: u32) -> Self {
        let mut model =
            Self { halves: Vec::new(), names: 0, halves_max, openings_partial_max: openings_partial_max as usize };
        model.add(Kind::InStream, 0, false);
        model.add(Kind::InSink, 0, false);
        model
    }

    /// A new half; gives its name.
    pub(crate) fn add(&mut self, kind: Kind, id: u64, opening: bool) -> usize {
        let name = self.names;
        self.names += 1;
        self.halves.push(Half {
            name,
            kind,
            id,
            may_send: 0,
            may_receive: 0,
            our_end: OurEnd::No,
            peer_ended: false,
            outgoing_left: 0,
            owed: Owed::default(),
            opening,
            parts: None,
        });
        name
    }

    pub(crate) fn half(&mut self, name: usize) -> Option<&mut Half> {
        self.halves.iter_mut().find(|half| half.name == name)
    }

    fn must(&mut self, name: usize) -> &mut Half {
        self.half(name).expect("the half is there")
    }

    pub(crate) fn peer_halves(&self) -> u32 {
        self.halves.iter().filter(|half| half.is_opened_by_peer()).count() as u32
    }

    pub(crate) fn forget(&mut self, name: usize) {
        self.halves.retain(|half| half.name != name);
    }

    fn find(&self, kind: Kind, id: u64) -> Option<usize> {
        // Halves of ours never have id 0, so that In-Sink 0 and In-Stream 0 can only be the top level.
        self.halves.iter().find(|half| half.kind == kind && half.id == id).map(|half| half.name)
    }

    /// What `chunk` means, behind a Partial if there is a total.
    pub(crate) fn chunk(&mut self, total: Option<u64>, chunk: &Chunk) -> Result<Vec<Want>, Refused> {
        let mut wants = Vec::new();
        if total.is_some() && chunk.payload.is_none() && chunk.end.is_none() {
            return Err(Refused);
        }
        let found = match chunk.kind {
            Kind::Duplex => None,
            kind => self.find(kind, chunk.id),
        };
        let name = match found {
            Some(name) => name,
            None => self.open(chunk, &mut wants)?,
        };
        if self.must(name).peer_ended {
            return Err(Refused);
        }
        let has_fields = chunk.payload.is_some() || chunk.credit.is_some() || chunk.ping || chunk.end.is_some();
        if chunk.ack {
            let half = self.must(name);
            if has_fields || half.our_end != OurEnd::Sent || half.is_top() {
                return Err(Refused);
            }
            self.forget(name);
            wants.push(Want::Over { half: name, crossed: false });
            return Ok(wants);
        }
        if !has_fields && self.must(name).hears() {
            wants.push(Want::Pong(name));
        }
        self.fields(name, total, chunk, &mut wants)?;
        Ok(wants)
    }

    fn open(&mut self, chunk: &Chunk, wants: &mut Vec<Want>) -> Result<usize, Refused> {
        let count = match chunk.kind {
            Kind::Duplex
                if [Kind::OutSink, Kind::OutStream].iter().any(|&kind| self.find(kind, chunk.id).is_some()) =>
            {
                return Err(Refused);
            }
            Kind::Duplex => 2,
            Kind::OutRequest | Kind::OutSink | Kind::OutStream => 1,
            _ => return Err(Refused),
        };
        if chunk.payload.is_none() || chunk.ack || self.peer_halves() + count > self.halves_max {
            return Err(Refused);
        }
        let name = if chunk.kind == Kind::Duplex {
            let writer = self.add(Kind::OutStream, chunk.id, true);
            let reader = self.add(Kind::OutSink, chunk.id, false);
            wants.push(Want::Opened(chunk.kind, vec![writer, reader]));
            writer
        } else {
            let name = self.add(chunk.kind, chunk.id, true);
            wants.push(Want::Opened(chunk.kind, vec![name]));
            name
        };
        Ok(name)
    }

    fn fields(
        &mut self,
        name: usize,
        mut total: Option<u64>,
        chunk: &Chunk,
        wants: &mut Vec<Want>,
    ) -> Result<(), Refused> {
        if let Some(bytes) = &chunk.payload {
            if chunk.kind == Kind::InRequest && chunk.end.is_some() {
                return Err(Refused);
            }
            self.payload(name, total.take(), bytes, wants)?;
        }
        if let (Some(amount), Some(half)) = (chunk.credit, self.half(name))
            && half.hears()
        {
            half.may_send = half.may_send.checked_add(amount).ok_or(Refused)?;
            wants.push(Want::Credit(name, amount));
        }
        if chunk.ping && self.half(name).is_some_and(|half| half.hears()) {
            wants.push(Want::Ping(name));
        }
        if let Some(bytes) = &chunk.end {
            self.end(name, total.take(), bytes, wants)?;
        }
        Ok(())
    }

    fn payload(&mut self, name: usize, total: Option<u64>, bytes: &[u8], wants: &mut Vec<Want>) -> Result<(), Refused> {
        let half = self.must(name);
        let writes = matches!(half.kind, Kind::OutSink | Kind::InSink | Kind::InRequest);
        let fresh = Parts { is_end: false, total: total.unwrap_or(bytes.len() as u64), got: 0 };
        let parts = match half.parts {
            Some(parts) if parts.is_end || total.is_some() => return Err(Refused),
            Some(parts) => parts,
            None if writes || half.opening => fresh,
            None => return Err(Refused),
        };
        let is_first_chunk = half.parts.is_none();
        let opening = half.opening;
        let what = if opening { What::Opening } else { What::Message };
        let done = self.part(name, parts, what, bytes, wants)?;
        self.spend(if opening { 1 } else { name }, bytes)?;
        if done {
            let half = self.must(name);
            half.opening = false;
            if half.kind == Kind::InRequest {
                self.ended(name, wants);
            }
        } else if opening && is_first_chunk {
            let partial = self.halves.iter().filter(|half| half.opening && half.parts.is_some()).count();
            if partial > self.openings_partial_max {
                return Err(Refused);
            }
        }
        Ok(())
    }

    fn end(&mut self, name: usize, total: Option<u64>, bytes: &[u8], wants: &mut Vec<Want>) -> Result<(), Refused> {
        let half = self.must(name);
        let fresh = Parts { is_end: true, total: total.unwrap_or(bytes.len() as u64), got: 0 };
        let parts = match half.parts {
            Some(_) if total.is_some() => return Err(Refused),
            Some(parts) if parts.is_end => parts,
            // Nothing under way, or given up.
            _ => fresh,
        };
        half.opening = false;
        let done = self.part(name, parts, What::End, bytes, wants)?;
        self.spend(name, bytes)?;
        if done {
            self.ended(name, wants);
        }
        Ok(())
    }

    /// The next part of something; whether it is complete.
    fn part(
        &mut self,
        name: usize,
        mut parts: Parts,
        what: What,
        bytes: &[u8],
        wants: &mut Vec<Want>,
    ) -> Result<bool, Refused> {
        let half = self.must(name);
        let first = parts.got == 0;
        parts.got += bytes.len() as u64;
        if parts.got > parts.total {
            return Err(Refused);
        }
        let last = parts.got == parts.total;
        half.parts = (!last).then_some(parts);
        if half.hears() && (last || !bytes.is_empty()) {
            wants.push(Want::Payload { half: name, what, total: parts.total, first, last, bytes: bytes.into() });
        } else if !half.hears() && last && what == What::Message && half.kind != Kind::InRequest {
            wants.push(Want::Missed(name));
        }
        Ok(last)
    }

    fn spend(&mut self, name: usize, bytes: &[u8]) -> Result<(), Refused> {
        let half = self.must(name);
        half.may_receive = half.may_receive.checked_sub(bytes.len() as u64).ok_or(Refused)?;
        Ok(())
    }

    fn ended(&mut self, name: usize, wants: &mut Vec<Want>) {
        let half = self.must(name);
        if half.our_end != OurEnd::No && !half.is_top() {
            wants.push(Want::Over { half: name, crossed: true });
        }
        if half.our_end == OurEnd::Sent && !half.is_top() {
            self.forget(name);
            return;
        }
        half.peer_ended = true;
        half.owed = Owed { pongs: half.owed.pongs, ..Owed::default() };
    }
}
