//! What was measured, for people, for programs and for other tools.
//!
//! - [`model`] the report itself, [`gather`] from what steps found out to there
//! - [`table`] for a terminal, [`html`] a page, [`hlog`] a log of histograms, [`compare`] two reports side by side

pub(crate) mod compare;
pub(crate) mod gather;
pub(crate) mod hlog;
pub(crate) mod html;
pub(crate) mod model;
pub(crate) mod table;
pub(crate) mod text;
