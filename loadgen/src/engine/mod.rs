//! Sockets and the kernel, for the plugins of one thread: an io_uring of the generator's own, which shares nothing with
//! the relay's. It moves bytes and knows nothing of chunks. All unsafe code of the generator is here.

mod buffers;
mod outgoing;
mod ring;

pub(crate) use outgoing::Outgoing;
pub(crate) use ring::{Completion, Ring, Token, Wait};
