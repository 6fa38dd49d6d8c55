//! What was measured, for people, for programs and for other tools.
//!
//! - [`model`] the report itself, [`gather`] from what steps found out to there
//! - [`table`] for a terminal, [`html`] a page, [`hlog`] a log of histograms; [`notes`] what they say in words
//! - [`compare`] two reports side by side; [`machine`] what a machine is called; [`text`] numbers and words for people

pub(crate) mod compare;
pub(crate) mod gather;
pub(crate) mod hlog;
pub(crate) mod html;
pub(crate) mod machine;
pub(crate) mod model;
pub(crate) mod notes;
#[cfg(test)]
mod synthetic;
pub(crate) mod table;
pub(crate) mod text;

/// As one line of JSON.
pub(crate) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is serializable") + "\n"
}
