//! Numbers and words for people: three digits and a unit, and no more characters than there is room for.

use indicatif::HumanCount;

/// A time with three digits.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = scaled(ns, [" ns", " µs", " ms", " s"]);
    format!("{}{unit}", digits(value))
}

/// A value in the unit in which it is less than a thousand, or in the last.
fn scaled(value: f64, units: [&str; 4]) -> (f64, &str) {
    match value {
        _ if value < 1e3 => (value, units[0]),
        _ if value < 1e6 => (value / 1e3, units[1]),
        _ if value < 1e9 => (value / 1e6, units[2]),
        _ => (value / 1e9, units[3]),
    }
}

/// Three digits, as many as there are before the point if these are more.
pub(crate) fn digits(value: f64) -> String {
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$}")
}

/// A count with separators.
pub(crate) fn count(value: f64) -> String {
    if value > 0.0 && value < 100.0 { digits(value) } else { HumanCount(value.round() as u64).to_string() }
}

/// A whole number with separators.
pub(crate) fn whole(value: u64) -> String {
    HumanCount(value).to_string()
}

/// A count with three digits, for an axis.
pub(crate) fn short_count(value: f64) -> String {
    let (value, unit) = scaled(value, ["", " k", " M", " G"]);
    format!("{}{unit}", without_zeros(&digits(value)))
}

/// A number without needless digits.
pub(crate) fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// Bytes a second, in decimal units.
pub(crate) fn byte_rate(per_s: f64) -> String {
    let (value, unit) = if per_s < 1e9 { (per_s / 1e6, "MB/s") } else { (per_s / 1e9, "GB/s") };
    format!("{} {unit}", digits(value))
}

/// Memory, in binary units.
pub(crate) fn memory(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1024.0 {
        format!("{} MiB", digits(mebibytes))
    } else {
        format!("{} GiB", digits(mebibytes / 1024.0))
    }
}

/// Numbers in ascending order, neighbours as a range.
pub(crate) fn ranges(numbers: &[usize]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let runs = sorted.chunk_by(|one, next| one + 1 == *next);
    let text = |run: &[usize]| match run {
        [first, .., last] => format!("{first}-{last}"),
        run => run.iter().map(ToString::to_string).collect(),
    };
    runs.map(text).collect::<Vec<_>>().join(",")
}

/// Text of so many characters at the most; of a longer one both ends, which say more than the middle.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= chars_max {
        return text.to_owned();
    }
    let kept = chars_max.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (ns, text) in
            [(0.0, "0.00 ns"), (14.66, "14.7 ns"), (999.0, "999 ns"), (26_300.0, "26.3 µs"), (2.5e9, "2.50 s")]
        {
            assert_eq!(time(ns), text);
        }
        assert_eq!((count(5.256), count(1_234_567.4)), ("5.26".into(), "1,234,567".into()));
        assert_eq!(
            (short_count(250_000.0), short_count(1.5e6), short_count(0.0)),
            ("250 k".into(), "1.5 M".into(), "0".into())
        );
        assert_eq!((byte_rate(2.3769e9), byte_rate(5e5)), ("2.38 GB/s".into(), "0.50 MB/s".into()));
        assert_eq!((memory(3 << 20), memory(5 << 30)), ("3.00 MiB".into(), "5.00 GiB".into()));
    }

    #[test]
    fn neighbours_are_a_range() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[5, 0, 1, 2, 2, 7, 8]), "0-2,5,7-8");
    }

    #[test]
    fn long_text_keeps_its_ends() {
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(shortened("a long one", 5), "a …ne");
        assert_eq!(shortened("ünïcödé", 4), "ün…é");
        assert_eq!(shortened("", 0), "");
    }
}
