//! Output for programs: one JSON object a line.

use minbus::Plugin;
use serde::Serialize;

use crate::failure::Failure;
use crate::stdout;

/// A plugin. The name is escaped where it is not plain text.
#[derive(Debug, Serialize)]
pub(crate) struct PluginLine {
    name: String,
    version: u16,
}

impl From<&Plugin> for PluginLine {
    fn from(plugin: &Plugin) -> Self {
        Self { name: plugin.name.to_string(), version: plugin.version }
    }
}

/// Writes an object.
pub(crate) fn line(object: &impl Serialize) -> Result<(), Failure> {
    stdout::line(serde_json::to_string(object).map_err(Failure::runtime)?)
}

/// Milliseconds, to the microsecond.
pub(crate) fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
