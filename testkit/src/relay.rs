//! The relay as a process of its own, which is the program that measures it once more: a program that carries the daemon is it
//! when it is started under this name.

use std::env;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use minbus::Address;
use rustix::process::{Signal, set_parent_process_death_signal};

/// The name under which a program is the daemon.
const NAME: &str = "minbusd-embedded";

/// Is the relay, if this process was started to be it, with the flags of the process, as long as its parent lives.
pub fn main_if_wanted(daemon: impl FnOnce() -> ExitCode) -> Option<ExitCode> {
    if env::args_os().next().is_none_or(|name| name != NAME) {
        return None;
    }
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        // There is nowhere else to say that stderr does not take it.
        let _ = writeln!(io::stderr(), "{NAME} cannot tie its life to its parent's: {error}");
    }
    Some(daemon())
}

/// A command that starts this program as a relay, which says no less than `log` unless the environment has it otherwise.
///
/// # Errors
/// When this program does not know its own file.
pub fn command(addresses: &[&Address], shards: usize, log: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.arg0(NAME);
    for address in addresses {
        match address {
            Address::Unix(path) => command.arg("--unix").arg(path),
            Address::Abstract(name) => command.arg("--unix").arg(format!("@{name}")),
            Address::Tcp { host, port } => command.arg("--tcp").arg(format!("{host}:{port}")),
        };
    }
    command.arg("--shards").arg(shards.to_string());
    if env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", log);
    }
    // It is no service of a manager that may have started us, and Ctrl-C is for us: we stop it when all have left.
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    Ok(command)
}
