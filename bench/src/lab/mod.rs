//! The laboratory: cases are measured in rounds, in each of which every variant has a turn, one after another and in an order
//! that is another in each round. So whatever else the machine does hits all of them, and ratios within a round say more than
//! any figure by itself.
//!
//! - [`case`] what is compared, and what is to come out; [`scene`] where, how often and for how long
//! - [`round`], [`series`] what was measured, by name; [`report`] how that is told, [`table`] in columns

pub(crate) mod case;
pub(crate) mod report;
pub(crate) mod round;
pub(crate) mod scene;
pub(crate) mod series;
pub(crate) mod table;
