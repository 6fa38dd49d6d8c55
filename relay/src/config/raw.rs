//! What was given, before anybody asks whether it makes sense: values by key, each with its place.
//!
//! Only the keys are checked here; a key that nobody knows is a mistake that must not pass in silence.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};
use super::keys::{self, Key, RULES};

/// How alike two keys must be (0 to 1, Jaro-Winkler) for one to be taken for a misspelling of the other.
const ALIKE_MIN: f64 = 0.8;

/// A value of the kinds that keys have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    Switch(bool),
    List(Vec<Value>),
    /// Anything else: no key takes it.
    Other,
}

/// A value that was given for a key.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    /// The key and value as they were written: `limits.connections_max = 0` or `--shards 0`.
    pub(super) shown: String,
    pub(super) place: Place,
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

impl Value {
    fn of(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.clone().into_owned()),
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Self::Other, Self::Integer)
            }
            DeValue::Boolean(on) => Self::Switch(*on),
            DeValue::Array(values) => Self::List(values.iter().map(|value| Self::of(value.get_ref())).collect()),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Self::Other,
        }
    }

    /// As it would stand on a command line.
    fn as_argument(&self) -> String {
        match self {
            Self::Integer(integer) => integer.to_string(),
            Self::Text(text) => text.clone(),
            Self::Switch(on) => on.to_string(),
            Self::List(values) => values.iter().map(Self::as_argument).collect::<Vec<_>>().join(" "),
            Self::Other => String::new(),
        }
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
            if (section, name.get_ref().as_ref()) == (RULES.section, RULES.name) {
                self.rules(value);
                continue;
            }
            let known = keys::ALL.iter().find(|key| key.section == section && key.name == name.get_ref());
            let Some(key) = known else {
                self.unknown_key(section, name);
                continue;
            };
            let given = Given {
                value: Value::of(value.get_ref()),
                shown: format!("{section}.{} = {}", key.name, self.source(value)),
                place: self.place(value),
            };
            self.raw.given.insert((key.section, key.name), given);
        }
    }

    fn rules(&mut self, value: &Spanned<DeValue<'_>>) {
        let tables: &[Spanned<DeValue<'_>>] = if let DeValue::Array(tables) = value.get_ref() { tables } else { &[] };
        for table in tables {
            let DeValue::Table(keys) = table.get_ref() else { continue };
            let rule = self.rule(table, keys);
            self.raw.rules.push(rule);
        }
        if tables.is_empty() || tables.iter().any(|table| !matches!(table.get_ref(), DeValue::Table(_))) {
            let what = format!("{}.{} = {}", RULES.section, RULES.name, self.source(value));
            self.problem(value, what, "must be tables, each under [[credit.plugin]]".to_owned());
        }
    }

    fn rule(&mut self, table: &Spanned<DeValue<'_>>, keys: &DeTable<'_>) -> RawRule {
        let mut rule = RawRule { place: self.place(table), given: BTreeMap::new() };
        for (name, value) in keys {
            let Some(key) = keys::RULE_KEYS.into_iter().find(|key| key == name.get_ref()) else {
                let what = format!("unknown key {}.{}.{}", RULES.section, RULES.name, name.get_ref());
                self.problem(name, what, format!("[[credit.plugin]] has the keys {}", keys::RULE_KEYS.join(", ")));
                continue;
            };
            let given = Given {
                value: Value::of(value.get_ref()),
                shown: format!("{}.{}.{key} = {}", RULES.section, RULES.name, self.source(value)),
                place: self.place(value),
            };
            rule.given.insert(key, given);
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
    let nearest = keys::ALL.into_iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
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
    keys::SECTIONS.map(|(section, _)| format!("[{section}]")).join(", ")
}
