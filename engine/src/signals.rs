//! Signals that must not be noticed: their default action ends or stops the whole process, and nobody means that.

use std::io;

/// The kernel sends these for what the process does itself, and means that a single call is to fail or go on: a write to a
/// log file that may not grow any more, a line to a terminal that another process group has, a socket that is closed.
const OF_THE_KERNEL: [libc::c_int; 4] = [libc::SIGXFSZ, libc::SIGTTOU, libc::SIGTTIN, libc::SIGPIPE];

/// Nobody sends these to a daemon, and a table of signals that can be caught by name does not have them.
const OF_NOBODY: [libc::c_int; 2] = [libc::SIGPWR, libc::SIGSTKFLT];

/// Ignores these signals and all of real time, for the whole process. Without that `SIGXFSZ` would end it and `SIGTTOU` stop
/// it; a handler is not enough, for then the kernel would send them again and again.
///
/// # Errors
/// The system refuses.
pub fn ignore_unmeant() -> io::Result<()> {
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    OF_THE_KERNEL.into_iter().chain(OF_NOBODY).chain(real_time).try_for_each(ignore)
}

fn ignore(signal: libc::c_int) -> io::Result<()> {
    // SAFETY: no handler is installed, so none can do wrong.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}
