//! The rules of section 1 of the protocol, each by name, against crafted bytes and by properties.

mod against_model;
mod conversations;
mod cuts;
mod garbage;
mod limits;
mod pair;
mod runs;
mod support;
mod trial;
mod vectors;
mod writing;
