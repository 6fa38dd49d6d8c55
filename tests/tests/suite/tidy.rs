//! Rules about the sources that no compiler checks: who may import whom, where a clock or a socket may be touched, how
//! long a file may be, and what it must begin with.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a file may have.
const LINES_MAX: usize = 600;

/// What a folder's sources must not mention.
struct Rule {
    /// A folder or file below the root; a file belongs to every rule that it lies under.
    under: &'static str,
    /// Folders and files below it that the rule does not concern.
    but: &'static [&'static str],
    /// Whether unit tests are spared.
    spares_tests: bool,
    words: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        under: "bpmux/src",
        but: &[],
        spares_tests: false,
        words: &["std::io", "std::time", "std::thread", "std::net", "std::os", "std::sync"],
        why: "the protocol core has no clock, descriptor or thread",
    },
    Rule {
        under: "bus/src",
        but: &[],
        spares_tests: true,
        words: &["Instant::now", "SystemTime", "std::io", "std::fs", "std::net", "std::os", "std::thread"],
        why: "the bus is sans-IO, and the time is an argument",
    },
    Rule {
        under: "relay/src/shard",
        but: &[],
        spares_tests: false,
        words: &["crate::daemon"],
        why: "imports run one way: the daemon starts the shards",
    },
    Rule {
        under: "relay/src",
        but: &["relay/src/daemon", "relay/src/config", "relay/src/main.rs"],
        spares_tests: true,
        words: &["Instant::now", "SystemTime", "libc", "std::net", "std::os::unix::net", "std::fs", "rustix"],
        why: "clock, sockets and system calls are the engine's",
    },
    Rule {
        under: "loadgen",
        but: &[],
        spares_tests: false,
        words: &["relay::shard", "relay::config"],
        why: "the load generator takes nothing of the relay but its main and how it writes to standard streams",
    },
    Rule {
        under: "loadgen/src/traffic",
        but: &[],
        spares_tests: true,
        words: &[
            "Instant::now",
            "std::io",
            "std::fs",
            "std::net",
            "std::thread",
            "libc",
            "rustix",
            "engine::ring",
            "crate::run",
        ],
        why: "what plugins say is sans-IO, and the time is an argument",
    },
    Rule {
        under: "",
        but: &["engine/src", "bench/src/forward/uring.rs", "tests/tests/suite/tidy.rs"],
        spares_tests: false,
        words: &["unsafe {", "unsafe fn", "unsafe impl"],
        why: "unsafe code lives in the engine, and in what it is measured against",
    },
    Rule {
        under: "",
        but: &["tests/tests/suite/tidy.rs"],
        spares_tests: false,
        words: &["TODO", "FIXME", "XXX", "dbg!(", "todo!(", "unimplemented!("],
        why: "what is not done is done, or not begun",
    },
];

/// What is wrong with one file, by line.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: begins without a word on its idea (//!)"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{path}: {lines} lines, and {LINES_MAX} are the most"));
    }
    for rule in RULES {
        let within = |folder: &str| Path::new(path).starts_with(folder);
        let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
        if !within(rule.under) || rule.but.iter().any(|folder| within(folder)) || (rule.spares_tests && is_test) {
            continue;
        }
        let spared = if rule.spares_tests { text.find("\nmod tests {") } else { None };
        for (number, line) in text[..spared.unwrap_or(text.len())].lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let named = rule
                .words
                .iter()
                .find(|word| if word.len() > 5 { code.contains(**word) } else { line.contains(**word) });
            if let Some(word) = named {
                faults.push(format!("{path}:{}: `{word}`: {}", number + 1, rule.why));
            }
        }
    }
    faults
}

/// All sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
    let mut files = Vec::new();
    sources(root, &mut files);
    assert!(files.len() > 80, "only {} sources were found", files.len());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let path = file.strip_prefix(root).expect("it was found below the root").to_string_lossy().into_owned();
            faults(&path, &fs::read_to_string(file).expect("sources are text"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn broken_rules_are_found() {
    let check = |path: &str, text: &str, expected: usize| {
        assert_eq!(faults(path, text).len(), expected, "{path}: {:?}", faults(path, text));
    };
    check("bus/src/leg.rs", "//! A leg.\nuse limits::X;\n", 0);
    check("bus/src/leg.rs", "//! A leg.\nlet now = Instant::now();\n", 1);
    check("relay/src/shard/tests/world.rs", "//! A world.\nlet now = Instant::now();\n", 0);
    check("relay/src/shard/conn.rs", "//! A connection.\nlet now = Instant::now();\n", 1);
    check("engine/src/ring.rs", "//! A ring.\nlet now = Instant::now();\nunsafe { x() }\n", 0);
    check("loadgen/src/run/step.rs", "//! A step.\nunsafe { x() }\n", 1);
    check("bpmux/src/link.rs", "//! A link.\nuse std::time::Instant;\n", 1);
    check("bpmux/src/link.rs", "//! A link.\n// Not std::time::Instant.\n", 0);
    check("cli/src/list.rs", "use minbus::Bus;\n", 1);
    check("client/src/bus.rs", "//! A bus.\n// TODO: more\n", 1);
    check("client/src/bus.rs", &format!("//! A bus.\n{}", "\n".repeat(LINES_MAX)), 1);
}
