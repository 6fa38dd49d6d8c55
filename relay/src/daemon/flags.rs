//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::config::Overrides;

const EXAMPLES: &str = "\
Without a listener it takes $XDG_RUNTIME_DIR/minbus.sock, else, as root, /run/minbus/minbus.sock.
RUST_LOG chooses what is logged, as in RUST_LOG=debug or RUST_LOG=relay=debug,warn (default: info).

Examples:
  minbusd                                           one shard for each CPU, on the default socket
  minbusd --unix /tmp/bus.sock --tcp 127.0.0.1:7400 on two sockets at once
  minbusd --shards 2 --cpus 2-3                     two threads, on CPUs 2 and 3
  minbusd --config minbusd.toml --check             what would this configuration do?
  minbusd --print-config > minbusd.toml             a complete configuration to start from

Signals:
  SIGTERM, SIGINT, SIGQUIT  stop: what was accepted is delivered; a second one ends at once
  SIGXCPU                   stop: the limit of CPU time is reached
  SIGHUP                    nothing is read again, which a line of the log says: a new configuration takes a restart
  SIGUSR1 and the like      nothing, but for a line of the log
The log, on stderr, has at most 50 lines of one kind at once and one a second after that, and tells how many were left out;
lines of RUST_LOG=debug are not limited.

Exit status:
  0  after a clean stop, by a signal
  1  when something fails at run time
  2  when a flag or the configuration is wrong
  128 + its number when a second signal ends it at once";

/// The Min-Bus relay: plugins connect to it, find each other by name, and open channels to each other.
#[derive(Debug, Parser)]
#[command(name = "minbusd", version, after_help = EXAMPLES)]
pub(super) struct Flags {
    /// Read the configuration from this TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    #[command(flatten)]
    pub(super) overrides: Overrides,

    /// Check flags, configuration and listeners, say what would be done, and do nothing
    #[arg(long, conflicts_with = "print_config")]
    pub(super) check: bool,

    /// Print the configuration that results from file and flags, complete and commented, and do nothing else
    #[arg(long)]
    pub(super) print_config: bool,

    /// How to write the log to stderr
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Human)]
    pub(super) log_format: LogFormat,
}

/// A format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    Human,
    /// One JSON object a line
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn each_flag_has_its_place() {
        let line = "minbusd --config c.toml --unix /a --unix /b --unix-mode 0666 --tcp a:1 --tcp b:2 --shards 3 \
                    --cpus 0-2 --check --log-format json";
        let flags = Flags::try_parse_from(line.split_whitespace()).expect("valid");
        let expected = Overrides {
            unix: vec!["/a".into(), "/b".into()],
            unix_mode: Some("0666".into()),
            tcp: vec!["a:1".into(), "b:2".into()],
            shards: Some(3),
            cpus: Some("0-2".into()),
        };
        assert_eq!(flags.overrides, expected);
        assert_eq!(flags.config, Some("c.toml".into()));
        assert!(flags.check && !flags.print_config);
        assert_eq!(flags.log_format, LogFormat::Json);
    }

    #[test]
    fn nothing_said_overrides_nothing() {
        let flags = Flags::try_parse_from(["minbusd"]).expect("valid");
        assert_eq!(flags.overrides, Overrides::default());
        assert_eq!(flags.log_format, LogFormat::Human);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in ["minbusd --shards x", "minbusd --unix", "minbusd --check --print-config", "minbusd extra"] {
            assert!(Flags::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
