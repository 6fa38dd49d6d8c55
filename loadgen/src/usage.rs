//! What a process has used, as the kernel counts it.

use std::fs;
use std::io;

use crate::error::Error;

/// What the threads of a process have had of the CPUs, those that are gone not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cpu {
    /// Nanoseconds in which they ran.
    pub(crate) used_ns: u64,
    /// Nanoseconds in which they could have run, but something else did.
    pub(crate) waited_ns: u64,
}

/// What a process has had of the CPUs.
pub(crate) fn cpu(pid: u32) -> Result<Cpu, Error> {
    let path = format!("/proc/{pid}/task");
    let read = || {
        let mut sum = Cpu::default();
        for task in fs::read_dir(&path)? {
            match fs::read_to_string(task?.path().join("schedstat")) {
                Ok(text) => {
                    let mut words = text.split(' ');
                    sum.used_ns += number(words.next())?;
                    sum.waited_ns += number(words.next())?;
                }
                // A thread may end while we look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sum)
    };
    read().map_err(|source| Error::Proc { path: path.clone(), source })
}

/// The most memory that a process has had, in bytes.
pub(crate) fn rss_peak_bytes(pid: u32) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/status");
    let read = || {
        let text = fs::read_to_string(&path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let line = line.ok_or_else(|| io::Error::other("it has no VmHWM"))?;
        let kibibytes = number(line.split_whitespace().next())?;
        Ok(kibibytes << 10)
    };
    read().map_err(|source| Error::Proc { path: path.clone(), source })
}

/// Forgets the most memory that a process has had, if we may: from now on it counts anew.
pub(crate) fn reset_rss_peak(pid: u32) {
    // Without the right to, the peak is that since its start, which is the more cautious number.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

fn number(word: Option<&str>) -> io::Result<u64> {
    let word = word.unwrap_or_default();
    word.parse().map_err(|_| io::Error::other(format!("{word:?} is not a number")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// A process of its own, since the threads of other tests come and go in this one. What it has used shows only
    /// once the kernel has started it and looked.
    #[test]
    fn what_a_busy_process_uses_grows() {
        let mut busy = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("sh");
        let before = cpu(busy.id()).expect("readable");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = false;
        while !seen && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
            seen = cpu(busy.id()).is_ok_and(|now| now.used_ns > before.used_ns)
                && rss_peak_bytes(busy.id()).is_ok_and(|bytes| bytes > 64 << 10);
        }
        busy.kill().expect("it runs until then");
        busy.wait().expect("it has ended");
        assert!(seen);
    }
}
