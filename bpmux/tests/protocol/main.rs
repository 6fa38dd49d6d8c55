//! The rules of section 1 of the protocol, each by name, against crafted bytes and by properties.

mod against_model;
mod ending;
mod garbage;
mod heartbeat;
mod limits;
mod opening;
mod pair;
mod partial;
mod runs;
mod support;
mod vectors;
mod writing;
