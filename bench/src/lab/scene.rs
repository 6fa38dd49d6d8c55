//! Where, how often and for how long it is measured.

use std::fs::{self, File, OpenOptions};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use tempfile::TempDir;
use testkit::{cpus, descriptors, proc};

use crate::server::{Program, Server, Transport};
use crate::traffic::sample::Setting;

/// Time before each window, and the time within which a cap is to have found its size.
const WARM_UP: Duration = Duration::from_millis(100);

/// Where the kernel says how TCP sockets control congestion by default. It is a matter of taste of whoever built the
/// system, and pacing, which BBR does, costs on loopback as much as all the rest.
const TCP_CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// What any of them may be told.
#[derive(Debug, Args)]
pub(crate) struct RoundFlags {
    /// Say what there is, and do nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Only the case of this name, or those with this in their names (may be repeated)
    #[arg(long = "case", value_name = "TEXT")]
    cases: Vec<String>,
    /// How often all have their turn
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each is measured in each round; some take a multiple of it
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS")]
    seconds: f64,
    /// One short round, to see whether it works: its figures mean nothing
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    pub(crate) quick: bool,
    /// Print Markdown, when all is done
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Write all that was measured to a file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Where and how long it is measured: a server on a CPU of its own, the plugins on another, where the measuring process runs
/// itself, with all threads that it starts.
#[derive(Debug)]
pub(crate) struct Scene {
    /// CPUs that there are.
    cpus: usize,
    /// The CPU of the server.
    pub(crate) server_cpu: usize,
    /// The CPU of the plugins.
    pub(crate) plugins_cpu: usize,
    /// The CPU of those who are not to be taken for the server or for whom it is measured: a third one, if there is one.
    pub(crate) others_cpu: usize,
    /// How often everybody has a turn.
    rounds: u32,
    /// Whether the figures do not matter.
    pub(crate) quick: bool,
    /// One turn.
    pub(crate) setting: Setting,
    /// Holds configurations and logs.
    directory: TempDir,
}

/// What stands at the head of a report.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    version: &'static str,
    kernel: String,
    /// What TCP sockets have that say nothing of it.
    tcp_congestion: String,
    cpu: String,
    cpus: usize,
    rounds: u32,
    server_cpu: usize,
    plugins_cpu: usize,
    window_s: f64,
}

impl RoundFlags {
    /// Those of the cases that are meant.
    pub(crate) fn pick<C>(&self, cases: Vec<C>, name: impl Fn(&C) -> &str) -> Result<Vec<C>> {
        let is_name = |text: &str| cases.iter().any(|case| name(case) == text);
        let names: Vec<bool> = self.cases.iter().map(|text| is_name(text)).collect();
        let is_meant = |case: &C| {
            let mut texts = self.cases.iter().zip(&names);
            texts.any(|(text, exact)| if *exact { name(case) == text } else { name(case).contains(text) })
        };
        let picked: Vec<C> = cases.into_iter().filter(|case| self.cases.is_empty() || is_meant(case)).collect();
        if picked.is_empty() {
            bail!("there is no such case; --list says which there are");
        }
        Ok(picked)
    }

    /// Takes a CPU for the server and one for the plugins.
    pub(crate) fn scene(&self) -> Result<Scene> {
        let allowed = cpus::allowed()?;
        let (server_cpu, plugins_cpu) = (allowed[0], allowed[allowed.len() - 1]);
        ensure!(server_cpu != plugins_cpu || self.quick, "there is one CPU only: server and plugins need one each");
        cpus::pin(&[plugins_cpu])?;
        // A crowd takes more than a process may have by default.
        descriptors::raise()?;
        self.check_json()?;
        let (rounds, warm_up, window) = if self.quick {
            (1, Duration::from_millis(20), Duration::from_millis(50))
        } else {
            (self.rounds, WARM_UP, Duration::try_from_secs_f64(self.seconds).context("--seconds")?)
        };
        let setting = Setting { warm_up, window, counts: false };
        let others_cpu = allowed[if allowed.len() > 2 { 1 } else { allowed.len() - 1 }];
        let directory = TempDir::with_prefix("minbus-bench-")?;
        let (cpus, quick) = (allowed.len(), self.quick);
        Ok(Scene { cpus, server_cpu, plugins_cpu, others_cpu, rounds, quick, setting, directory })
    }

    /// Finds out before anything is measured whether the report can be written, and leaves what is there as it is.
    fn check_json(&self) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let opened = OpenOptions::new().append(true).create(true).open(path);
        opened.map(drop).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes a report to where it is wanted.
    pub(super) fn write(&self, report: &impl Serialize) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(report)?;
        fs::write(path, text + "\n").with_context(|| path.display().to_string())
    }
}

impl Scene {
    /// Who of `count` has a turn, one after another, in all rounds.
    pub(super) fn turns(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        turns(self.rounds as usize, count)
    }

    /// What to say of it.
    pub(super) fn head(&self) -> Head {
        Head {
            version: env!("CARGO_PKG_VERSION"),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            tcp_congestion: proc::said_in(TCP_CONGESTION).unwrap_or_else(|| "something unknown".into()),
            cpu: proc::cpu_name().unwrap_or_else(|| "CPUs without a name".into()),
            cpus: self.cpus,
            rounds: self.rounds,
            server_cpu: self.server_cpu,
            plugins_cpu: self.plugins_cpu,
            window_s: self.setting.window.as_secs_f64(),
        }
    }

    /// A fresh relay of one shard with this configuration.
    pub(crate) fn relay(&self, config: &str) -> Result<Server> {
        self.start(config, Transport::Unix, None)
    }

    /// The same, to be reached by TCP.
    pub(crate) fn relay_on_tcp(&self, config: &str) -> Result<Server> {
        self.start(config, Transport::Tcp, None)
    }

    /// The same, and the file to which it writes its log.
    pub(crate) fn relay_logged(&self, config: &str) -> Result<(Server, PathBuf)> {
        let path = self.directory.path().join("log");
        Ok((self.start(config, Transport::Unix, Some(File::create(&path)?))?, path))
    }

    fn start(&self, config: &str, transport: Transport, log: Option<File>) -> Result<Server> {
        // The one before has read its own long ago.
        let path = self.directory.path().join("minbusd.toml");
        fs::write(&path, config)?;
        Server::start_logged(Program::RELAY, transport, &[self.server_cpu], Some(&path), log)
    }

    /// So many times as long as is measured each time.
    pub(crate) fn windows(&self, times: f64) -> Duration {
        self.setting.window.mul_f64(if self.quick { 1.0 } else { times })
    }
}

fn turns(rounds: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..rounds).flat_map(move |round| (0..count).map(move |turn| (round + turn) % count))
}

impl Head {
    /// For people.
    pub(super) fn text(&self) -> String {
        let Self { kernel, tcp_congestion, cpu, cpus, rounds, window_s, .. } = self;
        format!(
            "Taken on {cpus} CPUs ({cpu}), one for the server and one for the plugins, Linux {kernel} with {tcp_congestion} as \
             TCP's congestion control, in {rounds} rounds of {window_s} s.\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        flags: RoundFlags,
    }

    fn picked(arguments: &[&str]) -> Option<Vec<&'static str>> {
        let command = Command::parse_from([&["bench"], arguments].concat());
        command.flags.pick(vec!["flow", "flow-tcp", "trip"], |name| name).ok()
    }

    #[test]
    fn a_name_means_one_case_and_a_part_of_it_all_that_have_it() {
        assert_eq!(picked(&[]), Some(vec!["flow", "flow-tcp", "trip"]));
        assert_eq!(picked(&["--case", "flow"]), Some(vec!["flow"]));
        assert_eq!(picked(&["--case", "flo"]), Some(vec!["flow", "flow-tcp"]));
        assert_eq!(picked(&["--case", "trip", "--case", "tcp"]), Some(vec!["flow-tcp", "trip"]));
        assert_eq!(picked(&["--case", "trap"]), None);
    }

    #[test]
    fn each_begins_once_in_as_many_rounds_as_there_are() {
        assert_eq!(turns(3, 3).collect::<Vec<_>>(), [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        assert_eq!(turns(3, 0).count(), 0);
    }
}
