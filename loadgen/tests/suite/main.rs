//! The binary, as it is run by hand.
//!
//! - [`load`] running it
//! - [`scenarios`] what it does when all goes well, [`ending`] when not, [`faults`] when the relay delivers something else
//! - [`reports`] what it writes, [`page`] the page in a browser; [`outputs`] files, [`streams`] stdout and stderr that take
//!   nothing

mod ending;
mod faults;
mod load;
mod outputs;
mod page;
mod reports;
mod scenarios;
mod streams;
