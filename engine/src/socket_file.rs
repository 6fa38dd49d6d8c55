//! Who may serve on the path of a unix socket.
//!
//! A socket file outlives its process, so its being there says nothing. Who wants to serve on `PATH` first locks
//! `PATH.lock` for as long as it lives; the kernel gives the lock back even after SIGKILL. Under the lock a file that
//! refuses connections is dead and is replaced, so two daemons that start at once cannot both take it for dead and
//! remove each other's socket. A server that knows no such lock is found by connecting to it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{Access, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, connect};

use super::listen_error::{ListenError, unix_error};
use super::socket::stream_socket;
use limits::{TAKEOVER_PATIENCE_MS, UNIX_PATH_BYTES_MAX};

/// What stands where a socket should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing.
    Nobody,
    /// A socket that nobody serves any more.
    Dead,
    /// A socket that somebody serves.
    Living,
}

/// Names a file whatever its path: device and inode.
type Identity = (u64, u64);

/// The right to serve on a path, held by the lock. No socket is there (any more).
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    lock_path: PathBuf,
    lock: File,
}

impl Claim {
    /// Takes the right to serve on `path`, and removes what a dead daemon left there.
    pub(super) fn take(path: &Path) -> Result<Self, ListenError> {
        check_length(path)?;
        check_directory(path)?;
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock_path = PathBuf::from(lock_path);
        let lock = lock(path, &lock_path)?;
        let claim = Self { path: path.to_owned(), lock_path, lock };
        // Who knows of the lock is dead, but the kernel may still be about to take its ring apart.
        match patiently(|| occupant(path), |found| matches!(found, Ok(Occupant::Living)))? {
            Occupant::Nobody => {}
            Occupant::Dead => {
                rustix::fs::unlink(path)
                    .map_err(|errno| unix_error(path, "removing the socket of a dead daemon", errno))?;
            }
            Occupant::Living => return Err(ListenError::Served { path: path.to_owned(), pid: None }),
        }
        Ok(claim)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is ours: who opened the file before we remove it sees, once it has the lock, that it is no longer
        // the one at the path.
        if identity_at(&self.lock_path) == rustix::fs::fstat(&self.lock).ok().map(identity) {
            let _ = rustix::fs::unlink(&self.lock_path);
        }
    }
}

/// A socket file that is ours. It is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    claim: Claim,
    identity: Identity,
    removed: AtomicBool,
}

impl SocketFile {
    /// Takes over the file that has just been bound, and gives it exactly the rights `mode`.
    pub(super) fn bound(claim: Claim, mode: Mode) -> Result<Self, ListenError> {
        // By descriptor, so that the rights go to this file and not to what somebody may have put in its place.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let looked = rustix::fs::open(&claim.path, flags, Mode::empty())
            .and_then(|file| rustix::fs::fstat(&file).map(|stat| (file, stat)));
        let (file, stat) = looked.map_err(|errno| unix_error(&claim.path, "looking at the new socket", errno))?;
        let ours = Self { claim, identity: identity(stat), removed: AtomicBool::new(false) };
        if Mode::from_raw_mode(stat.st_mode) != mode {
            // A descriptor that is only a path takes no fchmod; its name in /proc takes chmod.
            rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), mode)
                .map_err(|errno| unix_error(&ours.claim.path, "setting its rights", errno))?;
        }
        Ok(ours)
    }

    /// Removes the file now, once, if the one at the path is still ours.
    pub fn remove(&self) {
        if !self.removed.swap(true, Ordering::AcqRel) && identity_at(&self.claim.path) == Some(self.identity) {
            let _ = rustix::fs::unlink(&self.claim.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Looks at a path without changing anything.
pub(super) fn inspect(path: &Path) -> Result<Occupant, ListenError> {
    check_length(path)?;
    let directory = check_directory(path)?;
    rustix::fs::access(&directory, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|errno| unix_error(path, "writing in its directory", errno))?;
    occupant(path)
}

/// Tries again for a while, as long as the result is one that may pass by itself.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> T, may_pass: impl Fn(&T) -> bool) -> T {
    const PAUSE_MS: u64 = 10;
    for _ in 0..TAKEOVER_PATIENCE_MS / PAUSE_MS {
        let result = attempt();
        if !may_pass(&result) {
            return result;
        }
        sleep(Duration::from_millis(PAUSE_MS));
    }
    attempt()
}

fn check_length(path: &Path) -> Result<(), ListenError> {
    let fits = path.as_os_str().as_bytes().len() <= UNIX_PATH_BYTES_MAX;
    if fits { Ok(()) } else { Err(ListenError::PathTooLong(path.to_owned())) }
}

fn check_directory(path: &Path) -> Result<PathBuf, ListenError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let exists = directory.try_exists().map_err(|error| unix_error(path, "looking at its directory", error))?;
    if exists {
        Ok(directory.to_owned())
    } else {
        Err(ListenError::NoDirectory { path: path.to_owned(), directory: directory.to_owned() })
    }
}

/// Locks the lock file of `path`, for as long as what this returns is open, and leaves our process id in it.
fn lock(path: &Path, lock_path: &Path) -> Result<File, ListenError> {
    let failed = |action| move |error: std::io::Error| unix_error(path, action, error);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let file = rustix::fs::open(lock_path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| unix_error(path, "opening its lock file PATH.lock", errno))?;
        let mut file = File::from(file);
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                // Who holds the lock may not have written yet; it is only for the message.
                let _ = file.take(32).read_to_string(&mut text);
                return Err(ListenError::Served { path: path.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(errno) => return Err(unix_error(path, "locking its lock file PATH.lock", errno)),
        }
        let locked = rustix::fs::fstat(&file).map_err(|errno| unix_error(path, "looking at its lock file", errno))?;
        // Its last holder may have removed it between our open and our lock. Then try with the one that is there now.
        if identity_at(lock_path) == Some(identity(locked)) {
            file.set_len(0).map_err(failed("writing its lock file"))?;
            writeln!(file, "{}", std::process::id()).map_err(failed("writing its lock file"))?;
            return Ok(file);
        }
    }
}

fn occupant(path: &Path) -> Result<Occupant, ListenError> {
    match rustix::fs::lstat(path) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => {}
        Ok(_) => return Err(ListenError::NotASocket(path.to_owned())),
        Err(Errno::NOENT) => return Ok(Occupant::Nobody),
        Err(errno) => return Err(unix_error(path, "looking at what is there", errno)),
    }
    let failed = |errno| unix_error(path, "asking the socket that is there whether it is served", errno);
    let probe = stream_socket(AddressFamily::UNIX).map_err(failed)?;
    let name = SocketAddrUnix::new(path).map_err(failed)?;
    match connect(&probe, &name) {
        // Accepted, its queue is full, or it is served with another type of socket.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(Occupant::Living),
        Err(Errno::CONNREFUSED) => Ok(Occupant::Dead),
        Err(Errno::NOENT) => Ok(Occupant::Nobody),
        Err(errno) => Err(failed(errno)),
    }
}

fn identity(stat: Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The identity of what stands at a path, itself and not what it may point to.
fn identity_at(path: &Path) -> Option<Identity> {
    rustix::fs::lstat(path).ok().map(identity)
}
