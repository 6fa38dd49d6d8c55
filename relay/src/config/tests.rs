//! Configuration, from TOML and flags to what is checked, and what is said of each mistake.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

fn environment() -> Environment {
    Environment::of_test(vec![0, 1, 2, 3, 6])
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    with_flags(text, &Overrides::default())
}

fn with_flags(text: &str, flags: &Overrides) -> Result<Config, ConfigError> {
    Config::parse("minbusd.toml", text, flags, &environment())
}

fn at(path: &str) -> UnixAddress {
    UnixAddress::File(path.into())
}

fn defaults() -> Config {
    parse("").expect("the defaults are valid")
}

/// A configuration in which nothing has its default.
const DIFFERENT: &str = r#"
listen = { unix = ["/tmp/a \"b\"\\.sock", "relative.sock", "@a b"], unix_mode = "7", tcp = ["[::1]:0", "localhost:7400"] }
shards = { count = 7, cpus = "6,0-1", pin = false }
bus = {
    initiator = "anonymous", stats = "anyone", registration_timeout_ms = 1, heartbeat_interval_ms = 2_000,
    heartbeat_timeout_ms = 3_000_000, end_credit_timeout_ms = 4, shutdown_timeout_ms = 86_400_000,
}
limits = {
    connections_max = 1_000_000, connections_per_uid_max = 999_999, channels_per_plugin_max = 2, offers_per_plugin_max = 3,
    offer_timeout_ms = 5, openings_partial_max = 4, top_level_credit_bytes = 1_025, overhead_memory_bytes = "5 MiB",
    work_units_per_s = 1_001, work_burst_units = 1_002, flood_timeout_ms = 6,
}
credit = {
    memory_bytes = "1 TiB", cap_min_bytes = 1_024, cap_initial_bytes = "256 GiB", cap_max_bytes = "512 GiB",
    standing_unix_ms = 6, standing_tcp_ms = 7, standing_interval_ms = 8, idle_ms = 9,
    plugin = [
        { writer = "a \"b\"*", cap_min_bytes = 2_000, cap_initial_bytes = 2_000, cap_max_bytes = 2_001 },
        { writer = "", reader = "*", cap_min_bytes = "1 MiB", cap_initial_bytes = "2 MiB", cap_max_bytes = "3 MiB" },
    ],
}
socket = {
    unix_send_buffer_bytes = 1, unix_receive_buffer_bytes = 2, tcp_send_buffer_bytes = "3 KiB",
    tcp_receive_buffer_bytes = 4, tcp_nodelay = false, tcp_notsent_lowat_bytes = 5, tcp_keepalive_s = 6,
    tcp_busy_poll_us = 7, kernel_memory_bytes = "64 GiB",
}
engine = {
    ring_entries = 32_768, receive_buffers = 32_768, receive_buffer_bytes = "4 KiB", outbox_bytes = 5_000,
    splice = false, splice_min_bytes = 5_001, pipe_bytes = "128 KiB", pipes_max = 3, spin_us = 8,
}
"#;

#[test]
fn defaults_are_those_of_the_limits_and_the_environment() {
    let config = defaults();
    assert_eq!(config.listen.unix, [at("/run/user/1000/minbus.sock")]);
    assert_eq!(config.listen.unix_mode, 0o660);
    assert_eq!(config.listen.tcp, []);
    assert_eq!((config.shards.count, config.shards.pin), (5, true));
    assert_eq!(config.shards.cpus, [0, 1, 2, 3, 6]);
    assert_eq!(config.bus.initiator, Initiator::Named);
    assert_eq!(config.bus.registration_timeout, Duration::from_secs(5));
    assert_eq!(config.limits.connections_max as u64, limits::CONNECTIONS_MAX);
    assert_eq!(config.credit.cap_initial_bytes, 64 << 10);
    assert_eq!(config.credit.rules, []);
    assert_eq!(config.engine.outbox_bytes, 512 << 10);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn a_file_sets_what_it_names_and_nothing_else() {
    let config = parse(
        "[bus]\ninitiator = \"anonymous\"\nheartbeat_timeout_ms = 0x4_0000\n\
         [credit]\nmemory_bytes = \"1 GiB\"\n[engine]\nreceive_buffer_bytes = 131_072\n",
    )
    .expect("valid");
    let mut expected = defaults();
    expected.bus.initiator = Initiator::Anonymous;
    expected.bus.heartbeat_timeout = Duration::from_millis(0x40000);
    expected.credit.memory_bytes = 1 << 30;
    expected.engine.receive_buffer_bytes = 128 << 10;
    assert_eq!(config, expected);
}

#[test]
fn what_a_rule_does_not_say_follows() {
    let caps = |text: &str| {
        let config = parse(&format!("[[credit.plugin]]\nwriter = \"a\"\n{text}")).expect("valid");
        let [rule] = &config.credit.rules[..] else { panic!("{:?}", config.credit.rules) };
        [rule.caps.min_bytes, rule.caps.initial_bytes, rule.caps.max_bytes].map(|bytes| bytes >> 10)
    };
    assert_eq!(caps(""), [8, 64, 16 << 10]);
    assert_eq!(caps("cap_max_bytes = \"8 KiB\""), [8, 8, 8]);
    assert_eq!(caps("cap_min_bytes = \"128 KiB\""), [128, 128, 16 << 10]);
    assert_eq!(caps("cap_initial_bytes = \"4 KiB\""), [4, 4, 16 << 10]);
    assert_eq!(caps("cap_initial_bytes = \"20 MiB\""), [8, 20 << 10, 20 << 10]);
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let different = parse(DIFFERENT).expect("valid");
    let is_set = |line: &&str| line.contains(" = ") && !line.starts_with('#');
    let (usual, other) = (defaults().to_toml(), different.to_toml());
    let same: Vec<_> = usual.lines().filter(is_set).filter(|line| other.lines().any(|said| said == *line)).collect();
    assert_eq!(same, Vec::<&str>::new(), "nothing has its default");
    for config in [defaults(), different] {
        let text = config.to_toml();
        match parse(&text) {
            Ok(read) => assert_eq!(read, config, "{text}"),
            Err(error) => panic!("{error}\n{text}"),
        }
    }
}

#[test]
fn every_key_is_printed_with_a_comment() {
    let text = defaults().to_toml();
    let lines: Vec<_> = text.lines().collect();
    // Rules are tables, and by default there are none.
    let keys: Vec<_> = keys::ALL.iter().filter(|key| key.name != keys::credit::rules.key.name).collect();
    for key in &keys {
        let start = format!("{} = ", key.name);
        let at = lines.iter().position(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no {}", key.name));
        assert!(lines[at - 1].starts_with("# "), "{} has no comment", key.name);
    }
    let set = |line: &&&str| line.contains(" = ") && !line.starts_with('#');
    assert_eq!(lines.iter().filter(set).count(), keys.len());
}

/// Each of these lines is refused, in one line that says this.
#[track_caller]
fn assert_refused(lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        let error = parse(line).expect_err(line).to_string();
        assert!(error.contains(expected), "{line}\n  says {error}\n  not  {expected}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn each_bad_value_is_named_with_its_key_and_what_would_be_right() {
    assert_refused(&[
        ("listen.unix = \"/a\"", "listen.unix = \"/a\": must be a list of texts, each a path"),
        ("listen.unix = [1]", "listen.unix = [1]: must be a list of texts, each a path"),
        (
            "listen.unix = [\"\"]",
            "listen.unix = [\"\"]: must name files or, behind an @, abstract sockets, and \"\" does not",
        ),
        (
            "listen.unix = [\"/a/\"]",
            "listen.unix = [\"/a/\"]: must name files or, behind an @, abstract sockets, and \"/a/\" does not",
        ),
        ("listen.unix = [\"unix:/a\", \"/a\"]", "must name each listener once, and names /a twice"),
        ("listen.unix_mode = 660", "listen.unix_mode = 660: must be a text of octal digits"),
        ("listen.unix_mode = \"0888\"", "must be a text of octal digits, \"0\" to \"0777\", as in \"0660\""),
        ("listen.tcp = [\"localhost\"]", "must be HOST:PORT, as in 127.0.0.1:7400"),
        ("listen.tcp = [\"tcp://a:1\", \"a:1\"]", "must name each listener once, and names a:1 twice"),
        ("shards.count = 0", "shards.count = 0: must be a whole number, 1 to 256"),
        ("shards.count = \"2\"", "shards.count = \"2\": must be a whole number, 1 to 256"),
        ("shards.cpus = \"3-1\"", "shards.cpus = \"3-1\": must be a text that lists CPUs, each once, as in \"0-3,6\""),
        ("shards.cpus = \"0,4-6\"", "must be among the CPUs that the process may run on, 0-3,6, and 4-5 is not"),
        ("shards.pin = 1", "shards.pin = 1: must be true or false"),
        ("bus.stats = \"root\"", "bus.stats = \"root\": must be \"owner\", \"anyone\" or \"nobody\""),
        ("bus.initiator = \"both\"", "bus.initiator = \"both\": must be \"named\" or \"anonymous\""),
        ("bus.registration_timeout_ms = -1", "= -1: must be milliseconds, 1 to 86_400_000"),
        ("bus.heartbeat_interval_ms = \"5 s\"", "= \"5 s\": must be milliseconds, 1 to 86_400_000"),
        ("bus.heartbeat_timeout_ms = 15_000", "must be more than bus.heartbeat_interval_ms, which is 15_000"),
        ("bus.heartbeat_interval_ms = 60_000", "bus.heartbeat_timeout_ms = 45_000 (the default): must be more than"),
        ("limits.connections_max = 1.5", "limits.connections_max = 1.5: must be a whole number, 1 to 1_000_000"),
        ("limits.connections_max = 99999999999999999999", "must be a whole number, 1 to 1_000_000"),
        ("limits.top_level_credit_bytes = 1_023", "must be a size, 1 KiB to 1 GiB"),
        ("credit.memory_bytes = \"64 MB\"", "credit.memory_bytes = \"64 MB\": must be a size, 128 KiB to 1 TiB"),
        ("credit.cap_min_bytes = \"2 MiB\"", "must be at most credit.cap_initial_bytes, which is 64 KiB"),
        ("credit.cap_initial_bytes = \"17 MiB\"", "must be at most credit.cap_max_bytes, which is 16 MiB"),
        ("credit.cap_max_bytes = \"33 MiB\"", "must be at most half of credit.memory_bytes, which is 64 MiB"),
        ("credit.plugin = 1", "credit.plugin = 1: must be tables, each under [[credit.plugin]]"),
        ("[[credit.plugin]]\ncap_max_bytes = 2000", "must say whose caps these are, by writer or reader"),
        ("[[credit.plugin]]\nwriter = 1", "credit.plugin.writer = 1: must be a text of at most 255 bytes"),
        (
            "[[credit.plugin]]\nwriter = \"a\"\ncap_max_bytes = 2",
            "credit.plugin.cap_max_bytes = 2: must be a size, 1 KiB",
        ),
        (
            "[[credit.plugin]]\nreader = \"a\"\ncap_max_bytes = \"33 MiB\"",
            "must be at most half of credit.memory_bytes",
        ),
        (
            "[[credit.plugin]]\nreader = \"a\"\ncap_min_bytes = 5000\ncap_max_bytes = 4000",
            "credit.plugin with 5_000 B: must be at most cap_initial_bytes, which is 4_000 B",
        ),
        (
            "[[credit.plugin]]\nname = \"a\"\nwriter = \"a\"",
            "unknown key credit.plugin.name: [[credit.plugin]] has the keys writer",
        ),
        ("socket.unix_send_buffer_bytes = \"2 GiB\"", "must be a size, 0 to 1 GiB"),
        ("socket.tcp_nodelay = \"yes\"", "socket.tcp_nodelay = \"yes\": must be true or false"),
        ("engine.ring_entries = 1000", "engine.ring_entries = 1000: must be a power of two, 64 to 32_768"),
        ("bus = 1", "bus = 1: must be a section, [bus]"),
    ]);
}

#[test]
fn unknown_keys_are_named_with_the_one_that_was_meant() {
    assert_refused(&[
        ("limits.conections_max = 1", "unknown key limits.conections_max: did you mean limits.connections_max?"),
        ("bus.tcp_nodelay = true", "unknown key bus.tcp_nodelay: did you mean socket.tcp_nodelay?"),
        ("initiator = \"named\"", "unknown key initiator: did you mean bus.initiator?"),
        ("shards.colour = 1", "unknown key shards.colour: [shards] has the keys count, cpus, pin"),
        ("qqq = 1", "unknown key qqq: a file has the sections [listen], [shards], "),
        ("[limit]", "unknown section [limit]: did you mean [limits]?"),
        ("[qqq]", "unknown section [qqq]: a file has the sections [listen], [shards], "),
    ]);
}

#[test]
fn all_that_is_wrong_is_said_at_once_with_line_and_column() {
    let text = "[shards]\n  count = 0\n\n[bus]\ninitiator = 1\nheartbeat_timeout_ms = 1\n\n[bos]\n";
    let error = parse(text).expect_err("invalid");
    let ConfigError::Invalid(problems) = error else { panic!("{error}") };
    let places: BTreeSet<_> = problems
        .iter()
        .map(|problem| match &problem.place {
            Place::File { file, line, column } => format!("{file}:{line}:{column}"),
            Place::Elsewhere => "elsewhere".into(),
        })
        .collect();
    let expected = ["minbusd.toml:2:11", "minbusd.toml:5:13", "minbusd.toml:8:2"].map(String::from);
    assert_eq!(places, BTreeSet::from(expected));
}

#[test]
fn what_is_not_toml_is_shown_where_it_stands() {
    let error = parse("[bus]\ninitiator = named\n").expect_err("not TOML").to_string();
    for part in ["minbusd.toml: ", "line 2, column 13", "initiator = named"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    let error = parse("[bus]\n[bus]\n").expect_err("a section twice").to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let path = Path::new("/nonexistent/minbusd.toml");
    let error = Config::load(Some(path), &Overrides::default(), &environment()).expect_err("no file").to_string();
    assert!(error.contains("/nonexistent/minbusd.toml") && error.contains("No such file"), "{error}");
}

#[test]
fn flags_win_over_the_file_key_by_key() {
    let file = "[listen]\nunix = [\"/a\"]\nunix_mode = \"0600\"\ntcp = [\"localhost:1\"]\n\
                [shards]\ncount = 3\ncpus = \"0-2\"\n";
    let flags = Overrides { unix: vec!["/b".into(), "/c".into()], shards: Some(2), ..Overrides::default() };
    let config = with_flags(file, &flags).expect("valid");
    assert_eq!(config.listen.unix, [at("/b"), at("/c")]);
    assert_eq!(config.listen.unix_mode, 0o600);
    assert_eq!(config.listen.tcp, [TcpAddress { host: "localhost".into(), port: 1 }]);
    assert_eq!((config.shards.count, config.shards.cpus), (2, vec![0, 1, 2]));

    let flags = Overrides {
        unix_mode: Some("0666".into()),
        tcp: vec!["[::1]:0".into()],
        cpus: Some("6".into()),
        ..Overrides::default()
    };
    let config = with_flags(file, &flags).expect("valid");
    assert_eq!(config.listen.unix, [at("/a")]);
    assert_eq!(config.listen.unix_mode, 0o666);
    assert_eq!(config.listen.tcp, [TcpAddress { host: "::1".into(), port: 0 }]);
    assert_eq!((config.shards.count, config.shards.cpus), (3, vec![6]));
}

#[test]
fn bad_flags_are_named_as_flags() {
    let none = Overrides::default();
    let long = format!("/{}", "x".repeat(107));
    for (flags, expected) in [
        (Overrides { shards: Some(0), ..none.clone() }, "--shards 0: must be a whole number, 1 to 256".to_owned()),
        (Overrides { cpus: Some("9".into()), ..none.clone() }, "--cpus 9: must be among the CPUs".to_owned()),
        (Overrides { unix_mode: Some("rw".into()), ..none.clone() }, "--unix-mode rw: must be a text of".to_owned()),
        (Overrides { tcp: vec!["::1:80".into()], ..none.clone() }, "--tcp ::1:80: must be HOST:PORT".to_owned()),
        (
            Overrides { unix: vec![long.clone()], ..none.clone() },
            format!("at most 107 bytes, as a socket can have, and {long} has 108"),
        ),
    ] {
        let error = with_flags("", &flags).expect_err(&expected).to_string();
        assert!(error.contains(&expected), "{error}\nlacks {expected}");
    }
}

#[test]
fn a_good_flag_heals_a_bad_value_in_the_file() {
    let flags = Overrides { shards: Some(1), ..Overrides::default() };
    assert_eq!(with_flags("shards.count = 0", &flags).expect("valid").shards.count, 1);
}

#[test]
fn the_default_listener_depends_on_the_session() {
    let listen = |text: &str, environment: &Environment| {
        Config::parse("", text, &Overrides::default(), environment).map(|config| config.listen)
    };
    let root = Environment { runtime_directory: None, root: true, ..environment() };
    assert_eq!(listen("", &root).expect("valid").unix, [at("/run/minbus/minbus.sock")]);
    assert_eq!(listen("listen.unix = []", &root).expect("valid").unix, [at(ROOT_SOCKET)]);
    assert_eq!(listen("listen.tcp = [\"a:1\"]", &root).expect("valid").unix, Vec::<UnixAddress>::new());
    let nobody = Environment { root: false, ..root };
    let error = listen("", &nobody).expect_err("nowhere to listen").to_string();
    for part in ["no listener", "--unix PATH", "--tcp HOST:PORT", "listen.unix", "XDG_RUNTIME_DIR"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    assert!(listen("listen.tcp = [\"a:1\"]", &nobody).is_ok());
}

#[test]
fn a_long_runtime_directory_is_blamed_itself() {
    let directory = format!("/{}", "x".repeat(100));
    let environment = Environment { runtime_directory: Some(directory.clone().into()), ..environment() };
    let error = Config::parse("", "", &Overrides::default(), &environment).expect_err("too long").to_string();
    for part in [&format!("XDG_RUNTIME_DIR={directory}: "), "has 113 bytes", "107", "--unix PATH"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    let flags = Overrides { unix: vec!["/a".into()], ..Overrides::default() };
    assert!(Config::parse("", "", &flags, &environment).is_ok(), "it is of no matter where it is not used");
}

#[test]
fn what_all_sockets_may_hold_is_enough_for_each() {
    let error = parse("limits.connections_max = 100_000").expect_err("too many").to_string();
    for part in ["socket.kernel_memory_bytes = 2 GiB (the default)", "must be at least", "connections_max = 100_000"] {
        assert!(error.contains(part), "{error} lacks {part}");
    }
    assert!(parse("limits.connections_max = 100_000\nsocket.kernel_memory_bytes = \"5 GiB\"").is_ok());
    assert!(parse("limits.connections_max = 10\nsocket.kernel_memory_bytes = \"4 MiB\"").is_ok());
}

#[test]
fn the_example_is_the_printed_defaults() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tuning/minbusd.toml"));
    let config = Config::load(Some(path), &Overrides::default(), &environment()).expect("the example is valid");
    assert_eq!(config, defaults());
    let text = fs::read_to_string(path).expect("the example is there");
    let machine = Environment { runtime_directory: None, root: true, cpus: vec![0, 1, 2, 3] };
    let printed = Config::parse("", "", &Overrides::default(), &machine).expect("valid").to_toml();
    let commented = |line: &str| {
        let depends = ["unix = ", "count = ", "cpus = "].iter().any(|start| line.starts_with(start));
        if depends { format!("# {line}") } else { line.to_owned() }
    };
    // Behind the head, which says what page it is.
    let body =
        |text: &str| text.split_once("\n\n").expect("there is a head").1.lines().map(commented).collect::<Vec<_>>();
    let (example, printed) = (body(&text), body(&printed));
    for (index, (line, printed)) in example.iter().zip(&printed).enumerate() {
        assert_eq!(line, printed, "line {index} behind the head of the example");
    }
    assert_eq!(example.len(), printed.len());
}
