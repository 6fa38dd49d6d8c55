//! Flow-control limits of single plugins: whose halves have other caps, by the names of the writer and the reader.

use super::Caps;

/// The caps of all halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Those of halves for which there is no rule.
    pub general: Caps,
    /// The first one that fits counts.
    pub rules: Vec<Rule>,
}

/// The caps of the halves between plugins of certain names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What the name of the writer is like; any, when there is nothing.
    pub writer: Option<String>,
    /// What the name of the reader is like.
    pub reader: Option<String>,
    /// The caps.
    pub caps: Caps,
}

impl Rules {
    /// The same caps for all halves.
    #[must_use]
    pub const fn same(general: Caps) -> Self {
        Self { general, rules: Vec::new() }
    }

    /// The caps of a half from one plugin to another.
    #[must_use]
    pub fn caps(&self, writer: &[u8], reader: &[u8]) -> Caps {
        let fits = |pattern: &Option<String>, name| pattern.as_ref().is_none_or(|text| is_like(name, text.as_bytes()));
        let rule = self.rules.iter().find(|rule| fits(&rule.writer, writer) && fits(&rule.reader, reader));
        rule.map_or(self.general, |rule| rule.caps)
    }
}

/// Whether a name is like a pattern, in which `*` stands for any bytes.
fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The first place is as good as any: what follows has the most room then.
        let Some(at) = (0..=rest.len()).find(|at| rest[*at..].starts_with(part)) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, like, unlike) in [
            ("echo", &["echo"][..], &["", "ech", "echo1", "xecho"][..]),
            ("", &[""], &["a"]),
            ("*", &["", "a", "anything at all"], &[]),
            ("cam*", &["cam", "camera"], &["ca", "xcam"]),
            ("*.raw", &[".raw", "a.raw", "a.raw.raw"], &["raw", "a.raw2"]),
            ("a*b*c", &["abc", "a--b--c", "abbcc", "abcbc"], &["ab", "acb", "abcd", "ac"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("a**a", &["aa", "aba"], &["a"]),
        ] {
            like.iter().for_each(|name| assert!(is_like(name.as_bytes(), pattern.as_bytes()), "{pattern} {name}"));
            unlike.iter().for_each(|name| assert!(!is_like(name.as_bytes(), pattern.as_bytes()), "{pattern} {name}"));
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let caps = |bytes| Caps { min_bytes: bytes, initial_bytes: bytes, max_bytes: bytes };
        let rule = |writer: Option<&str>, reader: Option<&str>, bytes| Rule {
            writer: writer.map(str::to_owned),
            reader: reader.map(str::to_owned),
            caps: caps(bytes),
        };
        let rules = vec![
            rule(Some("camera*"), Some("recorder"), 1),
            rule(Some("camera*"), None, 2),
            rule(None, Some("recorder"), 3),
        ];
        let rules = Rules { general: caps(4), rules };
        for (writer, reader, bytes) in
            [("camera1", "recorder", 1), ("camera1", "screen", 2), ("clock", "recorder", 3), ("recorder", "camera1", 4)]
        {
            assert_eq!(rules.caps(writer.as_bytes(), reader.as_bytes()), caps(bytes), "{writer} {reader}");
        }
    }
}
