//! Whose halves have other caps: by the names of the writer and the reader.

use super::Caps;

/// The caps of all halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Those of halves for which there is no rule.
    pub general: CapsOf,
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
    pub caps: CapsOf,
}

/// Caps by where the writer is. How much one half needs follows from how long its credit is on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapsOf {
    /// Writers on unix sockets.
    pub unix: Caps,
    /// Writers on TCP.
    pub tcp: Caps,
}

impl Rules {
    /// The same caps for all halves.
    #[must_use]
    pub const fn same(caps: Caps) -> Self {
        Self { general: CapsOf { unix: caps, tcp: caps }, rules: Vec::new() }
    }

    /// The caps of a half from one plugin, on TCP or on a unix socket, to another.
    #[must_use]
    pub fn caps(&self, writer: &[u8], reader: &[u8], writer_tcp: bool) -> Caps {
        let fits = |pattern: &Option<String>, name| pattern.as_ref().is_none_or(|text| is_like(name, text.as_bytes()));
        let rule = self.rules.iter().find(|rule| fits(&rule.writer, writer) && fits(&rule.reader, reader));
        let caps = rule.map_or(&self.general, |rule| &rule.caps);
        if writer_tcp { caps.tcp } else { caps.unix }
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
        let both = |bytes| CapsOf { unix: caps(bytes), tcp: caps(10 * bytes) };
        let rule = |writer: Option<&str>, reader: Option<&str>, bytes| Rule {
            writer: writer.map(str::to_owned),
            reader: reader.map(str::to_owned),
            caps: both(bytes),
        };
        let rules = vec![
            rule(Some("camera*"), Some("recorder"), 1),
            rule(Some("camera*"), None, 2),
            rule(None, Some("recorder"), 3),
        ];
        let rules = Rules { general: both(4), rules };
        for (writer, reader, bytes) in
            [("camera1", "recorder", 1), ("camera1", "screen", 2), ("clock", "recorder", 3), ("recorder", "camera1", 4)]
        {
            let (writer, reader) = (writer.as_bytes(), reader.as_bytes());
            assert_eq!(rules.caps(writer, reader, false), caps(bytes));
            assert_eq!(rules.caps(writer, reader, true), caps(10 * bytes));
        }
    }
}
