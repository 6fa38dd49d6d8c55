//! What a process has used, as the kernel counts it.

use std::fs;
use std::io;

use crate::error::Error;

/// Nanoseconds of CPU that the threads of a process have used, those that are gone not counted.
pub(crate) fn cpu_ns(pid: u32) -> Result<u64, Error> {
    let path = format!("/proc/{pid}/task");
    let read = || {
        let mut sum = 0;
        for task in fs::read_dir(&path)? {
            match fs::read_to_string(task?.path().join("schedstat")) {
                Ok(text) => sum += first_number(&text)?,
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
        let kibibytes = first_number(line.ok_or_else(|| io::Error::other("it has no VmHWM"))?)?;
        Ok(kibibytes << 10)
    };
    read().map_err(|source| Error::Proc { path: path.clone(), source })
}

/// Forgets the most memory that a process has had, if we may: from now on it counts anew.
pub(crate) fn reset_rss_peak(pid: u32) {
    // Without the right to, the peak is that since its start, which is the more cautious number.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

fn first_number(text: &str) -> io::Result<u64> {
    let word = text.split_whitespace().next().unwrap_or_default();
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
        let before = cpu_ns(busy.id()).expect("readable");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = false;
        while !seen && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
            seen = cpu_ns(busy.id()).is_ok_and(|now| now > before)
                && rss_peak_bytes(busy.id()).is_ok_and(|bytes| bytes > 64 << 10);
        }
        busy.kill().expect("it runs until then");
        busy.wait().expect("it has ended");
        assert!(seen);
    }
}
