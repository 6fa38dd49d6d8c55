//! What can be said on the command line.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clap_complete::Shell;
use minbus::{Address, Name};

/// Longer times are taken for mistakes.
const SECONDS_MAX: Duration = Duration::from_secs(1_000_000_000);

/// What the help says about exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0    all went well
  1    something went wrong at run time
  2    wrong usage
  3    there is no bus at that address, or it does not answer
  4    no such plugin is connected, or it denies the channel, or is too old
  5    the bus refuses the registration, for instance because the name is taken
  6    the transfer broke off: the other side left, or refused the rest
  129  the terminal is gone (SIGHUP)
  130  interrupted (SIGINT)
  131  told to quit (SIGQUIT)
  141  nobody reads the standard output any more
  143  told to stop (SIGTERM)
Another signal that tells it to stop: 128 and the number of the signal.";

/// See who is on a bus, and pipe bytes to and from them.
#[derive(Debug, Parser)]
#[command(
    name = "minbus",
    version,
    after_help = EXIT_CODES,
    after_long_help = format!("\
Examples:
  minbus list                                   who is there
  minbus provide clock -- date                  a service: each channel gets a process
  minbus connect clock                          use it
  tar c dir | minbus connect backup             send a directory to the plugin `backup` ...
  minbus provide backup | tar x                 ... which takes it
  minbus --bus tcp:host:7700 ping clock         how far is it
  minbus why backup                             whom does it wait for

{EXIT_CODES}"),
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    /// Where the bus is: unix:PATH, unix:@NAME or tcp:HOST:PORT.
    ///
    /// Without it MINBUS_ADDRESS says so, else it is $XDG_RUNTIME_DIR/minbus.sock, and for root
    /// /run/minbus/minbus.sock.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) bus: Option<Address>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(List),
    Watch(Watch),
    Connect(Connect),
    Provide(Provide),
    Ping(Ping),
    Info(Info),
    Stats(Stats),
    Why(Why),
    /// Print a script that completes this tool's arguments in a shell.
    #[command(after_help = "\
Examples:
  minbus completions bash > ~/.local/share/bash-completion/completions/minbus
  minbus completions zsh > ~/.zfunc/_minbus
  minbus completions fish > ~/.config/fish/completions/minbus.fish")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// List the plugins that are connected, with their versions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus list
  minbus list --json | jq -r .name

With --json each line is an object: {\"name\": \"clock\", \"version\": 3}.
In names, what is not UTF-8, invisible or turns text round is escaped, and the backslash too. With
--json they are exact; one that is not UTF-8 comes with its bytes as \"name_hex\".")]
pub(crate) struct List {
    /// Print one JSON object for each plugin.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print who is there, then who comes and who goes, until interrupted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus watch
  minbus watch --json | jq -r 'select(.event == \"left\") | .name'

With --json each line is an object: {\"event\": \"joined\", \"name\": \"clock\", \"version\": 3},
where the event is \"present\", \"joined\" or \"left\". Once it is connected an interrupt ends it with
exit code 0.")]
pub(crate) struct Watch {
    /// Print one JSON object for each event.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Connect the standard input and output to a plugin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus connect clock
  tar c dir | minbus connect backup
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | minbus connect http

At the end of the input the plugin is told so, and the command goes on until the plugin has closed
its side too. It exits with 0 only if all arrived: 6 means that the plugin left, or refused the rest.")]
pub(crate) struct Connect {
    /// The plugin.
    #[arg(value_parser = name_parser())]
    pub(crate) name: Name,
    /// Connect only if its version is at least this.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version_min: Option<u16>,
    /// Be a plugin of this name meanwhile, so that the other one knows who it is.
    #[arg(long = "as", value_name = "NAME", value_parser = name_parser())]
    pub(crate) own_name: Option<Name>,
    /// Give up when the plugin has not accepted after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
}

/// Be a plugin: give each channel a process, or the first one the standard input and output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus provide clock -- date
  minbus provide upper -- tr a-z A-Z
  minbus provide shell -- sh -c 'echo \"hello $MINBUS_PEER\"; exec cat'
  minbus provide backup > backup.tar

With a command, each channel gets a process of it, whose standard input and output it is; the
standard error is that of minbus. The environment says MINBUS_NAME, MINBUS_PEER and
MINBUS_PEER_VERSION (who has connected; empty for a client) and MINBUS_ADDRESS. An interrupt ends the
plugin with exit code 0.

When the other side leaves without closing the channel, or minbus ends before all input has come,
the process and those that it has started (its process group) get SIGHUP, and only then the end of the
input: sh -c 'cat > part && mv part done' does not take half an upload for all of it. Only where minbus
itself is ended by a signal that no program can catch, as SIGKILL is, or that tells of a fault of its
own, as SIGSEGV does, nobody can send that signal; what must stand that too needs a mark at the end of
the data.

Without a command, the first channel gets the standard input and output, and when it has ended so
does minbus, with exit codes as for `connect`.")]
pub(crate) struct Provide {
    /// The name to be registered under.
    #[arg(value_parser = name_parser())]
    pub(crate) name: Name,
    /// The version to be registered with.
    #[arg(long, value_name = "VERSION", default_value_t = 0)]
    pub(crate) plugin_version: u16,
    /// How many processes may run at once; further channels are denied.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) processes_max: usize,
    #[command(flatten)]
    pub(crate) transfer: Transfer,
    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// How bytes are carried.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Transfer {
    /// Bytes that may be under way to this side: more for long ways.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(crate) window: u64,
    /// Show no progress. It is shown when the standard error is a terminal, the data does not go to one, and it takes
    /// more than a moment.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Measure the way to a plugin and back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus ping clock
  minbus ping -c 100 -i 0.01 --json clock | tail -n 1 | jq .rtt_avg_ms

It opens a channel, which the plugin must accept; its library answers the pings by itself.
With --json each answer is an object {\"seq\": 1, \"time_ms\": 0.08}, and the last line is the summary.
The exit code is 1 when no ping was answered.")]
pub(crate) struct Ping {
    /// The plugin.
    #[arg(value_parser = name_parser())]
    pub(crate) name: Name,
    /// Stop after so many pings.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Seconds between pings.
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// Seconds to wait for the plugin to accept, and for each answer.
    #[arg(long, short = 'W', value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,
    /// Print one JSON object for each answer, and one for the summary.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show where the bus is, how many plugins it has, how far it is, and how much memory it may take.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus info
  minbus info --json | jq .rtt_ms")]
pub(crate) struct Info {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the channels: how much goes through them, and what they wait for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus stats
  minbus stats clock --watch 1
  minbus stats --json | jq -c 'select(.state == \"reader\") | [.writer, .reader]'

There is a line for each direction of each channel. What it waits for is one of:
  writer   its writer has credit and sends nothing (\"idle\" with --json)
  reader   its reader gives no credit
  cap      its reader gives credit, and the relay holds it back: see credit in its configuration
  egress   its reader's socket takes no bytes
  relay    the relay has not read what its writer has sent
With it stands how much of the time that was so. With --json each line is an object, first one for
each shard of the relay (unless a plugin is named), then one for each direction. By default the relay
answers its own user and root, over its unix socket.")]
pub(crate) struct Stats {
    /// Only the channels of this plugin.
    #[arg(value_parser = name_parser())]
    pub(crate) name: Option<Name>,
    /// Print JSON objects.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds to look.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) over: Duration,
    /// Look again and again, each time for so many seconds, until interrupted.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with = "over")]
    pub(crate) watch: Option<Duration>,
}

/// Tell why a plugin does not get on: whom it waits for, whom that one waits for, and so on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  minbus why clock
  minbus why clock --json | jq .waits[0].root

It looks at the channels for a while, follows whoever waits for somebody, and names the one at the end:
a plugin that waits for nobody, the relay, or plugins that wait for each other in a circle. What plugins
wait for outside of the bus it does not see.")]
pub(crate) struct Why {
    /// The plugin.
    #[arg(value_parser = name_parser())]
    pub(crate) name: Name,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds to look.
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
    pub(crate) over: Duration,
}

/// Names may be any bytes.
fn name_parser() -> impl clap::builder::TypedValueParser<Value = Name> {
    use clap::builder::TypedValueParser;
    clap::builder::OsStringValueParser::new().try_map(|name| match Name::new(name.as_bytes()) {
        Ok(name) if name.is_empty() => Err("a plugin has a name".to_owned()),
        Ok(name) => Ok(name),
        Err(error) => Err(error.to_string()),
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no number of seconds");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration < SECONDS_MAX).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_is_right_and_wrong() {
        let parse = |line: &str| Args::try_parse_from(line.split_whitespace());
        for right in [
            "minbus list --json --bus tcp:h:1",
            "minbus --bus unix:x watch",
            "minbus provide a",
            "minbus provide a -- cmd --flag",
            "minbus ping -c 3 -i 0.5 a",
            "minbus connect --as me --timeout 2 a",
            "minbus stats",
            "minbus stats a --json --watch 2",
            "minbus why a --json",
        ] {
            assert!(parse(right).is_ok(), "{right}");
        }
        for wrong in [
            "minbus",
            "minbus connect",
            "minbus list --bus x",
            "minbus ping -c 0 a",
            "minbus ping -i -1 a",
            "minbus ping -i nan a",
            "minbus provide a cmd",
            "minbus why",
            "minbus stats --over 1 --watch 1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
