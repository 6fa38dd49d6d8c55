//! What the benchmarks have in common: the ways of a message through the code, without a kernel.
//!
//! - [`messages`] what is read, [`reader`] an endpoint that reads it
//! - [`sessions`] two plugins of a relay, from the receive buffer of one to what is sent to the other

pub mod messages;
pub mod reader;
pub mod sessions;

pub use messages::{Lengths, Messages};
pub use reader::Reader;
pub use sessions::Sessions;
