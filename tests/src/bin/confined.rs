//! Runs a program with less than it would have: `confined [LIMIT...] -- PROGRAM [ARGUMENT...]`.
//!
//! - `nofile=N` open files, as soft and hard limit
//! - `fsize=BYTES` the length of files that it writes, as soft and hard limit
//! - `memlock=BYTES` locked memory, as soft and hard limit
//! - `nobody` the user and group 65534, if this is root: limits on memory do not bind root
//! - `no-io-uring` a seccomp filter that refuses io_uring, as the default profile of Docker does

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, geteuid, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

const NOBODY: u32 = 65_534;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let limits: Vec<String> = arguments.by_ref().take_while(|argument| argument != "--").collect();
    let Some(program) = arguments.next() else {
        eprintln!("confined: no program behind --");
        return ExitCode::FAILURE;
    };
    let mut command = Command::new(&program);
    command.args(arguments);
    // The user last of all but the filter: what exec does is done by then.
    if limits.iter().any(|limit| limit == "nobody") && geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    for limit in &limits {
        if let Err(error) = confine(limit) {
            eprintln!("confined: {limit}: {error}");
            return ExitCode::FAILURE;
        }
    }
    eprintln!("confined: {program}: {}", command.exec());
    ExitCode::FAILURE
}

fn confine(limit: &str) -> Result<(), Box<dyn std::error::Error>> {
    match limit.split_once('=') {
        Some(("nofile", most)) => set(Resource::Nofile, most),
        Some(("fsize", most)) => set(Resource::Fsize, most),
        Some(("memlock", most)) => set(Resource::Memlock, most),
        None if limit == "nobody" => Ok(()),
        None if limit == "no-io-uring" => Ok(apply_filter(&without_io_uring()?)?),
        _ => Err("there is no such limit".into()),
    }
}

fn set(resource: Resource, most: &str) -> Result<(), Box<dyn std::error::Error>> {
    let most = Some(most.parse()?);
    Ok(setrlimit(resource, Rlimit { current: most, maximum: most })?)
}

fn without_io_uring() -> Result<BpfProgram, seccompiler::BackendError> {
    let calls = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let rules = calls.map(|call| (call, Vec::new())).into();
    SeccompFilter::new(rules, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into()?)?.try_into()
}
