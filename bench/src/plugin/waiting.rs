//! Waiting for many plugins at once.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Result, ensure};
use rustix::event::{Timespec, epoll};

use super::socket::PATIENCE;

/// Events that are taken at once.
const EVENTS_MAX: usize = 256;

/// What waits for any of some sockets to have something to read.
#[derive(Debug)]
pub(crate) struct Waiting(OwnedFd);

impl Waiting {
    /// For these sockets, in their order.
    pub(crate) fn new<'a, S: AsFd + 'a>(sockets: impl Iterator<Item = &'a S>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (index, socket) in sockets.enumerate() {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
        }
        Ok(Self(epoll))
    }

    /// Waits until there are some, and says which; not all if they are many.
    pub(crate) fn wait(&self) -> Result<Vec<usize>> {
        let timeout = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let mut events = [MaybeUninit::uninit(); EVENTS_MAX];
        let (ready, _) = epoll::wait(&self.0, &mut events[..], Some(&timeout))?;
        ensure!(!ready.is_empty(), "the server has said nothing for {} s", PATIENCE.as_secs());
        Ok(ready.iter().map(|event| event.data.u64() as usize).collect())
    }
}
