//! Text of others, written out so that all of it can be seen and none of it does harm to a terminal.

use std::fmt;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, WhiteSpace};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Categories whose characters have no glyph, have none that is agreed on, or steer how others are shown: control
/// characters, format characters (soft hyphens, joiners, what turns text round), private and unassigned ones, and
/// separators of lines and paragraphs. Surrogates are not in Rust's text.
const UNSEEN: GeneralCategoryGroup = GeneralCategoryGroup::Other
    .union(GeneralCategoryGroup::LineSeparator)
    .union(GeneralCategoryGroup::ParagraphSeparator);

/// Characters with a glyph that is blank, though their properties are those of letters or symbols: the braille pattern
/// without dots, the null notehead, the filler of Khitan script, and the blanks of hieroglyphs.
const BLANKS: [char; 5] = ['\u{2800}', '\u{1d159}', '\u{16fe4}', '\u{13441}', '\u{13442}'];

/// Writes out text that somebody else has chosen, as a name, a reason or a payload, so that all of it is seen.
///
/// Escaped are bytes that are not UTF-8, the backslash, and every character that is invisible, breaks the line, turns
/// text round, or is not assigned, going by its Unicode properties; combining marks with nothing before them to stand
/// on; and a space at the beginning or the end. So what is written is one line, and different texts look different,
/// unless they differ in characters that look alike by design, as Latin and Cyrillic letters do, or a letter with an accent
/// and its composed form.
///
/// ```
/// use minbus::escape;
///
/// assert_eq!(escape("clock\u{200b}".as_bytes()).to_string(), r"clock\u{200b}");
/// assert_eq!(escape(b"caf\xe9\n").to_string(), r"caf\xe9\n");
/// ```
pub fn escape(text: &[u8]) -> Escaped<'_> {
    Escaped(text)
}

/// What [`escape`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it is text to be written out"]
pub struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whether the character before is shown, so that a combining mark has something to stand on.
        let mut shown = false;
        let mut left = self.0.len();
        let len = left;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                let at_edge = left == len || left == char.len_utf8();
                left -= char.len_utf8();
                shown = is_shown(char, shown, at_edge);
                match char {
                    _ if shown => write!(f, "{char}")?,
                    '\\' | '\0'..'\x7f' if char != ' ' => write!(f, "{}", char.escape_default())?,
                    _ => write!(f, "{}", char.escape_unicode())?,
                }
            }
            for byte in chunk.invalid() {
                shown = false;
                write!(f, "\\x{byte:02x}")?;
            }
            left -= chunk.invalid().len();
        }
        Ok(())
    }
}

/// Whether a character is written as it is, behind one that is shown or not, and at the beginning or end of the text or not.
fn is_shown(char: char, behind_shown: bool, at_edge: bool) -> bool {
    match char {
        ' ' => !at_edge,
        '\\' => false,
        '!'..='~' => true,
        _ => {
            let category = CodePointMapData::<GeneralCategory>::new().get(char);
            !UNSEEN.contains(category)
                && (behind_shown || !GeneralCategoryGroup::Mark.contains(category))
                && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(char)
                && !CodePointSetData::new::<WhiteSpace>().contains(char)
                && !BLANKS.contains(&char)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        escape(text.as_bytes()).to_string()
    }

    #[test]
    fn what_is_seen_is_left_as_it_is() {
        for text in
            ["", "clock", "a b", "café", "cafe\u{301}", "時計", "ساعة", "שעון", "นาฬิกา", "😀", "\"'<>&$%{}", "\u{fffd}"]
        {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_is_invisible_or_turns_text_round_is_escaped() {
        let unseen = [
            ("controls, of both blocks", "\0\x1b\x7f\u{85}\u{9b}"),
            ("format characters", "\u{ad}\u{61c}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}"),
            ("those that turn text round", "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}"),
            ("more format characters", "\u{2060}\u{feff}\u{fff9}\u{e0001}\u{e0041}"),
            (
                "separators, and spaces other than the usual one",
                "\u{2028}\u{2029}\u{a0}\u{1680}\u{2003}\u{202f}\u{3000}",
            ),
            ("letters that are to be ignored: fillers, a joiner", "\u{34f}\u{115f}\u{1160}\u{17b4}\u{3164}\u{ffa0}"),
            ("variation selectors", "\u{180b}\u{fe0f}\u{e0100}"),
            ("private and unassigned characters", "\u{e000}\u{100000}\u{378}"),
            ("some that never are assigned", "\u{fdd0}\u{ffff}\u{10ffff}"),
            ("blank glyphs", "\u{2800}\u{1d159}\u{16fe4}\u{13441}\u{13442}"),
        ];
        for (what, char) in unseen.iter().flat_map(|(what, chars)| chars.chars().map(move |char| (what, char))) {
            let escaped = format!("a\\u{{{:x}}}b", u32::from(char));
            assert_eq!(shown(&format!("a{char}b")), escaped, "{what}");
        }
        assert_eq!(shown("a\tb\rc\nd\\e"), r"a\tb\rc\nd\\e");
    }

    #[test]
    fn marks_need_something_to_stand_on() {
        assert_eq!(shown("\u{301}a\u{301}"), "\\u{301}a\u{301}");
        assert_eq!(shown("\u{200b}\u{301}"), r"\u{200b}\u{301}");
        assert_eq!(escape(b"\xff\xcc\x81").to_string(), r"\xff\u{301}");
    }

    #[test]
    fn spaces_are_seen_at_both_ends() {
        assert_eq!(shown(" a  b "), r"\u{20}a  b\u{20}");
        assert_eq!((shown(" "), shown("  ")), (r"\u{20}".to_owned(), r"\u{20}\u{20}".to_owned()));
        assert_eq!(escape(b" \xff ").to_string(), r"\u{20}\xff\u{20}");
        assert_eq!(escape(b"\xff \xff").to_string(), r"\xff \xff");
    }

    #[test]
    fn bytes_that_are_no_text_are_escaped_one_by_one() {
        assert_eq!(escape(b"\xe2\x80").to_string(), r"\xe2\x80");
        assert_eq!(escape(b"\\xff").to_string(), r"\\xff");
    }

    proptest::proptest! {
        /// Whatever it is, it is one line of visible text, and can be told from everything else.
        #[test]
        fn nothing_gets_through(text: Vec<u8>, chars: String) {
            for text in [&text[..], chars.as_bytes()] {
                let shown = escape(text).to_string();
                assert!(shown.chars().all(|char| is_shown(char, true, false) || char == '\\'), "{shown:?}");
                assert_eq!(unescape(&shown), text);
            }
        }
    }

    fn unescape(mut text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(char) = text.chars().next() {
            text = &text[char.len_utf8()..];
            if char != '\\' {
                bytes.extend(char.to_string().bytes());
                continue;
            }
            let (kind, rest) = text.split_at(1);
            text = rest;
            match kind {
                "x" => {
                    bytes.push(u8::from_str_radix(&text[..2], 16).unwrap());
                    text = &text[2..];
                }
                "u" => {
                    let (digits, rest) = text[1..].split_once('}').unwrap();
                    let char = char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap();
                    bytes.extend(char.to_string().bytes());
                    text = rest;
                }
                "n" => bytes.push(b'\n'),
                "r" => bytes.push(b'\r'),
                "t" => bytes.push(b'\t'),
                "\\" => bytes.push(b'\\'),
                other => panic!("an escape of no known kind: {other}"),
            }
        }
        bytes
    }
}
