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

fn first_number(text: &str) -> io::Result<u64> {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().map_err(|_| io::Error::other(format!("{word:?} is not a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_grows() {
        let pid = std::process::id();
        let before = cpu_ns(pid).expect("readable");
        let memory = vec![1u8; 8 << 20];
        assert!(memory.iter().map(|&byte| u64::from(byte)).sum::<u64>() == 8 << 20);
        assert!(cpu_ns(pid).expect("readable") > before);
        assert!(rss_peak_bytes(pid).expect("readable") > 8 << 20);
    }
}
