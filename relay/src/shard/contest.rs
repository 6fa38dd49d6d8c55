//! Contests for a name: a newcomer wants one that is taken, and the shard of its holder looks whether the holder is still
//! there.

use bus::address::ConnId;
use bus::msg::Effect;
use engine::driver::{Driver, Token};

use super::inbox::ShardMsg;
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    /// A newcomer wants the name of a plugin of this shard.
    pub(super) fn handle_contest(&mut self, holder: ConnId, newcomer: ConnId) {
        let token = Token(holder.token);
        // Without the look: a session that is over has given its name back.
        let free = self.served(token).is_none() || self.driver.has_hung_up(token);
        if let Some((conn, core)) = self.served(token).filter(|_| free) {
            conn.with_session(core, |session, cx| session.yield_name(cx));
        }
        self.core.send(ShardMsg::Effect(Effect::Contested(newcomer, free)));
    }

    /// A plugin of this shard that wants a taken name gets it, or is ended.
    pub(super) fn handle_contested(&mut self, newcomer: ConnId, free: bool) {
        let token = Token(newcomer.token);
        let Some((conn, core)) = self.served(token) else { return };
        match conn.with_session(core, |session, cx| session.handle_contested(free, cx)) {
            Ok(()) if conn.session.is_contesting() => self.mark_dirty(token),
            Ok(()) => {
                conn.unpause(core.now);
                self.note_registered(token);
                self.unarmed.push(token);
                self.mark_dirty(token);
            }
            Err(why) => self.leave(token, &why),
        }
    }
}
