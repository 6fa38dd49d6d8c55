//! The protocols of the competitors, as far as their clients need them here.
//!
//! - [`bare`] bytes and nothing else, for what forwards these
//! - [`nats`], [`redis`], [`mqtt`], [`dbus`], [`zmtp`], [`zenoh`]

pub(super) mod bare;
pub(super) mod dbus;
pub(super) mod mqtt;
pub(super) mod nats;
pub(super) mod redis;
pub(super) mod zenoh;
pub(super) mod zmtp;
