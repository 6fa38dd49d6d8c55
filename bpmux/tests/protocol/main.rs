//! The rules of section 1 of the protocol, each by name, against crafted bytes and by properties.

mod against_model;
mod ending;
mod heartbeat;
mod model;
mod opening;
mod partial;
mod support;
mod violations;
