//! How each server is started, with what configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use minbus::Address;
use tempfile::TempDir;

use super::program::find;

/// Where a server runs.
pub(super) struct Site<'a> {
    /// Its own.
    pub(super) directory: &'a Path,
    /// Where it listens.
    pub(super) address: &'a Address,
    /// Where it listens for something else, or where it connects to.
    pub(super) second: &'a Address,
}

impl Site<'_> {
    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// A program that ends when the benchmark does, if there is what sees to that.
fn program(name: &str) -> Result<Command> {
    let path = find(name).with_context(|| format!("{name} is missing"))?;
    let mut command = match find("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(path);
            command
        }
        None => Command::new(path),
    };
    command.stdin(Stdio::null());
    Ok(command)
}

/// An address as a server writes it: a prefix for paths, and one for host and port.
fn written(address: &Address, [unix, tcp]: [&str; 2]) -> Result<String> {
    match address {
        Address::Unix(path) => Ok(format!("{unix}{}", path.display())),
        Address::Tcp { host, port } => Ok(format!("{tcp}{host}:{port}")),
        Address::Abstract(_) => bail!("it needs a socket with a path"),
    }
}

pub(super) fn nats(site: &Site) -> Result<Command> {
    let Address::Tcp { host, port } = site.address else { bail!("it has no unix sockets") };
    let config = site.write("nats.conf", &format!("host: {host}\nport: {port}\nmax_payload: 8MB\n"))?;
    let mut command = program("nats-server")?;
    command.arg("--config").arg(config);
    Ok(command)
}

pub(super) fn haproxy(site: &Site) -> Result<Command> {
    let place = |address| written(address, ["unix@", ""]);
    let text = format!(
        "global\n  nbthread 1\n  maxconn 4000\n  tune.pipesize 1048576\n\
         defaults\n  mode tcp\n  option splice-request\n  option splice-response\n\
         \x20 timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n\
         listen bench\n  bind {}\n  server other {}\n",
        place(site.address)?,
        place(site.second)?
    );
    let config = site.write("haproxy.cfg", &text)?;
    let mut command = program("haproxy")?;
    command.arg("-db").arg("-q").arg("-f").arg(config);
    Ok(command)
}

pub(super) fn redis(site: &Site) -> Result<Command> {
    let mut text = "save \"\"\nappendonly no\ndaemonize no\nmaxclients 10000\n".to_owned();
    text += &match site.address {
        Address::Tcp { host, port } => format!("bind {host}\nport {port}\n"),
        path => written(path, ["port 0\nunixsocket ", ""])? + "\n",
    };
    text += &format!("dir {}\n", site.directory.display());
    let mut command = program("redis-server")?;
    command.arg(site.write("redis.conf", &text)?);
    Ok(command)
}

pub(super) fn mosquitto(site: &Site) -> Result<Command> {
    let listener = match site.address {
        Address::Tcp { host, port } => format!("{port} {host}"),
        path => written(path, ["0 ", ""])?,
    };
    // Started by root it would become another user, who may not listen in our directory.
    let user = if rustix::process::getuid().is_root() { "user root\n" } else { "" };
    let text = format!(
        "{user}listener {listener}\nallow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\npersistence false\n\
         log_dest none\n"
    );
    let mut command = program("mosquitto")?;
    command.arg("-c").arg(site.write("mosquitto.conf", &text)?);
    Ok(command)
}

/// The proxy is a few lines of C that call libzmq's own; they are compiled once.
pub(super) fn zeromq(site: &Site) -> Result<Command> {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let directory = match BUILT.get() {
        Some(directory) => directory,
        None => {
            let directory = tempfile::Builder::new().prefix("minbus-bench-").tempdir()?;
            let source = directory.path().join("zmq_proxy.c");
            fs::write(&source, include_str!("zmq_proxy.c"))?;
            let target = directory.path().join("zmq_proxy");
            let status = Command::new("cc").arg("-O2").arg(source).arg("-o").arg(target).arg("-lzmq").status()?;
            ensure!(status.success(), "cannot compile the proxy");
            BUILT.get_or_init(|| directory)
        }
    };
    let mut command = program(&directory.path().join("zmq_proxy").to_string_lossy())?;
    for address in [site.address, site.second] {
        command.arg(written(address, ["ipc://", "tcp://"])?);
    }
    Ok(command)
}

pub(super) fn zenoh(site: &Site) -> Result<Command> {
    let mut command = program("zenohd")?;
    command
        .arg("--listen")
        .arg(written(site.address, ["unixsock-stream/", "tcp/"])?)
        .args(["--no-timestamp", "--no-multicast-scouting"]);
    command.args(["--adminspace-permissions", "none"]);
    command.args(["--cfg", "transport/unicast/max_sessions:10000", "--cfg", "transport/unicast/accept_pending:1000"]);
    command.env("RUST_LOG", "off");
    Ok(command)
}

/// A bus on which everybody may say everything.
fn bus_config(site: &Site) -> Result<PathBuf> {
    let Address::Unix(path) = site.address else { bail!("it is for unix sockets") };
    let text = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n\
         \x20\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
         <busconfig>\n\
         \x20 <type>session</type>\n\
         \x20 <listen>unix:path={}</listen>\n\
         \x20 <auth>EXTERNAL</auth>\n\
         \x20 <policy context=\"default\">\n\
         \x20   <allow send_destination=\"*\"/>\n\
         \x20   <allow receive_sender=\"*\"/>\n\
         \x20   <allow own=\"*\"/>\n\
         \x20 </policy>\n\
         \x20 <limit name=\"max_completed_connections\">10000</limit>\n\
         \x20 <limit name=\"max_connections_per_user\">10000</limit>\n\
         </busconfig>\n",
        path.display()
    );
    site.write("bus.conf", &text)
}

pub(super) fn dbus_daemon(site: &Site) -> Result<Command> {
    let mut command = program("dbus-daemon")?;
    command.arg("--nofork").arg("--config-file").arg(bus_config(site)?);
    Ok(command)
}

/// It wants its listening socket as descriptor 3 from whoever starts it, in the way of systemd; a shell puts it there.
pub(super) fn dbus_broker(site: &Site) -> Result<Command> {
    let Address::Unix(path) = site.address else { bail!("it is for unix sockets") };
    let launcher = find("dbus-broker-launch").context("dbus-broker-launch is missing")?;
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    let mut command = program("sh")?;
    command.arg("-c").arg("LISTEN_PID=$$ exec \"$0\" --config-file \"$1\" --scope user 3<&0 0</dev/null");
    command.arg(launcher).arg(bus_config(site)?).env("LISTEN_FDS", "1");
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path.display()));
    command.stdin(std::os::fd::OwnedFd::from(listener));
    Ok(command)
}
