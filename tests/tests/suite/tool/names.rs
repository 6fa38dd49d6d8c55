//! Names are any bytes. Whatever they are, a line is a plugin, and no two names look the same.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::running::{Tool, minbus};
use super::{Place, json, listed, wait_until};

/// Names, and what is printed for them, in the order of the names' bytes.
const ODD: [(&[u8], &str); 10] = [
    (b"\x01", r"\u{1}"),
    (b"\x1b[2J", r"\u{1b}[2J"),
    (b" ", r"\u{20}"),
    (b"back\\slash", r"back\\slash"),
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

    assert_eq!(listed(&place.address), ODD.map(|(_, printed)| printed));
    let plain = place.tool(["list"]).end();
    let names: Vec<_> = plain.text().split_terminator('\n').map(|line| line.strip_suffix("  0").unwrap()).collect();
    assert_eq!(
        names.iter().map(|name| name.trim_end_matches(' ')).collect::<Vec<_>>(),
        ODD.map(|(_, printed)| printed.trim_end_matches(' '))
    );
    assert!(names.iter().all(|name| name.chars().count() == 255), "the columns line up: {names:?}");

    let joined = |watch: &mut Tool| json(&watch.line())["name"].as_str().expect("a name").to_owned();
    let watched: BTreeSet<_> = ODD.iter().map(|_| joined(&mut watch)).collect();
    assert_eq!(watched, ODD.iter().map(|(_, printed)| (*printed).to_owned()).collect());
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
        place.wait_listed(printed);
        let ended = Tool::start(minbus(&place.address).arg("connect").arg(name)).end();
        ended.assert_code(0);
        assert_eq!(ended.text(), format!("{printed}."));
    }
}
