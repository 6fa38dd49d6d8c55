//! The leftover of a receive when the turn of its connection is over.

use engine::buffers::Lease;
use engine::pipes::Pipe;

/// What has been received and not been read, because the turn was over.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) lease: Lease,
    /// What comes behind it. Boxed, since it is hardly ever there and would make every connection larger.
    pub(super) rx_pipe: Option<Box<Pipe>>,
}

impl Leftover {
    /// How many bytes it holds, those in a pipe not counted.
    pub(super) fn bytes(&self) -> usize {
        self.lease.len()
    }

    /// Lets go of the receive buffer and the pipe that hold it: it is not read soon, and others want them.
    pub(super) fn detach(&mut self) {
        if self.rx_pipe.is_none() && !self.lease.is_of_a_driver() {
            return;
        }
        let mut bytes = self.lease.to_vec();
        if let Some(mut rx_pipe) = self.rx_pipe.take() {
            rx_pipe.copy_to(&mut bytes);
        }
        *self = Self { lease: Lease::from_vec(bytes), rx_pipe: None };
    }
}
