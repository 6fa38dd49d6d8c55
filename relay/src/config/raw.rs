//! What was given, before anybody asks whether it makes sense: values by key, each with its place.
//!
//! Only the keys are checked here; a key that nobody knows is a mistake that must not pass in silence.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};
use super::form::RULE_KEYS;
use super::keys::{self, Key};
use super::value::Value;

/// Rules for the caps of single plugins: the one key whose values are tables.
const RULES: Key = keys::credit::rules.key;

/// How alike two keys must be (0 to 1, Jaro-Winkler) for one to be taken for a misspelling of the other.
const ALIKE_MIN: f64 = 0.8;

/// A value that was given for a key.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    /// The key and value as they were written: `limits.connections_max = 0` or `--shards 0`.
    pub(super) shown: String,
    pub(super) place: Place,
}

impl Given {
    /// The value, if `read` takes it. Else it is a problem, with what would be right.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Value) -> Result<T, String>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let refuse =
            |expected| problems.push(Problem { place: self.place.clone(), what: self.shown.clone(), expected });
        read(&self.value).map_err(refuse).ok()
    }
}

/// One table of `[[credit.plugin]]`.
#[derive(Clone, Debug)]
pub(super) struct RawRule {
    pub(super) place: Place,
    pub(super) given: BTreeMap<&'static str, Given>,
}

/// All that was given.
#[derive(Debug, Default)]
pub(super) struct Raw {
    given: BTreeMap<(&'static str, &'static str), Given>,
    /// The rules for the caps of single plugins.
    pub(super) rules: Vec<RawRule>,
    /// What was given for keys that there are not.
    pub(super) problems: Vec<Problem>,
}

impl Raw {
    /// Reads TOML. `file` is its name in messages.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let document = DeTable::parse(text).map_err(|source| ConfigError::Syntax { file: file.to_owned(), source })?;
        let mut reader = Reader { file, text, raw: Self::default() };
        reader.document(document.get_ref());
        Ok(reader.raw)
    }

    /// Sets what a flag says in place of what the file says.
    pub(super) fn set(&mut self, key: &Key, flag: &str, value: Value) {
        let shown = format!("{flag} {}", value.as_argument());
        self.given.insert((key.section, key.name), Given { value, shown, place: Place::Elsewhere });
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Given> {
        self.given.get(&(key.section, key.name))
    }
}

/// Walks through one document.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    raw: Raw,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        for (name, value) in document {
            let known = keys::SECTIONS.iter().find(|(section, _)| section == name.get_ref());
            match (known, value.get_ref()) {
                (Some((section, _)), DeValue::Table(table)) => self.section(section, table),
                (Some((section, _)), _) => {
                    let what = format!("{section} = {}", self.source(value));
                    let expected = format!("must be a section, [{section}]");
                    self.problem(value, what, expected);
                }
                (None, DeValue::Table(_)) => {
                    let what = format!("unknown section [{}]", name.get_ref());
                    self.problem(name, what, section_instead_of(name.get_ref()));
                }
                (None, _) => self.unknown_key("", name),
            }
        }
    }

    fn section(&mut self, section: &'static str, table: &DeTable<'_>) {
        for (name, value) in table {
            let known = keys::ALL.iter().find(|key| key.section == section && key.name == name.get_ref());
            let Some(key) = known else {
                self.unknown_key(section, name);
                continue;
            };
            if (section, key.name) == (RULES.section, RULES.name) && self.rules(value) {
                continue;
            }
            let given = self.given(&format!("{section}.{}", key.name), value);
            self.raw.given.insert((key.section, key.name), given);
        }
    }

    fn given(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Given {
        let shown = format!("{key} = {}", self.source(value));
        Given { value: Value::of(value.get_ref()), shown, place: self.place(value) }
    }

    /// Reads the tables of `[[credit.plugin]]`, and says whether it is nothing else.
    fn rules(&mut self, value: &Spanned<DeValue<'_>>) -> bool {
        let DeValue::Array(tables) = value.get_ref() else { return false };
        for table in tables {
            let DeValue::Table(keys) = table.get_ref() else { return false };
            let rule = self.rule(table, keys);
            self.raw.rules.push(rule);
        }
        !tables.is_empty()
    }

    fn rule(&mut self, table: &Spanned<DeValue<'_>>, keys: &DeTable<'_>) -> RawRule {
        let mut rule = RawRule { place: self.place(table), given: BTreeMap::new() };
        for (name, value) in keys {
            let shown = format!("{}.{}.{}", RULES.section, RULES.name, name.get_ref());
            if let Some(key) = RULE_KEYS.into_iter().find(|key| key == name.get_ref()) {
                rule.given.insert(key, self.given(&shown, value));
            } else {
                let expected = format!("[[credit.plugin]] has the keys {}", RULE_KEYS.join(", "));
                self.problem(name, format!("unknown key {shown}"), expected);
            }
        }
        rule
    }

    fn unknown_key(&mut self, section: &str, name: &Spanned<std::borrow::Cow<'_, str>>) {
        let dot = if section.is_empty() { "" } else { "." };
        let what = format!("unknown key {section}{dot}{}", name.get_ref());
        self.problem(name, what, key_instead_of(section, name.get_ref()));
    }

    fn problem<T>(&mut self, at: &Spanned<T>, what: String, expected: String) {
        self.raw.problems.push(Problem { place: self.place(at), what, expected });
    }

    fn place<T>(&self, at: &Spanned<T>) -> Place {
        let before = self.text.get(..at.span().start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Place::File { file: self.file.to_owned(), line, column }
    }

    /// A value as it stands in the file.
    fn source<T>(&self, at: &Spanned<T>) -> &str {
        self.text.get(at.span()).unwrap_or_default()
    }
}

/// What to say to an unknown key: the one that was meant, or all that there are.
fn key_instead_of(section: &str, name: &str) -> String {
    let alike = |key: &Key| {
        // The same section wins over an equally similar key elsewhere.
        strsim::jaro_winkler(name, key.name) + if key.section == section { 0.01 } else { 0.0 }
    };
    let nearest = keys::ALL.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest {
        Some(key) if alike(key) >= ALIKE_MIN => format!("did you mean {}.{}?", key.section, key.name),
        _ if section.is_empty() => format!("a file has the sections {}", all_sections()),
        _ => {
            let names: Vec<_> = keys::ALL.iter().filter(|key| key.section == section).map(|key| key.name).collect();
            format!("[{section}] has the keys {}", names.join(", "))
        }
    }
}

fn section_instead_of(name: &str) -> String {
    let alike = |section: &str| strsim::jaro_winkler(name, section);
    let nearest = keys::SECTIONS.iter().map(|(section, _)| *section).max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest {
        Some(section) if alike(section) >= ALIKE_MIN => format!("did you mean [{section}]?"),
        _ => format!("a file has the sections {}", all_sections()),
    }
}

fn all_sections() -> String {
    keys::SECTIONS.iter().map(|(section, _)| format!("[{section}]")).collect::<Vec<_>>().join(", ")
}
