//! The rules of section 1 of the protocol, each by name, against crafted bytes and by properties.

mod ending;
mod partial;
mod support;
