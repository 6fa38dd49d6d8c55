//! The library against a relay that is played by the test, chunk by chunk: see `peer`.

mod bytes;
mod channel;
mod closing;
mod connect;
mod open;
mod peer;
mod socket;
mod waiting;
mod written;
