//! Requests of one plugin to the relay itself: who is there, watches of that, questions about the relay; and the openings of
//! all that it begins.
//!
//! To add a request code (opcode): its constant goes into `wire`, what it means into [`Requests::handle_opening`]. A request
//! that is not answered at once has its state in [`Work`], a [`Role`] for its half, and its places in
//! [`Requests::handle_piece`], [`Requests::handle_credit`] and [`Requests::write`].

mod openings;
mod queries;
mod reply;
mod stats;
mod watch;

use std::time::Instant;

use bpmux::{HalfKey, Opened, Piece, What};

use super::directory::Change;
use super::plugin::{Plugin, PluginContext, Role};
pub(crate) use openings::Opening;
use openings::Openings;
use queries::Queries;
use stats::StatsQueries;
use watch::Watch;
use wire::stats as stats_request;

/// All requests of one plugin: nothing, most of the time, unless it watches.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    work: Option<Box<Work>>,
}

/// What is under way.
#[derive(Debug, Default)]
struct Work {
    openings: Openings,
    queries: Queries,
    stats: StatsQueries,
    watch: Option<Watch>,
    /// Until when the plugin gets no answers, though some wait, because they have cost so much.
    rests_until: Option<Instant>,
}

impl Work {
    fn is_empty(&self) -> bool {
        let Self { openings, queries, stats, watch, rests_until } = self;
        openings.is_empty() && queries.is_empty() && stats.is_empty() && watch.is_none() && rests_until.is_none()
    }

    fn memory_bytes(&self) -> usize {
        let Self { openings, queries, stats, watch, rests_until: _ } = self;
        let watch = watch.as_ref().map_or(0, Watch::memory_bytes);
        size_of::<Self>() + openings.memory_bytes() + queries.memory_bytes() + stats.memory_bytes() + watch
    }
}

impl Requests {
    /// The memory that they take, in bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.work.as_ref().map_or(0, |work| work.memory_bytes())
    }

    /// What is under way, from now on.
    fn work(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// The plugin opens something. What it is is known when its opening payload is there.
    pub(crate) fn handle_opened(&mut self, opened: Opened, plugin: &mut Plugin) {
        self.work().openings.insert(opened, &mut plugin.link);
    }

    /// Payload on a half of a request, or of what may become one. Returns a duplex that has been opened in full.
    pub(crate) fn handle_piece(
        &mut self,
        half: HalfKey,
        role: Role,
        piece: Piece,
        bytes: &[u8],
        cx: &mut PluginContext<'_>,
    ) -> Option<Opening> {
        match (role, piece.what) {
            (Role::Opening(_), What::Opening) => {
                let opening = self.work().openings.handle_piece(half, piece, bytes)?;
                cx.plugin.link.set_user(half, Role::None);
                return self.handle_opening(opening, cx);
            }
            (Role::Opening(on), What::Message) if piece.total == 0 => self.work().openings.handle_early_message(on),
            (Role::Opening(on), What::End) if piece.last => {
                self.work().openings.handle_early_end(half, on, &mut cx.plugin.link);
            }
            (Role::Answering, What::End) if piece.last => self.work().queries.cancel(half, &cx.plugin.link),
            (Role::Watch, What::End) if piece.last => self.end_watch(cx),
            _ => {}
        }
        None
    }

    /// An opening payload is all there, and says what the plugin wants; a channel is not for the relay itself.
    fn handle_opening(&mut self, opening: Opening, cx: &mut PluginContext<'_>) -> Option<Opening> {
        match opening.opened {
            Opened::Duplex(_) => return Some(opening),
            Opened::Request(half) if opening.payload.is_empty() => self.work().queries.open(half, cx),
            Opened::Request(half) if opening.payload.first() == Some(&stats_request::CODE) => {
                self.open_stats(half, &opening.payload, cx);
            }
            Opened::Stream(half) if opening.payload.is_empty() && self.work().watch.is_none() => {
                self.work().watch = Some(Watch::open(half, cx));
            }
            Opened::Request(half) | Opened::Stream(half) | Opened::Sink(half) => {
                cx.plugin.link.end(half, &[]);
            }
        }
        None
    }

    /// Credit on a half of a request.
    pub(crate) fn handle_credit(&mut self, half: HalfKey, role: Role, cx: &mut PluginContext<'_>) {
        match role {
            Role::Query => self.work().queries.make_ready(half, cx.plugin),
            Role::StatsQuery => self.request_stats(cx),
            _ => {}
        }
    }

    /// Others connected or left; a watcher is told.
    pub(crate) fn handle_changes(&mut self, changes: &[Change], plugin: &Plugin) {
        if let Some(watch) = self.watch() {
            watch.handle_changes(changes, plugin.name.as_ref());
        }
    }

    fn watch(&mut self) -> Option<&mut Watch> {
        self.work.as_mut()?.watch.as_mut()
    }

    /// The plugin does not want to be told any more, or cannot.
    fn end_watch(&mut self, cx: &mut PluginContext<'_>) {
        if self.work.as_mut().and_then(|work| work.watch.take()).is_some() {
            cx.effects.watching = Some(false);
        }
    }

    /// The plugin is gone.
    pub(crate) fn leave(&mut self, cx: &mut PluginContext<'_>) {
        self.end_watch(cx);
        self.work = None;
    }

    /// Writes answers to queries and questions, and the watch.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        if let Some(work) = &self.work {
            let (answered, waiting) = (work.stats.has_answer(), work.stats.are_waiting());
            if !work.queries.is_empty() && !self.check_rest(cx) {
                self.work().queries.write(out, len_max, cx);
            }
            if answered {
                self.write_stats(out, len_max, cx);
            } else if waiting {
                self.request_stats(cx);
            }
        }
        self.write_watch(out, len_max, cx);
    }

    fn write_watch(&mut self, out: &mut Vec<u8>, len_max: usize, cx: &mut PluginContext<'_>) {
        // What others do to be told of costs the watcher nothing.
        if self.watch().is_some_and(|watch| watch.tells_listing()) && self.check_rest(cx) {
            return;
        }
        let Some(Work { watch: Some(watch), queries, .. }) = self.work.as_deref_mut() else { return };
        watch.begin_if_ready(queries.is_empty(), cx);
        let listed_bytes = watch.write(&mut cx.plugin.link, out, len_max);
        cx.plugin.limiter.charge_answer(0, listed_bytes);
    }

    /// Whether answers of the relay's own have cost so much that the plugin is to wait for more of them.
    fn check_rest(&mut self, cx: &mut PluginContext<'_>) -> bool {
        let rests_until = cx.plugin.limiter.rests_until(cx.now, &cx.settings.rate_limits);
        if rests_until.is_some() || self.work.is_some() {
            self.work().rests_until = rests_until;
        }
        rests_until.is_some()
    }

    /// Until when answers wait because they have cost too much.
    pub(crate) fn rests_until(&self) -> Option<Instant> {
        self.work.as_ref()?.rests_until
    }

    /// Time has passed: if there is still something to wait for, that is found when answers are to be written.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(work) = &mut self.work {
            work.rests_until.take_if(|until| *until <= now);
        }
    }

    /// Gives the memory of what was under way back when there is nothing of it any more.
    pub(crate) fn settle(&mut self) {
        self.work.take_if(|work| work.is_empty());
    }

    /// Whether the plugin watches.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is_watching(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.watch.is_some())
    }

    /// Counts what is there.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn audit(&self, audit: &mut super::audit::Audit) {
        if let Some(work) = &self.work {
            audit.openings = work.openings.len();
            audit.answers = work.queries.len() + work.stats.len();
        }
    }
}
