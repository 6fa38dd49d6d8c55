//! Where threads run, and what a process has used, as the kernel counts it.

use std::fs;
use std::io;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs that this process may run on.
pub(crate) fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// What the machine's CPUs call themselves.
pub(crate) fn model() -> String {
    model_in(&said_in("/proc/cpuinfo").unwrap_or_default())
}

/// Many architectures have no names for their CPUs, and some machines have empty ones.
fn model_in(cpuinfo: &str) -> String {
    let mut names = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = names.find_map(|(_, name)| Some(name.trim()).filter(|name| !name.is_empty()));
    name.unwrap_or("CPUs without a name").to_owned()
}

/// What the kernel says in a file, if it has that.
pub(crate) fn said_in(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Keeps the calling thread, and those that it starts, on these CPUs.
pub(crate) fn pin(cpus: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPUs {cpus:?}"))
}

/// Does something on these CPUs, and comes back.
pub(crate) fn on<R>(cpus: &[usize], act: impl FnOnce() -> R) -> Result<R> {
    let before = sched_getaffinity(None)?;
    pin(cpus)?;
    let result = act();
    sched_setaffinity(None, &before)?;
    Ok(result)
}

/// What a process has used until a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) at: Instant,
    /// Nanoseconds of CPU, of the threads that are there.
    pub(crate) cpu_ns: u64,
    /// How often one of them was taken off its CPU, by itself or by force.
    pub(crate) switches: u64,
}

impl Usage {
    /// Of a process and those that it has started.
    pub(crate) fn of_family(pid: u32) -> Result<Self> {
        let mut sum = Self { at: Instant::now(), cpu_ns: 0, switches: 0 };
        for pid in family(pid) {
            let usage = Self::of(pid)?;
            sum.cpu_ns += usage.cpu_ns;
            sum.switches += usage.switches;
        }
        Ok(sum)
    }

    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/task");
        let mut usage = Self { at: Instant::now(), cpu_ns: 0, switches: 0 };
        for task in fs::read_dir(&path).with_context(|| path.clone())? {
            let task = task?.path();
            // A thread may end while we look.
            let Some(schedstat) = read(&task.join("schedstat"))? else { continue };
            let Some(status) = read(&task.join("status"))? else { continue };
            usage.cpu_ns += number(schedstat.split_whitespace().next())?;
            for line in status.lines().filter(|line| line.contains("ctxt_switches:")) {
                usage.switches += number(line.split_whitespace().nth(1))?;
            }
        }
        Ok(usage)
    }
}

/// A process and those that it has started, and so on.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        next += 1;
        // None can be seen where the kernel does not list them; then they do not count.
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    family
}

/// Anonymous memory of a process that is in RAM, in bytes.
pub(crate) fn memory_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "RssAnon:")
}

/// All memory of a process that is in RAM, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmRSS:")
}

fn status_bytes(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    Ok(number(line.split_whitespace().next())? << 10)
}

fn read(path: &std::path::Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // ESRCH: it ended between opening and reading.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn number(word: Option<&str>) -> Result<u64> {
    word.unwrap_or_default().parse().with_context(|| format!("{word:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_have_names_or_none() {
        for (cpuinfo, name) in [
            ("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
            ("model name\t:\nmodel name\t: \n", "CPUs without a name"),
            ("processor\t: 0\nCPU part\t: 0xd0c\n", "CPUs without a name"),
            ("", "CPUs without a name"),
        ] {
            assert_eq!(model_in(cpuinfo), name);
        }
        assert_eq!(said_in("/nonexistent"), None);
    }
}
