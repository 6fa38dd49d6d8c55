//! What was measured in a round: figures by name.

use serde::{Serialize, Serializer};
use serde_json::Value;

/// Figures by name; the unit is part of the name.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// What was measured in a round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) figures: Figures,
    /// All of it, for machines.
    pub(crate) whole: Value,
}

impl From<Figures> for Round {
    fn from(figures: Figures) -> Self {
        let whole = figures.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        Self { figures, whole }
    }
}

impl Serialize for Round {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.whole.serialize(serializer)
    }
}
