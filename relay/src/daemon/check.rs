//! `--check`: says what the daemon would do, and whether it could, without doing any of it.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::kernel::tcp_memory;
use super::listening::{Host, hosts};
use crate::config::{Config, ROOT_DIRECTORY, UnixAddress, cpu_list};
use crate::shard::Ceiling;
use engine::listener::{ListenError, Occupant, inspect_unix};

/// What would be done, as lines of text, and what makes it impossible.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) plan: String,
    pub(super) errors: Vec<ListenError>,
}

pub(super) fn check(config: &Config) -> Report {
    let mut report = Report::default();
    let shards = &config.shards;
    let pinned = if shards.pin { "pinned to" } else { "unpinned, for" };
    report.line(format_args!("shards: {}, {pinned} CPUs {}", shards.count, cpu_list(&shards.cpus)));
    report.line(format_args!("connections: {} at most", config.limits.connections_max));
    report.line(format_args!("memory ceiling: {}", Ceiling::of(config)));
    tcp_memory(config).iter().for_each(|line| report.line(format_args!("{line}")));
    for address in &config.listen.unix {
        match address {
            UnixAddress::File(path) => report.unix(path, config.listen.unix_mode),
            UnixAddress::Abstract(_) => report.line(format_args!("listen: unix:{address}")),
        }
    }
    for host in hosts(&config.listen) {
        match host {
            Ok(host) => report.tcp(&host),
            Err(error) => report.errors.push(error),
        }
    }
    for warning in config.warnings() {
        report.line(format_args!("warning: {warning}"));
    }
    report
}

impl Report {
    fn unix(&mut self, path: &Path, mode: u32) {
        let missing = |directory: &Path| matches!(fs::exists(directory), Ok(false));
        if path.parent() == Some(Path::new(ROOT_DIRECTORY)) && missing(Path::new(ROOT_DIRECTORY)) {
            self.line(format_args!(
                "listen: unix:{}, mode {mode:04o}, after creating {ROOT_DIRECTORY}",
                path.display()
            ));
            return;
        }
        let note = match inspect_unix(path) {
            Ok(Occupant::Nobody) => "",
            Ok(Occupant::Dead) => ", in place of the socket of a dead daemon",
            Ok(Occupant::Living) => ", once the daemon that serves it now has stopped",
            Err(error) => return self.errors.push(error),
        };
        self.line(format_args!("listen: unix:{}, mode {mode:04o}{note}", path.display()));
    }

    fn tcp(&mut self, host: &Host<'_>) {
        let entry = host.entry;
        let addresses: Vec<_> = host.usable.iter().map(ToString::to_string).collect();
        let addresses = if addresses.is_empty() { "named before".to_owned() } else { addresses.join(" and ") };
        self.line(format_args!("listen: tcp:{entry}, as {addresses}"));
        for address in &host.missing {
            self.line(format_args!("warning: not {address} of tcp:{entry}: this machine has no such addresses"));
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.plan, "{line}").expect("a String takes all that is written to it");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::config::{Environment, Overrides};

    #[test]
    fn the_plan_tells_listeners_apart_and_changes_nothing() {
        let directory = engine::testing::directory();
        let at = |name: &str| directory.path().join(name).display().to_string();
        drop(UnixListener::bind(at("dead")).expect("bound"));
        let _living = UnixListener::bind(at("living")).expect("bound");
        fs::write(at("file"), "").expect("written");
        let flags = Overrides {
            unix: [["new", "dead", "living", "file", "no/directory"].map(at).into(), vec!["@name".into()]].concat(),
            tcp: vec!["127.0.0.1:7400".into(), "no..such.host:1".into()],
            shards: Some(2),
            ..Overrides::default()
        };
        let config = Config::parse("", "", &flags, &Environment::of_test(vec![0])).expect("valid");
        let report = check(&config);

        for line in [
            "shards: 2, pinned to CPUs 0",
            "connections: 16000 at most",
            &format!("memory ceiling: {}", Ceiling::of(&config)),
            &format!("listen: unix:{}, mode 0660", at("new")),
            &format!("listen: unix:{}, mode 0660, in place of the socket of a dead daemon", at("dead")),
            &format!("listen: unix:{}, mode 0660, once the daemon that serves it now has stopped", at("living")),
            "listen: unix:@name",
            "warning: unix:@name is an abstract socket: it has no rights, and every user of this network namespace may \
             connect",
            "listen: tcp:127.0.0.1:7400, as 127.0.0.1:7400",
            "warning: 2 shards share 1 CPUs (0): more shards than CPUs only take turns",
        ] {
            assert!(report.plan.lines().any(|said| said == line), "{}lacks {line}", report.plan);
        }
        let errors: Vec<_> = report.errors.iter().map(ToString::to_string).collect();
        let [file, missing, host] = errors.as_slice() else { panic!("{errors:?}") };
        assert!(file.contains("not a socket"), "{file}");
        assert!(missing.contains("there is no directory"), "{missing}");
        assert!(host.contains("no..such.host"), "{host}");
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).expect("readable").map(|e| e.expect("readable").file_name()).collect();
        left.sort();
        assert_eq!(left, ["dead", "file", "living"]);
    }
}
