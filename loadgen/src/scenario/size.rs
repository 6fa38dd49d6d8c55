//! Sizes as people write them: `64`, `64 KiB`, `16..1024` for anything between, `@FILE` for a histogram.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::NumberOrText;
use crate::error::UsageError;
use crate::traffic::content::STAMP;
use crate::traffic::sizes::{SIZE_MAX, Sizes};

/// A distribution of sizes, not checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub(crate) enum SizeSpec {
    Fixed(usize),
    /// From the least to the most.
    Uniform(usize, usize),
    /// A file with a size and a weight in each line.
    File(PathBuf),
}

impl TryFrom<NumberOrText> for SizeSpec {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        value.parse()
    }
}

impl FromStr for SizeSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix('@') {
            return Ok(Self::File(path.into()));
        }
        match text.split_once("..") {
            None => Ok(Self::Fixed(bytes_in(text)?)),
            Some((min, max)) => match (bytes_in(min)?, bytes_in(max)?) {
                (min, max) if min <= max => Ok(Self::Uniform(min, max)),
                _ => Err("the smallest size stands first".into()),
            },
        }
    }
}

impl fmt::Display for SizeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => f.write_str(&bytes(*size)),
            Self::Uniform(min, max) => write!(f, "{} .. {}", bytes(*min), bytes(*max)),
            Self::File(path) => write!(f, "@{}", path.display()),
        }
    }
}

impl SizeSpec {
    /// The sizes that it stands for.
    pub(crate) fn resolve(&self) -> Result<Sizes, UsageError> {
        match self {
            Self::Fixed(size) => Ok(Sizes::Fixed(*size)),
            Self::Uniform(min, max) => Ok(Sizes::Uniform(*min, *max)),
            Self::File(path) => {
                let text =
                    fs::read_to_string(path).map_err(|source| UsageError::Unreadable { path: path.clone(), source })?;
                histogram(path, &text)
            }
        }
    }
}

/// Reads lines of a size and its weight; the rest of a line behind `#` is for people.
fn histogram(path: &Path, text: &str) -> Result<Sizes, UsageError> {
    let mut weights = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let wrong = || UsageError::Histogram { path: path.into(), line: number };
        let (size, weight) = line.rsplit_once(char::is_whitespace).ok_or_else(wrong)?;
        let size = bytes_in(size).map_err(|_| wrong())?;
        let weight: f64 = weight.parse().map_err(|_| wrong())?;
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(wrong());
        }
        weights.push((size, weight));
    }
    if weights.is_empty() {
        return Err(UsageError::Histogram { path: path.into(), line: 1 });
    }
    Ok(Sizes::weighted(&weights))
}

/// A number of bytes, with a unit or without, within the bounds of messages.
fn bytes_in(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let factor = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        unit => return Err(format!("{unit:?} is no unit: B, KiB, MiB")),
    };
    let number: usize = text[..digits].parse().map_err(|_| format!("{text:?} is not a size"))?;
    match number.checked_mul(factor) {
        Some(size @ STAMP..=SIZE_MAX) => Ok(size),
        _ => Err(format!("a message has {STAMP} bytes to {}", bytes(SIZE_MAX))),
    }
}

/// A size in its largest whole unit.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        0 => "0 B".into(),
        _ if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ if count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        _ => format!("{count} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_survive() {
        for (text, spec, shown) in [
            ("64", SizeSpec::Fixed(64), "64 B"),
            ("64 KiB", SizeSpec::Fixed(65_536), "64 KiB"),
            ("16..1MiB", SizeSpec::Uniform(16, 1 << 20), "16 B .. 1 MiB"),
            ("@sizes.txt", SizeSpec::File("sizes.txt".into()), "@sizes.txt"),
        ] {
            assert_eq!(text.parse(), Ok(spec.clone()));
            assert_eq!(spec.to_string(), shown);
        }
        for text in ["", "15", "65 MiB", "64 kB", "100..50", "..", "-5"] {
            assert!(text.parse::<SizeSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_histogram_is_read_and_its_mistakes_are_found() {
        let path = Path::new("h");
        let sizes = histogram(path, "# sizes\n64 3\n\n1 KiB 1 # rare\n").expect("valid");
        assert_eq!(sizes, Sizes::weighted(&[(64, 3.0), (1024, 1.0)]));
        for (text, line) in [("64\n", 1), ("64 1\n15 1\n", 2), ("64 0\n", 1), ("64 x\n", 1), ("", 1)] {
            match histogram(path, text) {
                Err(UsageError::Histogram { line: found, .. }) => assert_eq!(found, line, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }
}
