//! What the kernel tells of processes and of the machine, in `/proc`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What the threads of a process have had of the CPUs, those that are gone not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Nanoseconds in which they ran.
    pub used_ns: u64,
    /// Nanoseconds in which they could have run, but something else did.
    pub waited_ns: u64,
}

/// Memory of a process that is in RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// All of it.
    Resident,
    /// What of it no file stands behind.
    Anonymous,
    /// The most that it has had.
    Peak,
}

/// Where names of CPUs stand in `/proc/cpuinfo`: on x86 and s390, on ARM boards, MIPS, RISC-V, POWER.
const CPU_NAMES: [&str; 6] = ["model name", "Model", "cpu model", "uarch", "cpu", "Hardware"];

/// What a process has had of the CPUs.
///
/// # Errors
/// When it is gone.
pub fn cpu(pid: u32) -> io::Result<Cpu> {
    let mut sum = Cpu::default();
    for text in of_threads(pid, "schedstat")? {
        let mut words = text.split_whitespace();
        sum.used_ns += number(words.next())?;
        sum.waited_ns += number(words.next())?;
    }
    Ok(sum)
}

/// How often threads of a process were taken off their CPUs, by themselves or by force.
///
/// # Errors
/// When it is gone.
pub fn switches(pid: u32) -> io::Result<u64> {
    let texts = of_threads(pid, "status")?;
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| line.contains("ctxt_switches:"));
    lines.map(|line| number(line.split_whitespace().nth(1))).sum()
}

/// How much memory a process has, in bytes.
///
/// # Errors
/// When it is gone.
pub fn memory_bytes(pid: u32, memory: Memory) -> io::Result<u64> {
    let name = match memory {
        Memory::Resident => "VmRSS",
        Memory::Anonymous => "RssAnon",
        Memory::Peak => "VmHWM",
    };
    let kibibytes = status_field(pid, name)?;
    Ok(number(kibibytes.as_deref().and_then(|text| text.split(' ').next()))? << 10)
}

/// Forgets the most memory that a process has had, if we may: from now on it counts anew.
pub fn reset_memory_peak(pid: u32) {
    // Without the right to, the peak is that since its start, which is the more cautious number.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// A field of the status of a process.
///
/// # Errors
/// When it is gone.
pub fn status_field(pid: u32, name: &str) -> io::Result<Option<String>> {
    Ok(field(&read(Path::new(&format!("/proc/{pid}/status")))?, name))
}

/// How many file descriptors a process has open.
///
/// # Errors
/// When it is gone, or not ours to see.
pub fn open_files(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// A process and those that it has started, and so on.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        next += 1;
        // None can be seen where the kernel does not list them; then they do not count.
        let children = said_in(&format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    family
}

/// What the kernel says in a file, if it has that.
#[must_use]
pub fn said_in(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// What the machine's CPUs call themselves. Many architectures have no names for them, and some machines have empty ones.
#[must_use]
pub fn cpu_name() -> Option<String> {
    cpu_name_in(&said_in("/proc/cpuinfo")?)
}

/// Bytes of memory of the machine.
#[must_use]
pub fn machine_memory_bytes() -> Option<u64> {
    let kibibytes = field(&said_in("/proc/meminfo")?, "MemTotal")?;
    Some(kibibytes.split(' ').next()?.parse::<u64>().ok()? << 10)
}

fn cpu_name_in(cpuinfo: &str) -> Option<String> {
    CPU_NAMES.iter().find_map(|name| field(cpuinfo, name))
}

/// The value of the first field of this name that has one.
fn field(text: &str, name: &str) -> Option<String> {
    let values = text.lines().filter_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name));
    values.map(|(_, value)| value.trim().to_owned()).find(|value| !value.is_empty())
}

/// A file of each thread of a process.
fn of_threads(pid: u32, file: &str) -> io::Result<Vec<String>> {
    let path = PathBuf::from(format!("/proc/{pid}/task"));
    let mut texts = Vec::new();
    for task in fs::read_dir(&path).map_err(|error| with_path(&path, &error))? {
        match read(&task?.path().join(file)) {
            Ok(text) => texts.push(text),
            // A thread may end while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(texts)
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| with_path(path, &error))
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    // It ended between opening and reading.
    let is_gone = error.raw_os_error() == Some(Errno::SRCH.raw_os_error());
    let kind = if is_gone { io::ErrorKind::NotFound } else { error.kind() };
    io::Error::new(kind, format!("{}: {error}", path.display()))
}

fn number(word: Option<&str>) -> io::Result<u64> {
    let word = word.unwrap_or_default();
    word.parse().map_err(|_| io::Error::other(format!("{word:?} is not a number")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::process::Process;

    /// A process of its own, since the threads of other tests come and go in this one. What it has used shows only
    /// once the kernel has started it and looked.
    #[test]
    fn what_a_busy_process_uses_grows() {
        let mut busy = Process::start(Command::new("sh").args(["-c", "while :; do :; done"])).expect("sh");
        let pid = busy.pid();
        let before = cpu(pid).expect("readable");
        let grown = || {
            let memory = [Memory::Resident, Memory::Anonymous, Memory::Peak].map(|memory| memory_bytes(pid, memory));
            let [resident, anonymous, peak] = memory.map(Result::ok);
            let is_counted =
                cpu(pid).ok()?.used_ns > before.used_ns && switches(pid).ok()? > 0 && open_files(pid).ok()? > 2;
            (is_counted && resident > anonymous && peak > Some(64 << 10)).then_some(())
        };
        busy.await_ready(Duration::from_secs(60), grown).expect("it is busy");
    }

    #[test]
    fn cpus_have_names_on_all_sorts_of_machines_or_none() {
        for (cpuinfo, name) in [
            ("processor\t: 0\nmodel\t\t: 106\nmodel name\t: AMD EPYC\nmodel name\t: AMD EPYC\n", Some("AMD EPYC")),
            ("processor\t: 0\nBogoMIPS\t: 50.00\nCPU part\t: 0xd0c\n", None),
            ("processor\t: 0\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n", Some("Raspberry Pi 4 Model B Rev 1.4")),
            ("processor\t: 0\ncpu\t\t: POWER9, altivec supported\n", Some("POWER9, altivec supported")),
            ("model name\t: \nmodel name\t:\n", None),
            ("no fields at all", None),
            ("", None),
        ] {
            assert_eq!(cpu_name_in(cpuinfo).as_deref(), name, "{cpuinfo}");
        }
        assert_eq!(said_in("/nonexistent"), None);
        assert!(machine_memory_bytes() > Some(0));
    }
}
