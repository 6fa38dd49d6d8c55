//! What the defaults of the configuration depend on: the user, the session and the CPUs of this process.

use std::path::PathBuf;

use rustix::thread::CpuSet;

/// The surroundings of a process, as far as the configuration asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// `$XDG_RUNTIME_DIR`, when it is set to an absolute path (others must be ignored, says its specification).
    pub runtime_directory: Option<PathBuf>,
    /// Whether the effective user is root.
    pub root: bool,
    /// The CPUs that the process may run on, in order.
    pub cpus: Vec<usize>,
}

impl Environment {
    /// That of the calling process.
    #[must_use]
    pub fn of_process() -> Self {
        let runtime_directory =
            std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        Self { runtime_directory, root: rustix::process::geteuid().is_root(), cpus: cpus_allowed() }
    }
}

#[cfg(test)]
impl Environment {
    /// One of the tests: a user's session, on a machine with these CPUs.
    pub(crate) fn of_test(cpus: Vec<usize>) -> Self {
        Self { runtime_directory: Some("/run/user/1000".into()), root: false, cpus }
    }
}

fn cpus_allowed() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect(),
        // More CPUs than the set has room for. Then take the first ones.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}
