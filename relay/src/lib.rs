//! The Min-Bus relay: plugins find each other by name and talk through it.
//!
//! - [`bus`] what Min-Bus means, without a socket in it
pub mod bus;
