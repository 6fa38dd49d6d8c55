//! A connection, and backpressure: a plugin's socket and its session, what waits to be written to it, and whether it is read.
//!
//! When a reader is slow, payload for it is copied to its backlog, and its writers get no new credit until that has left
//! ([`Core::release`], `bus::channel`). Their sockets are paused only for what costs no credit: heads of empty messages.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use bpmux::copy_run;

use bus::address::{LegAddr, LegId};
use bus::effects::Effects;
use bus::memory::table_bytes;
use bus::session::{Context, Forward, Outgoing, Parts, Payload, Session, Settings};
use engine::buffers::Lease;
use engine::driver::Token;
use engine::pipes::Pipe;
use limits::{COPY_BYTES_MAX, QUANTUM_BYTES, STAGING_BYTES_MAX};

use super::admission::Place;
use super::backlog::{Backlog, Chunks};
use super::blocks::Blocks;
use super::core::Core;
use super::inbox::ShardMsg;
use super::kernel_memory::Grant;
use super::leftover::Leftover;
use super::life::{FAREWELL_TIMEOUT, Life};
use super::outbox::{Outbox, Shortage};

/// One connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) token: Token,
    /// Who it is, for the log.
    pub(super) peer: Box<str>,
    pub(super) place: Place,
    /// What the socket may make the kernel hold, unless that is left to the kernel.
    pub(super) send_buffer: Option<Grant>,
    pub(super) session: Session,
    pub(super) outbox: Outbox,
    pub(super) life: Life,
    /// What it has said since it was over, which was dropped, in bytes.
    pub(super) late_bytes: u32,
    /// Whether a receive is armed.
    pub(super) armed: bool,
    /// Whether it is not read although it has done nothing to deserve that.
    pub(super) held_up: bool,
    pub(super) hang_up: HangUp,
    /// Whether large messages come, in numbers of bytes that are worth a pipe.
    pub(super) bulk: bool,
    /// What has been received and not been read, because the turn was over.
    pub(super) leftover: Option<Leftover>,
    /// Not to be read before then.
    pub(super) slowed_until: Option<Instant>,
    /// Legs of other connections that have no room for what this one writes.
    pub(super) pauses: u32,
    /// Whether it stands in the list of connections that may have something to write.
    pub(super) dirty: bool,
    /// Its entry in the timers.
    pub(super) timer_at: Option<Instant>,
    /// What the connection has cost when it was last looked at, in bytes.
    pub(super) weighed: usize,
    /// The same about, in KiB, by which it is found when it costs most.
    pub(super) rank_kib: u32,
    /// Made when it is first needed, and kept: nothing is allocated for each message.
    waiting: Option<Box<Waiting>>,
}

/// What is known of the end of a peer that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HangUp {
    /// Nothing: it has been read whenever it had something to say.
    Unknown,
    /// The driver will tell of it.
    Awaited,
    /// The peer has hung up, or it was last read, at this time.
    Since(Instant),
}

/// The backlogs of a connection.
#[derive(Debug, Default)]
struct Waiting {
    backlogs: HashMap<LegId, Backlog>,
    /// What they take beside payload and themselves, in bytes.
    overhead_bytes: usize,
    /// Legs with a backlog, in the order in which they have their turns. Those of some may be gone: a leg that has lost its
    /// backlog never gets another.
    turns: VecDeque<LegId>,
}

/// Turns of backlogs that are gone and that are kept beyond as many as there are backlogs.
const TURNS_SPARE: usize = 16;

/// Backlogs for which tables have places when there are none: so few cost next to nothing.
const TABLES_KEPT: usize = 64;

impl Waiting {
    /// Changes the backlog of a leg, which has one from now on, of payload that comes from `from`.
    fn change(
        &mut self,
        (id, from): (LegId, LegAddr),
        session: &mut Session,
        core: &mut Core,
        change: impl FnOnce(&mut Backlog, &mut Session, &mut Blocks),
    ) {
        let Self { backlogs, overhead_bytes, turns } = self;
        let backlog = backlogs.entry(id).or_insert_with(|| {
            turns.push_back(id);
            session.set_backlogged(id, true);
            let backlog = core.pool.backlog(from);
            *overhead_bytes += backlog.overhead_bytes();
            backlog
        });
        let overhead_before = backlog.overhead_bytes();
        change(backlog, session, &mut core.pool.blocks);
        pause_if_overfull(backlog, core);
        *overhead_bytes = *overhead_bytes + backlog.overhead_bytes() - overhead_before;
    }

    /// Whether there is nothing in tables that are larger than need be kept for the next use.
    fn is_to_go(&self) -> bool {
        self.backlogs.is_empty() && self.backlogs.capacity().max(self.turns.capacity()) > TABLES_KEPT
    }

    /// What all of it takes beside payload, in bytes.
    fn overhead_bytes(&self) -> usize {
        let Self { backlogs, overhead_bytes, turns } = self;
        size_of::<Self>() + table_bytes(backlogs) + turns.capacity() * size_of::<LegId>() + overhead_bytes
    }

    fn remove(&mut self, id: LegId) -> Option<Backlog> {
        let backlog = self.backlogs.remove(&id)?;
        self.overhead_bytes -= backlog.overhead_bytes();
        // Its turn finds nothing when it comes. All turns are gone through only when half of them are of no use.
        if self.turns.len() > 2 * self.backlogs.len() + TURNS_SPARE {
            let backlogs = &self.backlogs;
            self.turns.retain(|turn| backlogs.contains_key(turn));
        }
        Some(backlog)
    }
}

/// Keeps a writer from being read whose heads fill a backlog.
fn pause_if_overfull(backlog: &mut Backlog, core: &mut Core) {
    if backlog.is_overfull() && !backlog.pausing {
        backlog.pausing = true;
        core.send(ShardMsg::Pause(backlog.from(), true));
    }
}

impl Conn {
    pub(super) fn new(token: Token, peer: Box<str>, place: Place, session: Session) -> Self {
        Self {
            token,
            peer,
            place,
            send_buffer: None,
            session,
            outbox: Outbox::default(),
            life: Life::Served,
            late_bytes: 0,
            armed: false,
            held_up: false,
            hang_up: HangUp::Unknown,
            bulk: false,
            leftover: None,
            slowed_until: None,
            pauses: 0,
            dirty: false,
            timer_at: None,
            weighed: 0,
            rank_kib: 0,
            waiting: None,
        }
    }

    /// What waits to be read or written takes so much beside payload, in bytes.
    pub(super) fn waiting_overhead_bytes(&self) -> usize {
        let unread = self.leftover.as_ref().map_or(0, Leftover::bytes);
        let waiting = self.waiting.as_ref().map_or(0, |waiting| waiting.overhead_bytes());
        self.outbox.overhead_bytes() + waiting + unread
    }

    /// Whether nothing accepted for this plugin is still here.
    pub(super) fn is_drained(&self) -> bool {
        self.outbox.is_empty() && !self.has_backlogs()
    }

    /// Whether something that was received is still to be read. That of one who makes too much work is not waited for.
    pub(super) fn has_leftover_to_read(&self) -> bool {
        self.leftover.is_some() && self.slowed_until.is_none()
    }

    /// Whether payload waits for its turn.
    fn has_backlogs(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| !waiting.backlogs.is_empty())
    }

    /// When a peer that has hung up, or does not listen any more, is given up, if it is not read to its end before. As long
    /// as others keep it from being read it has the time that any other has that is silent.
    pub(super) fn given_up_at(&self, settings: &Settings) -> Option<Instant> {
        match (self.life, self.hang_up) {
            (_, HangUp::Since(at)) if self.pauses > 0 && !self.armed => Some(at + settings.heartbeat_timeout),
            (Life::ReadOnly(until), _) => Some(until),
            _ => None,
        }
    }

    /// A send has failed: the peer does not listen any more. It may have said something before it went.
    pub(super) fn becomes_read_only(&mut self, now: Instant) {
        self.life = Life::ReadOnly(now + FAREWELL_TIMEOUT);
        self.hang_up = HangUp::Since(now);
    }

    /// One of those who keep the connection from being read does so no more; returns whether it was the last one. Then a
    /// connection that is only read has its time to be heard from now on.
    pub(super) fn unpause(&mut self, now: Instant) -> bool {
        self.pauses = self.pauses.saturating_sub(1);
        if let Life::ReadOnly(until) = &mut self.life {
            *until = now + FAREWELL_TIMEOUT;
        }
        self.pauses == 0
    }

    /// Payload of another plugin's for this one. `short`: for whom the buffer that holds it is wanted back at once.
    pub(super) fn take_payload(&mut self, forward: &Forward, bytes: Lease, short: Shortage, core: &mut Core) {
        let Some(outgoing) = self.session.outgoing(forward.to.1) else {
            return core.release(forward.from, forward.payload.payload_bytes());
        };
        let full = self.outbox.waiting_bytes() >= core.config.engine.outbox_bytes;
        // What comes while others wait is not to go ahead of them for ever.
        let behind = outgoing.behind || self.has_backlogs() || self.outbox.is_crammed();
        if full || behind || self.outbox.is_to_copy(short, core.ticks) {
            self.keep(outgoing, forward, &bytes, core);
        } else {
            self.put(outgoing, forward, bytes, core);
        }
    }

    /// Payload of another plugin's for this one, with heads, in a pipe. `hurried`: pipes are short.
    pub(super) fn take_pipe(&mut self, parts: &Parts, pipe: Pipe, hurried: bool, core: &mut Core) {
        let &Parts { from, payload_bytes, .. } = parts;
        let Some(outgoing) = self.session.outgoing(parts.to.1) else {
            return core.release(from, payload_bytes);
        };
        self.session.put_parts(outgoing.half, parts);
        let behind = outgoing.behind || self.has_backlogs();
        let cramped = self.send_buffer.as_ref().is_some_and(|buffer| !buffer.takes_splices());
        if !behind && !cramped && self.outbox.waiting_bytes() < core.config.engine.outbox_bytes {
            self.outbox.batch(&mut core.pool).pipe(pipe);
            return self.outbox.account(from, payload_bytes);
        }
        let waiting = self.waiting.get_or_insert_default();
        waiting.change((outgoing.id, from), &mut self.session, core, |backlog, _, blocks| {
            let refused = if hurried || cramped { Err(pipe) } else { backlog.append_pipe(pipe, payload_bytes) };
            if let Err(mut pipe) = refused {
                backlog.append(pipe.len(), payload_bytes, blocks, |out| pipe.copy_to(out));
            }
        });
    }

    /// In place: the payload goes out of the buffer in which it came, short ones as copies.
    fn put(&mut self, outgoing: Outgoing, forward: &Forward, bytes: Lease, core: &mut Core) {
        let batch = self.outbox.batch(&mut core.pool);
        match forward.payload {
            Payload::Run { run, id_len } => {
                let rewrite = self.session.put_run(outgoing.half, &run);
                match id_len {
                    Some(id_len) => copy_run(&bytes, usize::from(id_len), &rewrite, batch.staged()),
                    None if bytes.len() <= COPY_BYTES_MAX => batch.put(&bytes),
                    None => batch.lease(bytes),
                }
            }
            Payload::Piece { total, len } => {
                self.session.put_piece(outgoing.half, total, len, batch.staged());
                if bytes.len() <= COPY_BYTES_MAX { batch.put(&bytes) } else { batch.lease(bytes) }
            }
        }
        self.outbox.account(forward.from, forward.payload.payload_bytes());
    }

    /// Behind: the payload is copied to the backlog of its half.
    fn keep(&mut self, outgoing: Outgoing, forward: &Forward, bytes: &[u8], core: &mut Core) {
        let Self { session, waiting, .. } = self;
        let payload_bytes = forward.payload.payload_bytes();
        let append = |backlog: &mut Backlog, session: &mut Session, blocks: &mut Blocks| match forward.payload {
            Payload::Run { run, id_len } => {
                let rewrite = session.put_run(outgoing.half, &run);
                let widened = run.messages as usize * bpmux::varint::LEN_MAX;
                let bytes_max = bytes.len() + id_len.map_or(0, |_| widened);
                backlog.append(bytes_max, payload_bytes, blocks, |out| match id_len {
                    Some(id_len) => copy_run(bytes, usize::from(id_len), &rewrite, out),
                    None => out.extend_from_slice(bytes),
                });
            }
            Payload::Piece { total, len } => {
                let bytes_max = bytes.len() + bpmux::chunk::HEAD_LEN_MAX;
                backlog.append(bytes_max, payload_bytes, blocks, |out| {
                    session.put_piece(outgoing.half, total, len, out);
                    out.extend_from_slice(bytes);
                });
            }
        };
        waiting.get_or_insert_default().change((outgoing.id, forward.from), session, core, append);
    }

    /// Puts a chunk into the backlog of a leg.
    #[cfg(test)]
    pub(super) fn wait_with(&mut self, id: LegId, from: LegAddr, chunk: &[u8], core: &mut Core) {
        let Self { session, waiting, .. } = self;
        waiting.get_or_insert_default().change((id, from), session, core, |backlog, _, blocks| {
            backlog.append(chunk.len(), chunk.len() as u64, blocks, |out| out.extend_from_slice(chunk));
        });
    }

    /// How many backlogs there are, and how many turns.
    #[cfg(test)]
    pub(super) fn waiting_counts(&self) -> (usize, usize) {
        self.waiting.as_ref().map_or((0, 0), |waiting| (waiting.backlogs.len(), waiting.turns.len()))
    }

    /// Nobody wants the backlog of this leg any more.
    pub(super) fn drop_backlog(&mut self, id: LegId, core: &mut Core) {
        if let Some(backlog) = self.waiting.as_mut().and_then(|waiting| waiting.remove(id)) {
            core.release(backlog.from(), backlog.payload_bytes());
            if backlog.pausing {
                core.send(ShardMsg::Pause(backlog.from(), false));
            }
            core.pool.give_back_backlog(backlog);
            self.waiting.take_if(|waiting| waiting.is_to_go());
        }
    }

    /// Does something with the session, and applies what follows from it.
    #[inline]
    pub(super) fn with_session<R>(
        &mut self,
        core: &mut Core,
        act: impl FnOnce(&mut Session, &mut Context<'_>) -> R,
    ) -> R {
        let result = act(&mut self.session, &mut core.context());
        self.apply_effects(core);
        result
    }

    /// Applies all that the session has caused outside of itself.
    #[inline]
    fn apply_effects(&mut self, core: &mut Core) {
        if !core.effects.is_empty() {
            self.apply_some_effects(core);
        }
    }

    fn apply_some_effects(&mut self, core: &mut Core) {
        // Emptied and put back, so that its memory is used again.
        let mut effects = std::mem::take(&mut core.effects);
        let Effects { sent, carried, dropped, legs, watching } = &mut effects;
        sent.drain(..).for_each(|effect| core.send(ShardMsg::Effect(effect)));
        carried.drain(..).for_each(|held| self.outbox.account(held.from, held.bytes));
        dropped.drain(..).for_each(|id| self.drop_backlog(id, core));
        core.legs = core.legs.wrapping_add_signed(std::mem::take(legs));
        if let Some(watching) = watching.take() {
            core.note_watching(self.session.id(), watching);
        }
        core.effects = effects;
    }

    /// Tells the log that the plugin has made more work than it may, once.
    pub(super) fn tell_if_slowed(&mut self) {
        if !self.session.take_newly_slowed() {
            return;
        }
        let plugin = self.session.name().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(peer = %self.peer, %plugin, "slowed: it makes much work that no payload pays for");
    }

    /// Fills the batch with all that may go out now.
    pub(super) fn fill(&mut self, core: &mut Core) {
        let batch = self.outbox.batch(&mut core.pool);
        self.session.write_control(batch.staged(), STAGING_BYTES_MAX, &mut core.context());
        if !self.session.has_early() {
            self.drain_backlogs(core);
            self.waiting.take_if(|waiting| waiting.is_to_go());
        }
        let batch = self.outbox.batch(&mut core.pool);
        self.session.write_replies(batch.staged(), STAGING_BYTES_MAX, &mut core.context());
        self.tell_if_slowed();
        let batch = self.outbox.batch(&mut core.pool);
        self.session.write_ends(batch.staged(), STAGING_BYTES_MAX, &mut core.context());
        self.apply_effects(core);
    }

    /// Halves with a backlog take turns, by bytes.
    fn drain_backlogs(&mut self, core: &mut Core) {
        let Self { session, outbox, waiting: Some(waiting), .. } = self else { return };
        while outbox.waiting_bytes() < core.config.engine.outbox_bytes {
            let Some(id) = waiting.turns.pop_front() else { return };
            let Some(backlog) = waiting.backlogs.get_mut(&id) else { continue };
            waiting.overhead_bytes -= backlog.overhead_bytes();
            // What a block is longer than its turn is made up for in the turns after it.
            backlog.deficit += QUANTUM_BYTES as i64;
            while backlog.deficit > 0 {
                let Some((chunks, payload_bytes)) = backlog.take() else { break };
                backlog.deficit -= chunks.len() as i64;
                let batch = outbox.batch(&mut core.pool);
                match chunks {
                    Chunks::Copied(block) => batch.block(block),
                    Chunks::Piped(pipe) => batch.pipe(pipe),
                }
                outbox.account(backlog.from(), payload_bytes);
            }
            if backlog.pausing && backlog.has_room() {
                backlog.pausing = false;
                core.send(ShardMsg::Pause(backlog.from(), false));
            }
            if backlog.is_empty() {
                waiting.backlogs.remove(&id).into_iter().for_each(|backlog| core.pool.give_back_backlog(backlog));
                session.set_backlogged(id, false);
            } else {
                waiting.overhead_bytes += backlog.overhead_bytes();
                waiting.turns.push_back(id);
            }
        }
    }

    /// The socket is of no use any more: what waits for it is dropped.
    pub(super) fn abandon(&mut self, core: &mut Core) {
        let turns = self.waiting.as_mut().map(|waiting| std::mem::take(&mut waiting.turns)).unwrap_or_default();
        for id in turns {
            self.drop_backlog(id, core);
        }
        for (from, bytes) in self.outbox.abandon(&mut core.pool) {
            core.release(from, bytes);
        }
    }
}
