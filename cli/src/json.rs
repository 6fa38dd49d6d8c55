//! Output for programs: one JSON object a line. Text of others stands in it as it is, but what cannot be seen is escaped.

use std::io;

use minbus::{Name, Plugin, escape};
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::failure::Failure;

/// A name as it is. One that is not UTF-8 is escaped as it is for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact<'a>(pub(crate) &'a Name);

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(self.0.as_bytes()) {
            Ok(name) => serializer.serialize_str(name),
            Err(_) => serializer.collect_str(self.0),
        }
    }
}

/// A plugin.
#[derive(Debug, Serialize)]
pub(crate) struct PluginLine<'a> {
    name: Exact<'a>,
    version: u16,
    /// The bytes of a name that is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
}

impl<'a> From<&'a Plugin> for PluginLine<'a> {
    fn from(plugin: &'a Plugin) -> Self {
        let bytes = plugin.name.as_bytes();
        let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let name_hex = str::from_utf8(bytes).is_err().then(hex);
        Self { name: Exact(&plugin.name), version: plugin.version, name_hex }
    }
}

/// An object as a line, without its end.
pub(crate) fn text(object: &impl Serialize) -> Result<String, Failure> {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Visible);
    object.serialize(&mut serializer).map_err(Failure::runtime)?;
    String::from_utf8(text).map_err(Failure::runtime)
}

/// Escapes in strings what is invisible or turns text round, beside what JSON demands.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for char in fragment.chars() {
            if is_seen(char) {
                write!(writer, "{char}")?;
            } else {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a character is seen behind another one.
fn is_seen(char: char) -> bool {
    let text = String::from_iter(['a', char, 'b']);
    char.is_ascii_graphic() || char == ' ' || escape(text.as_bytes()).to_string() == text
}

/// Milliseconds, to the microsecond.
pub(crate) fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &[u8]) -> String {
        text(&PluginLine::from(&Plugin { name: Name::new(name).unwrap(), version: 1 })).unwrap()
    }

    #[test]
    fn names_are_exact_and_can_be_seen() {
        assert_eq!(line("é \\ \"時".as_bytes()), r#"{"name":"é \\ \"時","version":1}"#);
        let unseen = "\u{202e}\u{2066}\u{200b}\u{ad}\u{2028}\u{feff}\u{7f}\u{1b}\u{e0001}";
        let escaped = r"\u202e\u2066\u200b\u00ad\u2028\ufeff\u007f\u001b\udb40\udc01";
        assert_eq!(line(unseen.as_bytes()), format!(r#"{{"name":"{escaped}","version":1}}"#));
        let parsed: serde_json::Value = serde_json::from_str(&line(unseen.as_bytes())).unwrap();
        assert_eq!(parsed["name"], unseen);
    }

    #[test]
    fn names_that_are_not_utf_8_come_with_their_bytes() {
        assert_eq!(line(b"a\xff"), r#"{"name":"a\\xff","version":1,"name_hex":"61ff"}"#);
    }
}
