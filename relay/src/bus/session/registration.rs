//! The registration of a plugin: its name and version (protocol, section 2, "On accept").
//!
//! A name that is taken may be so by a connection that is over, of which its shard has not heard yet: a plugin that closes and
//! registers again at once meets its own shadow. So before a newcomer is refused, the holder's shard looks whether the holder has
//! hung up, once. Until it has answered the newcomer is not read, for what it says next relies on the name.

use super::super::command::{self, Name};
use super::super::directory::{self, Taken};
use super::super::letter::Post;
use super::{Context, Leaving, Session};

impl Session {
    /// All of the registration has come.
    pub(super) fn register(&mut self, cx: &mut Context<'_>) -> Result<(), Leaving> {
        let entry = std::mem::take(&mut self.pending().registration);
        if self.pending().refused.is_some() {
            return Ok(());
        }
        let Some((name, version)) = command::parse_entry(&entry) else {
            return Err(Leaving::NotRegistered("the first top-level message is not exactly one entry"));
        };
        if let Err(Taken(holder)) = self.take_name(&name, version, cx) {
            self.pending().contested = Some((name, version));
            self.work.end_turn();
            cx.posts.push(Post::Contest { holder, newcomer: self.me });
        }
        Ok(())
    }

    fn take_name(&mut self, name: &Name, version: u16, cx: &mut Context<'_>) -> Result<(), Taken> {
        if !name.is_empty() {
            let shards = directory::lock(cx.directory).register(name, version, self.me)?;
            cx.posts.extend(shards.into_iter().map(Post::Changed));
        }
        self.name = Some(name.clone());
        self.version = version;
        self.pending().unregistered_since = None;
        Ok(())
    }

    /// Whether the plugin has asked for a name of which it is not known yet whether it is free.
    #[must_use]
    pub fn is_contesting(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.contested.is_some())
    }

    /// The shard of the holder has looked: whether the name has been given up.
    ///
    /// # Errors
    /// The name stays taken, and the plugin is to be ended.
    pub fn handle_contested(&mut self, free: bool, cx: &mut Context<'_>) -> Result<(), Leaving> {
        let Some((name, version)) = self.pending().contested.take() else { return Ok(()) };
        if free && self.take_name(&name, version, cx).is_ok() { Ok(()) } else { Err(Leaving::NameTaken(name)) }
    }

    /// The plugin has hung up, and another one wants its name: gives it back, though what the plugin has said is still read.
    pub fn yield_name(&mut self, cx: &mut Context<'_>) {
        let Some(name) = self.name.as_ref().filter(|name| !name.is_empty()) else { return };
        let shards = directory::lock(cx.directory).leave(name, self.me);
        cx.posts.extend(shards.into_iter().map(Post::Changed));
    }

    /// The plugin is gone.
    pub(super) fn unregister(&mut self, cx: &mut Context<'_>) {
        self.yield_name(cx);
        self.name = None;
    }
}
