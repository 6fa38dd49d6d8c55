//! Graceful shutdown: no new connections, what is accepted is delivered, then every plugin is told and takes the rest.

use std::sync::atomic::Ordering;

use bus::session::Leaving;
use engine::driver::Driver;

use super::inbox::ShardMsg;
use super::shard::Shard;
use super::stop::Stop;

impl<D: Driver> Shard<D> {
    fn begin_stop(&mut self) {
        self.acceptor.close(&mut self.driver);
        let deadline = self.core.now + self.core.config.bus.shutdown_timeout;
        self.stop = Some(Stop { deadline, sealed: false, drained: false, told: false });
    }

    /// "What is already accepted is delivered": the connections are told when no shard had anything left and this one has
    /// nothing either, or when time is up.
    pub(super) fn check_stop(&mut self) {
        if self.stop.is_none() && self.core.shared.stopping.load(Ordering::Relaxed) {
            self.begin_stop();
        }
        let Some(stop) = &mut self.stop else { return };
        if stop.told {
            return;
        }
        let late = self.core.now >= stop.deadline;
        let conns = self.conns.iter().flatten();
        let shared = self.core.shared.clone();
        // What another shard had for this one is in the inbox before that shard counts itself.
        let drained = self.core.local.is_empty()
            && self.unread.is_empty()
            && !self.core.sender.is_congested()
            && conns.filter(|conn| conn.life.is_served()).all(|conn| conn.is_drained() && !conn.has_leftover_to_read());
        if drained != stop.drained {
            stop.drained = drained;
            stop.sealed |= drained;
            let change = if drained { 1 } else { usize::MAX };
            let before = shared.drained.fetch_add(change, Ordering::SeqCst);
            if before.wrapping_add(change) == shared.inboxes.len() {
                shared.all_drained.store(true, Ordering::SeqCst);
                // The others may be asleep.
                for shard in 0..shared.inboxes.len() {
                    self.core.send_to(shard as u16, ShardMsg::LookUp);
                }
            }
        }
        let mine = &shared.inboxes[usize::from(self.core.index)];
        let all_drained = shared.all_drained.load(Ordering::SeqCst) && drained && mine.is_empty();
        if all_drained || late {
            stop.told = true;
            // Those that are ending anyway have been told, and have a deadline of their own.
            let served = self.conns.iter().flatten().filter(|conn| conn.life.is_served());
            let tokens: Vec<_> = served.map(|conn| (conn.token, conn.is_drained())).collect();
            for (token, drained) in tokens {
                self.leave(token, &Leaving::Stopping);
                if !drained {
                    self.close(token);
                }
            }
            self.handle_local();
            self.write();
            // What they still say is read and dropped.
            self.arm();
        }
        self.core.sender.flush(&shared.inboxes, |shard| self.driver.wake(shard));
    }

    /// Whether nothing is accepted any more.
    pub(super) fn is_sealed(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.sealed)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.told) && self.served == 0 && self.acceptor.are_closed()
    }
}
