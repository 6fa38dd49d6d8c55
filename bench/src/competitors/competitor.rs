//! Who takes part: Min-Bus, what a user would pick in its place, and the baselines.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::program::find;
use super::servers::{self, Site};
use super::wires;
use crate::forward::Kind;
use crate::server::{Program, Transport};
use crate::traffic::wire::Wire;

/// The name of the one that the others are compared with.
pub(super) const OURS: &str = "minbus";

/// Someone who takes part.
pub(super) struct Competitor {
    pub(super) name: &'static str,
    pub(super) is: Is,
    pub(super) transports: &'static [Transport],
    /// Whether somebody must hold writers to the pace of their readers, as it does not: then the benchmark does.
    pub(super) is_paced: bool,
    /// How it is set, and why that is fair.
    pub(super) settings: &'static str,
}

/// What it is.
pub(super) enum Is {
    /// The relay, or a forwarder of the benchmark.
    Ours(Program),
    /// A program that others have written.
    Installed(Installed),
}

/// A server that must be installed.
pub(super) struct Installed {
    /// Programs and, with a slash, files that it takes.
    needs: &'static [&'static str],
    /// Prints its version.
    version: &'static [&'static str],
    pub(super) source: Source,
    pub(super) command: fn(&Site) -> Result<Command>,
    pub(super) wire: fn() -> Box<dyn Wire>,
    pub(super) shape: Shape,
}

/// Where it comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// Packages of Debian.
    Debian(&'static [&'static str]),
    /// A crate.
    Cargo(&'static [&'static str]),
}

/// How clients reach each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each has a connection.
    Plain,
    /// Each has one to write and one to read, at different addresses.
    TwoSided,
    /// Every connection leads on to somebody who listens, which is the other.
    Onward,
}

const UNIX: &[Transport] = &[Transport::Unix];
const TCP: &[Transport] = &[Transport::Tcp];
const BOTH: &[Transport] = &Transport::BOTH;

/// All of them, and first the one that the others are compared with.
pub(super) fn all() -> Vec<Competitor> {
    let mut competitors = vec![
        Competitor {
            name: OURS,
            is: Is::Ours(Program::RELAY),
            transports: BOTH,
            is_paced: false,
            settings: "one shard, otherwise as it comes",
        },
        nats(),
        haproxy(),
        dbus("dbus-broker"),
        dbus("dbus-daemon"),
        redis(),
        mosquitto(),
        zeromq(),
        zenoh(),
    ];
    competitors.extend([("uring", Kind::Uring), ("splice", Kind::Splice)].map(|(name, kind)| Competitor {
        name,
        is: Is::Ours(Program::Forwarder(kind)),
        transports: BOTH,
        is_paced: false,
        settings: "a baseline: forwards the bytes of one pair and knows nothing of messages",
    }));
    competitors
}

fn nats() -> Competitor {
    Competitor {
        name: "nats",
        is: Is::Installed(Installed {
            needs: &["nats-server"],
            version: &["nats-server", "--version"],
            source: Source::Debian(&["nats-server"]),
            command: servers::nats,
            wire: || Box::new(wires::nats::Nats),
            shape: Shape::Plain,
        }),
        transports: TCP,
        is_paced: true,
        settings: "core NATS without JetStream, log or monitoring; payloads up to 8 MiB; up to 64 MiB wait for a client, as by \
                   default. Go sees the one CPU and runs on it alone",
    }
}

fn haproxy() -> Competitor {
    Competitor {
        name: "haproxy",
        is: Is::Installed(Installed {
            needs: &["haproxy"],
            version: &["haproxy", "-v"],
            source: Source::Debian(&["haproxy"]),
            command: servers::haproxy,
            wire: || Box::new(wires::bare::Bare),
            shape: Shape::Onward,
        }),
        transports: BOTH,
        is_paced: false,
        settings: "mode tcp, one thread, splice in both directions with pipes of 1 MiB, no log. It forwards bytes: a connection has \
                   one fixed target, and messages no boundaries",
    }
}

fn dbus(name: &'static str) -> Competitor {
    let is_broker = name == "dbus-broker";
    Competitor {
        name,
        is: Is::Installed(Installed {
            needs: if is_broker {
                &["dbus-broker-launch", "dbus-broker", "/run/systemd/journal/socket"]
            } else {
                &["dbus-daemon"]
            },
            version: if is_broker { &["dbus-broker", "--version"] } else { &["dbus-daemon", "--version"] },
            source: Source::Debian(if is_broker { &["dbus-broker"] } else { &["dbus-daemon"] }),
            command: if is_broker { servers::dbus_broker } else { servers::dbus_daemon },
            wire: || Box::new(wires::dbus::DBus),
            shape: Shape::Plain,
        }),
        transports: UNIX,
        is_paced: true,
        settings: "a bus of its own where everybody may say everything; signals to the unique name of the receiver, which are what \
                   costs a bus least: no match rules, no replies to track",
    }
}

fn redis() -> Competitor {
    Competitor {
        name: "redis",
        is: Is::Installed(Installed {
            needs: &["redis-server"],
            version: &["redis-server", "--version"],
            source: Source::Debian(&["redis-server"]),
            command: servers::redis,
            wire: || Box::new(wires::redis::Redis),
            shape: Shape::Plain,
        }),
        transports: BOTH,
        is_paced: true,
        settings: "no persistence; one I/O thread, as it has one CPU; clients ask for no replies (CLIENT REPLY OFF); a subscriber may \
                   be 32 MiB behind, as by default",
    }
}

fn mosquitto() -> Competitor {
    Competitor {
        name: "mosquitto",
        is: Is::Installed(Installed {
            needs: &["mosquitto"],
            version: &["mosquitto", "-h"],
            source: Source::Debian(&["mosquitto"]),
            command: servers::mosquitto,
            wire: || Box::new(wires::mqtt::Mqtt),
            shape: Shape::Plain,
        }),
        transports: BOTH,
        is_paced: true,
        settings: "MQTT 3.1.1, quality of service 0, TCP_NODELAY, no persistence, no log; any number of messages may wait for a client, \
                   as it would drop them beyond 1,000 otherwise",
    }
}

fn zeromq() -> Competitor {
    Competitor {
        name: "zeromq",
        is: Is::Installed(Installed {
            needs: &["cc", "/usr/include/zmq.h"],
            version: &["pkg-config", "--modversion", "libzmq"],
            source: Source::Debian(&["libzmq3-dev", "pkg-config", "gcc", "libc6-dev"]),
            command: servers::zeromq,
            wire: || Box::new(wires::zmtp::Zmtp),
            shape: Shape::TwoSided,
        }),
        transports: BOTH,
        is_paced: false,
        settings: "libzmq's own zmq_proxy between XSUB and XPUB, one I/O thread, 1,000 messages may wait as by default; with \
                   ZMQ_XPUB_NODROP it waits for subscribers in place of dropping",
    }
}

fn zenoh() -> Competitor {
    Competitor {
        name: "zenoh",
        is: Is::Installed(Installed {
            needs: &["zenohd"],
            version: &["zenohd", "--version"],
            source: Source::Cargo(&[
                "zenohd",
                "--version",
                "1.10.2",
                "--no-default-features",
                "--features",
                "zenoh/transport_tcp,zenoh/transport_unixsock-stream",
            ]),
            command: servers::zenoh,
            wire: || Box::new(wires::zenoh::Zenoh),
            shape: Shape::Plain,
        }),
        transports: BOTH,
        is_paced: false,
        settings: "a router without timestamps, discovery or plugins; clients declare keys as numbers, and put reliably with congestion \
                   control \"block\"",
    }
}

impl Competitor {
    pub(super) fn is_baseline(&self) -> bool {
        matches!(self.is, Is::Ours(Program::Forwarder(_)))
    }

    /// Whether it passes messages on, each to whom it is addressed.
    pub(super) fn is_bus(&self) -> bool {
        !self.is_baseline() && self.name != "haproxy"
    }

    /// What is missing, if anything is.
    pub(super) fn missing(&self) -> Option<String> {
        let Is::Installed(installed) = &self.is else { return None };
        let missing = installed.needs.iter().find(|need| find(need).is_none())?;
        Some(format!("{missing} is missing: {}", installed.source.command()))
    }

    /// Its version, as it says itself.
    pub(super) fn version(&self) -> String {
        let Is::Installed(installed) = &self.is else { return env!("CARGO_PKG_VERSION").to_owned() };
        let [program, flags @ ..] = installed.version else { return String::new() };
        let Some(program) = find(program) else { return "unknown".to_owned() };
        let output = Command::new(program).args(flags).stdin(Stdio::null()).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        version_in(&String::from_utf8_lossy(&text)).unwrap_or_else(|| "unknown".to_owned())
    }
}

impl Source {
    /// What installs it.
    pub(super) fn command(self) -> String {
        match self {
            Self::Debian(packages) => format!("apt-get install --yes --no-install-recommends {}", packages.join(" ")),
            Self::Cargo(flags) => format!("cargo install --locked {}", flags.join(" ")),
        }
    }
}

/// The first word that looks like a version, or the number on its own.
fn version_in(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || c == '=');
    let plain = words.map(|word| word.trim_start_matches('v'));
    let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && !word.contains(':');
    plain
        .clone()
        .filter(is_version)
        .find(|word| word.contains('.'))
        .or_else(|| plain.clone().find(is_version))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found() {
        let check = |text, version: &str| assert_eq!(version_in(text).as_deref(), Some(version));
        check("nats-server: v2.9.10\n", "2.9.10");
        check("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12-1+deb12u4");
        check("dbus-broker 33\n", "33");
        check("Redis server v=7.0.15 sha=00000000:0", "7.0.15");
        check("2026-11-22T22:26:45.752150Z INFO zenohd v1.10.2 built", "1.10.2");
        assert_eq!(version_in("none"), None);
    }

    #[test]
    fn names_are_different_and_the_first_is_ours() {
        let competitors = all();
        assert_eq!(competitors[0].name, OURS);
        let mut names: Vec<_> = competitors.iter().map(|competitor| competitor.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), competitors.len());
        assert!(
            competitors.iter().all(|competitor| competitor.is_bus() || !competitor.is_paced),
            "bytes are held back by sockets"
        );
    }
}
