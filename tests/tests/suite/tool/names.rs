//! Names are any bytes. Whatever they are, a line is a plugin, and no two names look the same.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::running::{Tool, minbus};
use super::{Place, json, listed, wait_until};

/// Names, and what is printed for them, in the order of the names' bytes.
const ODD: [(&[u8], &str); 17] = [
    (b"\x01", r"\u{1}"),
    (b"\x1b[2J", r"\u{1b}[2J"),
    (b" ", r"\u{20}"),
    (b"back\\slash", r"back\\slash"),
    ("clock".as_bytes(), "clock"),
    ("clock\u{ad}".as_bytes(), r"clock\u{ad}"),
    ("clock\u{200b}".as_bytes(), r"clock\u{200b}"),
    ("clock\u{2028}  9".as_bytes(), r"clock\u{2028}  9"),
    ("clock\u{202e}kcolc".as_bytes(), r"clock\u{202e}kcolc"),
    ("clock\u{2066}".as_bytes(), r"clock\u{2066}"),
    ("clock\u{feff}".as_bytes(), r"clock\u{feff}"),
    (b"line\nbreak  9", r"line\nbreak  9"),
    (b"return\rtab\t", r"return\rtab\t"),
    (b"two words", "two words"),
    (b"uhr-\xc3\xbc", "uhr-\u{fc}"),
    (b"uhr-\xc3\xbc\xff\xfe", r"uhr-ü\xff\xfe"),
    (&[b'x'; 255], X255),
];
const X255: &str = match str::from_utf8(&[b'x'; 255]) {
    Ok(name) => name,
    Err(_) => panic!("it is ASCII"),
};

#[test]
fn odd_names_are_escaped() {
    let place = Place::new();
    let mut watch = place.tool(["watch", "--json"]);
    let provide = |name: &[u8]| {
        Tool::start(minbus(&place.address).arg("provide").arg(OsStr::from_bytes(name)).args(["--", "cat"]))
    };
    let providers: Vec<_> = ODD.iter().map(|(name, _)| provide(name)).collect();
    wait_until("all are on the bus", || listed(&place.address).len() == ODD.len());

    // For programs they are exact, as far as JSON can say it, and yet nothing in them is invisible.
    let exact = |name: &[u8], printed: &str| String::from_utf8(name.to_owned()).unwrap_or(printed.to_owned());
    let expected = ODD.map(|(name, printed)| exact(name, printed));
    assert_eq!(listed(&place.address), expected);
    let ended = place.run(&["list", "--json"]);
    assert!(ended.stdout.chars().all(|char| matches!(char, '\n' | ' '..='~' | 'ü')), "{}", ended.stdout);
    let bytes: Vec<_> =
        ended.stdout.lines().filter_map(|line| json(line)["name_hex"].as_str().map(str::to_owned)).collect();
    assert_eq!(bytes, ["7568722dc3bcfffe"]);

    let plain = place.tool(["list"]).end();
    let names: Vec<_> = plain.stdout.split_terminator('\n').map(|line| line.strip_suffix("  0").unwrap()).collect();
    assert_eq!(
        names.iter().map(|name| name.trim_end_matches(' ')).collect::<Vec<_>>(),
        ODD.map(|(_, printed)| printed)
    );
    assert!(names.iter().all(|name| name.chars().count() == 255), "the columns line up: {names:?}");

    let joined = |watch: &mut Tool| json(&watch.line())["name"].as_str().expect("a name").to_owned();
    let watched: BTreeSet<_> = ODD.iter().map(|_| joined(&mut watch)).collect();
    assert_eq!(watched, BTreeSet::from(expected));
    drop(providers);
    wait_until("all have left", || listed(&place.address).is_empty());
}

#[test]
fn odd_names_can_be_connected_to() {
    let place = Place::new();
    for (name, printed) in ODD {
        let name = OsStr::from_bytes(name);
        let script = "printf '%s.' \"$MINBUS_NAME\"";
        let _provide = Tool::start(minbus(&place.address).arg("provide").arg(name).args(["--", "sh", "-c", script]));
        let shown = |line: &str| line.trim_end_matches(' ') == format!("{printed}  0");
        wait_until("it is listed", || place.run(&["list"]).stdout.split_terminator('\n').any(shown));
        let ended = Tool::start(minbus(&place.address).arg("connect").arg(name)).end_well();
        assert_eq!(ended.stdout, format!("{printed}."));
    }
}
