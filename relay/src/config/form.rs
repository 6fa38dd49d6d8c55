//! The forms that values of keys have: how each is read, checked and printed, and what it is by default.

use std::fmt::Display;
use std::marker::PhantomData;
use std::time::Duration;

use rustix::thread::CpuSet;

use super::environment::Environment;
use super::value::{self, Value, cpu_list, parse_cpus, parse_mode, parse_size, size};
use bus::cap::{Caps, Rule};

/// The form of values that become `T`: how they are read, checked and printed, and their default.
pub(super) trait Form<T> {
    /// Reads a value that was given, or says what it must be.
    fn read(&self, given: &Value, environment: &Environment) -> Result<T, String>;

    /// The value when none was given.
    fn default(&self, environment: &Environment) -> T;

    /// The lines of TOML that give the key `name` this value.
    fn print(&self, name: &str, value: &T) -> String;

    /// A sentence with the range and the default, where they do not depend on the machine.
    fn note(&self) -> String {
        String::new()
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Things,
    /// Things of which there must be a power of two.
    PowersOfTwo,
    /// May also be given and is printed as text with a unit: "64 MiB".
    Bytes,
    Milliseconds,
    Microseconds,
    Seconds,
}

/// A type that numbers become.
pub(super) trait Count: Copy {
    const MOST: u64;
    fn of(count: u64, unit: Unit) -> Self;
    fn count(self, unit: Unit) -> u64;
}

macro_rules! counts {
    ($($type:ty),+) => {$(
        impl Count for $type {
            const MOST: u64 = Self::MAX as u64;

            fn of(count: u64, _: Unit) -> Self {
                count as Self
            }

            fn count(self, _: Unit) -> u64 {
                self as u64
            }
        }
    )+};
}

counts!(u16, u32, u64, usize);

impl Count for Duration {
    const MOST: u64 = u64::MAX;

    fn of(count: u64, unit: Unit) -> Self {
        match unit {
            Unit::Microseconds => Self::from_micros(count),
            Unit::Milliseconds => Self::from_millis(count),
            _ => Self::from_secs(count),
        }
    }

    fn count(self, unit: Unit) -> u64 {
        match unit {
            Unit::Microseconds => self.as_micros() as u64,
            Unit::Milliseconds => self.as_millis() as u64,
            _ => self.as_secs(),
        }
    }
}

/// The default of a number that follows from other keys. It is outside of every range.
pub(super) const DERIVED: u64 = u64::MAX;

/// Whole numbers of a range.
pub(super) struct Number<T> {
    unit: Unit,
    default: u64,
    least: u64,
    most: u64,
    becomes: PhantomData<T>,
}

pub(super) const fn number<T: Count>(unit: Unit, default: u64, least: u64, most: u64) -> Number<T> {
    assert!(default == DERIVED || least <= default && default <= most);
    assert!(most <= T::MOST, "the range fits in the type");
    assert!(!matches!(unit, Unit::PowersOfTwo) || default.is_power_of_two());
    Number { unit, default, least, most, becomes: PhantomData }
}

pub(super) const fn timeout(default_ms: u64) -> Number<Duration> {
    number(Unit::Milliseconds, default_ms, 1, limits::TIMEOUT_MS_MAX)
}

pub(super) const fn cap(default_bytes: u64) -> Number<u64> {
    number(Unit::Bytes, default_bytes, limits::CANCEL_CREDIT_BYTES_MAX, 1 << 39)
}

pub(super) const fn socket_buffer<T: Count>(default_bytes: u64) -> Number<T> {
    number(Unit::Bytes, default_bytes, 0, limits::SOCKET_BUFFER_BYTES_MAX)
}

impl<T> Number<T> {
    /// What it may be, in words.
    fn range(&self) -> String {
        let kind = match self.unit {
            Unit::Things => "a whole number",
            Unit::PowersOfTwo => "a power of two",
            Unit::Bytes => "a size",
            Unit::Milliseconds => "milliseconds",
            Unit::Microseconds => "microseconds",
            Unit::Seconds => "seconds",
        };
        format!("{kind}, {} to {}", self.shown(self.least), self.shown(self.most))
    }

    /// A number in the notation of its unit.
    fn shown(&self, value: u64) -> String {
        if self.unit == Unit::Bytes { size(value) } else { value::number(value) }
    }
}

impl<T: Count> Form<T> for Number<T> {
    fn read(&self, given: &Value, _: &Environment) -> Result<T, String> {
        let read = match given {
            Value::Integer(integer) => u64::try_from(*integer).ok(),
            Value::Text(text) if self.unit == Unit::Bytes => parse_size(text),
            _ => None,
        };
        let fits = |value: &u64| {
            (self.least..=self.most).contains(value) && (self.unit != Unit::PowersOfTwo || value.is_power_of_two())
        };
        let number = read.filter(fits).ok_or_else(|| format!("must be {}", self.range()))?;
        Ok(T::of(number, self.unit))
    }

    fn default(&self, _: &Environment) -> T {
        T::of(self.default, self.unit)
    }

    fn print(&self, name: &str, value: &T) -> String {
        let shown = self.shown(value.count(self.unit));
        format!("{name} = {}", if shown.contains(' ') { quoted(&shown) } else { shown })
    }

    fn note(&self) -> String {
        let range = self.range();
        let (first, rest) = range.split_at(1);
        let default = match self.default {
            DERIVED => String::new(),
            default => format!(" (default {})", self.shown(default)),
        };
        format!("{}{rest}{default}.", first.to_uppercase())
    }
}

/// True or false, and what it is by default.
pub(super) struct Switch(pub(super) bool);

impl Form<bool> for Switch {
    fn read(&self, given: &Value, _: &Environment) -> Result<bool, String> {
        if let Value::Switch(on) = given { Ok(*on) } else { Err("must be true or false".to_owned()) }
    }

    fn default(&self, _: &Environment) -> bool {
        self.0
    }

    fn print(&self, name: &str, on: &bool) -> String {
        format!("{name} = {on}")
    }

    fn note(&self) -> String {
        format!("Default: {}.", self.0)
    }
}

/// One of several words, the first by default, each with what it becomes.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(T, &'static str)]);

impl<T: Copy + PartialEq> Form<T> for Choice<T> {
    fn read(&self, given: &Value, _: &Environment) -> Result<T, String> {
        let chosen = self.0.iter().find(|(_, word)| matches!(given, Value::Text(text) if text == word));
        chosen.map(|(value, _)| *value).ok_or_else(|| {
            let words: Vec<_> = self.0.iter().map(|(_, word)| quoted(word)).collect();
            let (last, others) = words.split_last().expect("there is a choice");
            format!("must be {} or {last}", others.join(", "))
        })
    }

    fn default(&self, _: &Environment) -> T {
        self.0[0].0
    }

    fn print(&self, name: &str, value: &T) -> String {
        let word = self.0.iter().find(|(choice, _)| choice == value).map_or("", |(_, word)| word);
        format!("{name} = {}", quoted(word))
    }

    fn note(&self) -> String {
        format!("Default: {}.", quoted(self.0[0].1))
    }
}

/// Rights of a file, and what they are by default.
pub(super) struct Mode(pub(super) u32);

impl Form<u32> for Mode {
    fn read(&self, given: &Value, _: &Environment) -> Result<u32, String> {
        let read = if let Value::Text(text) = given { parse_mode(text) } else { None };
        read.ok_or_else(|| "must be a text of octal digits, \"0\" to \"0777\", as in \"0660\"".into())
    }

    fn default(&self, _: &Environment) -> u32 {
        self.0
    }

    fn print(&self, name: &str, mode: &u32) -> String {
        format!("{name} = \"{mode:04o}\"")
    }

    fn note(&self) -> String {
        format!("Default: \"{:04o}\".", self.0)
    }
}

/// A list of addresses, empty by default: what each must be, and what reads it.
pub(super) struct Addresses<T>(pub(super) &'static str, pub(super) fn(&str) -> Result<T, String>);

impl<T: Display> Form<Vec<T>> for Addresses<T> {
    fn read(&self, given: &Value, _: &Environment) -> Result<Vec<T>, String> {
        let must = || format!("must be a list of texts, each {}", self.0);
        let Value::List(values) = given else { return Err(must()) };
        values.iter().map(|value| if let Value::Text(text) = value { self.1(text) } else { Err(must()) }).collect()
    }

    fn default(&self, _: &Environment) -> Vec<T> {
        Vec::new()
    }

    fn print(&self, name: &str, addresses: &Vec<T>) -> String {
        let entries: Vec<_> = addresses.iter().map(|address| quoted(&address.to_string())).collect();
        format!("{name} = [{}]", entries.join(", "))
    }
}

/// CPUs among those that the process may run on; all of them by default.
pub(super) struct Cpus;

impl Form<Vec<usize>> for Cpus {
    fn read(&self, given: &Value, Environment { cpus: allowed, .. }: &Environment) -> Result<Vec<usize>, String> {
        let read = if let Value::Text(text) = given { parse_cpus(text, CpuSet::MAX_CPU - 1) } else { None };
        let all = cpu_list(allowed);
        let cpus = read.ok_or_else(|| format!("must be a text that lists CPUs, each once, as in \"{all}\""))?;
        let refused: Vec<_> = cpus.iter().copied().filter(|cpu| !allowed.contains(cpu)).collect();
        if refused.is_empty() {
            return Ok(cpus);
        }
        Err(format!("must be among the CPUs that the process may run on, {all}, and {} is not", cpu_list(&refused)))
    }

    fn default(&self, environment: &Environment) -> Vec<usize> {
        environment.cpus.clone()
    }

    fn print(&self, name: &str, cpus: &Vec<usize>) -> String {
        format!("{name} = {}", quoted(&cpu_list(cpus)))
    }
}

/// Rules for the caps of single plugins: tables rather than a value, so that they are read elsewhere.
pub(super) struct Rules;

/// The keys of such a rule: what it is for, then the caps.
pub(super) const RULE_KEYS: [&str; 5] = ["writer", "reader", "cap_min_bytes", "cap_initial_bytes", "cap_max_bytes"];

impl Form<Vec<Rule>> for Rules {
    fn read(&self, _: &Value, _: &Environment) -> Result<Vec<Rule>, String> {
        Err("must be tables, each under [[credit.plugin]]".to_owned())
    }

    fn default(&self, _: &Environment) -> Vec<Rule> {
        Vec::new()
    }

    fn print(&self, name: &str, rules: &Vec<Rule>) -> String {
        let mut lines = String::new();
        for Rule { writer, reader, caps } in rules {
            let Caps { min_bytes, initial_bytes, max_bytes } = caps;
            let patterns = [writer, reader].map(|pattern| pattern.as_deref().map(quoted));
            let caps = [min_bytes, initial_bytes, max_bytes].map(|bytes| Some(bytes.to_string()));
            lines += &format!("[[credit.{name}]]\n");
            for (key, value) in RULE_KEYS.iter().zip(patterns.into_iter().chain(caps)) {
                value.iter().for_each(|value| lines += &format!("{key} = {value}\n"));
            }
        }
        lines
    }
}

/// A TOML string, escaped as it must be.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
