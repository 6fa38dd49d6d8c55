//! Single values, and their notations: sizes, CPU lists, octal modes. Each notation reads back what it prints.

use toml::de::DeValue;

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

impl Value {
    pub(super) fn of(value: &DeValue<'_>) -> Self {
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
    pub(super) fn as_argument(&self) -> String {
        match self {
            Self::Integer(integer) => integer.to_string(),
            Self::Text(text) => text.clone(),
            Self::Switch(on) => on.to_string(),
            Self::List(values) => values.iter().map(Self::as_argument).collect::<Vec<_>>().join(" "),
            Self::Other => String::new(),
        }
    }
}

/// Units of sizes, largest first.
const UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a size: "64 MiB", "64MiB", "512 B" or "512".
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
        .unwrap_or((text, 1));
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !digits {
        return None;
    }
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(factor)
}

/// Prints a size in the largest unit of which it is a whole multiple.
pub(super) fn size(bytes: u64) -> String {
    let fits = |&&(_, factor): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(factor);
    match UNITS.iter().find(fits) {
        Some((unit, factor)) => format!("{} {unit}", number(bytes / factor)),
        None => "0".into(),
    }
}

/// Prints a number with underscores between groups of three, as TOML and Rust read them.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

/// Reads octal rights such as "0660", "660" or "0o660".
pub(super) fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = if octal { u32::from_str_radix(digits, 8).ok()? } else { return None };
    (mode <= 0o777).then_some(mode)
}

/// Reads a CPU list such as "0-3,6"; the order is kept. A CPU may stand in it once, and none may be above `most`.
pub(super) fn parse_cpus(text: &str, most: usize) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (parse_cpu(first)?, parse_cpu(last)?);
        if first > last || last > most {
            return None;
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return None;
            }
            cpus.push(cpu);
        }
    }
    Some(cpus)
}

fn parse_cpu(text: &str) -> Option<usize> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Prints a CPU list, with runs as ranges.
#[must_use]
pub fn cpu_list(cpus: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for run in cpus.chunk_by(|a, b| a + 1 == *b) {
        match run {
            [] => {}
            [only] => parts.push(only.to_string()),
            [first, .., last] => parts.push(format!("{first}-{last}")),
        }
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512 B", Some(512)),
            ("64 KiB", Some(65_536)),
            ("64KiB", Some(65_536)),
            (" 1_024 MiB ", Some(1 << 30)),
            ("2 GiB", Some(2 << 30)),
            ("64 MB", None),
            ("64 kib", None),
            ("-1", None),
            ("1.5 MiB", None),
            ("MiB", None),
            ("", None),
            ("99999999999 TiB", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn sizes_are_printed_in_the_largest_whole_unit() {
        for (bytes, text) in [
            (0, "0"),
            (1_000, "1_000 B"),
            (1_024, "1 KiB"),
            (1_536, "1_536 B"),
            (64 << 20, "64 MiB"),
            (3 << 40, "3 TiB"),
        ] {
            assert_eq!(size(bytes), text);
            assert_eq!(parse_size(text), Some(bytes));
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1_000"), (16_000, "16_000"), (1_234_567, "1_234_567")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, mode) in [
            ("0660", Some(0o660)),
            ("600", Some(0o600)),
            ("0o777", Some(0o777)),
            ("0", Some(0)),
            ("1777", None),
            ("0680", None),
            ("rw-rw----", None),
            ("", None),
            ("99999999999999", None),
        ] {
            assert_eq!(parse_mode(text), mode, "{text:?}");
        }
    }

    #[test]
    fn cpu_lists_keep_their_order() {
        for (text, cpus) in [
            ("0", Some(vec![0])),
            ("0-3,6", Some(vec![0, 1, 2, 3, 6])),
            ("6,0-2", Some(vec![6, 0, 1, 2])),
            (" 1 , 3 - 4 ", Some(vec![1, 3, 4])),
            ("3-1", None),
            ("0,0", None),
            ("0-2,1", None),
            ("0-99999999999", None),
            ("8", None),
            ("", None),
            ("0,", None),
            ("a", None),
            ("+1", None),
        ] {
            assert_eq!(parse_cpus(text, 7), cpus, "{text:?}");
            if let Some(cpus) = cpus {
                assert_eq!(parse_cpus(&cpu_list(&cpus), 7), Some(cpus));
            }
        }
    }
}
