//! Where the daemon listens: what the configuration names, made into listeners, or into words for `--check`.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tracing::warn;

use crate::config::{Config, Listen, ROOT_DIRECTORY, TcpAddress, UnixAddress};
use engine::listener::{Addresses, ListenError, Listener, resolve};

/// The addresses of one entry of the configuration.
#[derive(Debug)]
pub(super) struct Host<'a> {
    pub(super) entry: &'a TcpAddress,
    /// Those to listen on. None of another entry is among them; there may be none left.
    pub(super) usable: Vec<SocketAddr>,
    /// Those of a kind that the machine does not have.
    pub(super) missing: Vec<SocketAddr>,
}

/// Listens on all that the configuration names.
pub(super) fn listen(config: &Config) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::new();
    for address in &config.listen.unix {
        listeners.push(match address {
            UnixAddress::File(path) => {
                create_root_directory(path)?;
                Listener::unix(path, config.listen.unix_mode)?
            }
            UnixAddress::Abstract(name) => Listener::abstract_unix(name)?,
        });
    }
    for host in hosts(&config.listen) {
        let Host { entry, usable, missing } = host?;
        for address in missing {
            warn!("not listening on {address} of tcp:{entry}: this machine has no such addresses");
        }
        listeners.extend(Listener::tcp(&usable)?);
    }
    Ok(listeners)
}

/// Looks up the hosts that are named. Two names of the same address mean one listener.
pub(super) fn hosts(listen: &Listen) -> impl Iterator<Item = Result<Host<'_>, ListenError>> {
    let mut taken = Vec::new();
    listen.tcp.iter().map(move |entry| {
        let Addresses { mut usable, missing } = resolve(&entry.host, entry.port)?;
        usable.retain(|address| address.port() == 0 || !taken.contains(address));
        taken.extend_from_slice(&usable);
        Ok(Host { entry, usable, missing })
    })
}

/// Creates the directory of root's default socket, which is gone after each boot. Any other is somebody else's to make.
fn create_root_directory(path: &Path) -> Result<(), ListenError> {
    if path.parent() != Some(Path::new(ROOT_DIRECTORY)) {
        return Ok(());
    }
    match fs::create_dir(ROOT_DIRECTORY) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(ListenError::Unix { path: path.to_owned(), action: "creating its directory", source })
        }
        _ => Ok(()),
    }
}
