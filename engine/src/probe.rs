//! What the engine needs of the machine, and one sentence for each way in which it can be missing.

use std::fs;
use std::io;

use io_uring::{IoUring, Parameters, Probe, opcode};
use rustix::process::{Resource, getrlimit};

/// Why there is no ring, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The kernel lacks something.
    #[error("this kernel ({release}) does not have {missing}: run the relay on Linux 6.1 or newer")]
    KernelTooOld {
        /// The release of the running kernel.
        release: String,
        /// What it lacks.
        missing: &'static str,
    },
    /// `kernel.io_uring_disabled` is 2.
    #[error(
        "io_uring is switched off for all processes (kernel.io_uring_disabled is 2): \
         run `sysctl -w kernel.io_uring_disabled=0` as root"
    )]
    Disabled,
    /// `kernel.io_uring_disabled` is 1, and this process is not one of the privileged.
    #[error(
        "io_uring is only open to root and to the group kernel.io_uring_group, which is {group} \
         (kernel.io_uring_disabled is 1): run the relay in that group, or run `sysctl -w kernel.io_uring_disabled=0` as root"
    )]
    Restricted {
        /// The group's number, or `-1` for none.
        group: i64,
    },
    /// A system call filter of this process refuses io_uring.
    #[error(
        "a seccomp filter refuses io_uring, as the default profile of Docker does: allow io_uring_setup, io_uring_enter \
         and io_uring_register in the profile, or start the container with `--security-opt seccomp=unconfined`"
    )]
    Seccomp,
    /// Refused for none of the usual reasons.
    #[error(
        "io_uring is refused, though by no sysctl or seccomp filter: allow it in the security module (SELinux, AppArmor)"
    )]
    Refused,
    /// The limit on locked memory is too low.
    #[error(
        "RLIMIT_MEMLOCK is {limit_bytes} bytes, too little for a ring: raise it with `LimitMEMLOCK=64M` in the systemd unit \
         or `ulimit -l 65536`, or lower the number of connections and receive buffers"
    )]
    LockedMemory {
        /// The limit in force, in bytes.
        limit_bytes: u64,
    },
    /// The kernel has no memory.
    #[error(
        "the kernel has no memory left for a ring: lower the number of connections and receive buffers, or free memory"
    )]
    NoMemory,
    /// No file descriptors are left.
    #[error(
        "no file descriptor is left for a ring: raise the limit with `LimitNOFILE=` in the systemd unit or `ulimit -n`"
    )]
    NoDescriptors,
    /// Anything else.
    #[error("{step} failed: {source}")]
    Other {
        /// What was being done.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// A step on the way to a ring.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Setup,
    Probe,
    RegisterBuffers,
    Join,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Setup => "setting up io_uring",
            Step::Probe => "asking io_uring for its operations",
            Step::RegisterBuffers => "registering receive buffers with io_uring",
            Step::Join => "letting other shards reach the ring",
        }
    }

    /// What is missing when the kernel does not know what it is asked for.
    fn needs(self) -> &'static str {
        match self {
            Step::Setup => "IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN",
            Step::Probe => "IORING_REGISTER_PROBE",
            Step::RegisterBuffers => "IORING_REGISTER_PBUF_RING",
            Step::Join => "F_DUPFD_CLOEXEC",
        }
    }
}

/// What bears on whether a process may have a ring.
#[derive(Debug)]
struct Surroundings {
    release: String,
    disabled: i64,
    group: i64,
    seccomp: bool,
    locked_bytes_max: Option<u64>,
}

impl Surroundings {
    fn read() -> Surroundings {
        let number = |path| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Surroundings {
            release: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or("unknown".into(), |text| text.trim().into()),
            disabled: number("/proc/sys/kernel/io_uring_disabled").unwrap_or(0),
            group: number("/proc/sys/kernel/io_uring_group").unwrap_or(-1),
            seccomp: status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2")),
            locked_bytes_max: getrlimit(Resource::Memlock).current,
        }
    }
}

/// Says what a failed step means on this machine.
pub(super) fn explain(step: Step, error: io::Error) -> RingError {
    diagnose(step, error, Surroundings::read())
}

fn diagnose(step: Step, error: io::Error, around: Surroundings) -> RingError {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => match around {
            Surroundings { disabled: 2, .. } => RingError::Disabled,
            // A filter may well let io_uring pass, the sysctl never does: the filter is blamed last.
            Surroundings { disabled: 1, group, .. } => RingError::Restricted { group },
            Surroundings { seccomp: true, .. } => RingError::Seccomp,
            _ => RingError::Refused,
        },
        Some(libc::ENOSYS) if around.seccomp => RingError::Seccomp,
        Some(libc::ENOSYS) => RingError::KernelTooOld { release: around.release, missing: "io_uring" },
        Some(libc::EINVAL) => RingError::KernelTooOld { release: around.release, missing: step.needs() },
        Some(libc::ENOMEM) => match around.locked_bytes_max {
            Some(limit_bytes) => RingError::LockedMemory { limit_bytes },
            None => RingError::NoMemory,
        },
        Some(libc::EMFILE | libc::ENFILE) => RingError::NoDescriptors,
        _ => RingError::Other { step: step.name(), source: error },
    }
}

/// Checks that a ring can do all that the engine asks of it.
pub(super) fn check(ring: &IoUring) -> Result<(), RingError> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(|error| explain(Step::Probe, error))?;
    match missing(ring.params(), &probe) {
        Some(missing) => Err(RingError::KernelTooOld { release: Surroundings::read().release, missing }),
        None => Ok(()),
    }
}

fn missing(features: &Parameters, probe: &Probe) -> Option<&'static str> {
    let needs = [
        (features.is_feature_nodrop(), "IORING_FEAT_NODROP"),
        (features.is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
        (features.is_feature_fast_poll(), "IORING_FEAT_FAST_POLL"),
        (features.is_feature_skip_cqe_on_success(), "IORING_FEAT_CQE_SKIP"),
        (probe.is_supported(opcode::AcceptMulti::CODE), "IORING_OP_ACCEPT"),
        (probe.is_supported(opcode::Recv::CODE), "IORING_OP_RECV"),
        (probe.is_supported(opcode::Send::CODE), "IORING_OP_SEND"),
        (probe.is_supported(opcode::SendMsg::CODE), "IORING_OP_SENDMSG"),
        (probe.is_supported(opcode::PollAdd::CODE), "IORING_OP_POLL_ADD"),
        (probe.is_supported(opcode::Timeout::CODE), "IORING_OP_TIMEOUT"),
        (probe.is_supported(opcode::TimeoutUpdate::CODE), "IORING_OP_TIMEOUT_REMOVE"),
        (probe.is_supported(opcode::AsyncCancel2::CODE), "IORING_OP_ASYNC_CANCEL"),
        (probe.is_supported(opcode::MsgRingData::CODE), "IORING_OP_MSG_RING"),
    ];
    needs.into_iter().find(|(there, _)| !there).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings { release: "5.15.0".into(), disabled: 0, group: -1, seccomp: false, locked_bytes_max: Some(65536) }
    }

    #[track_caller]
    fn assert_says(step: Step, errno: i32, around: Surroundings, words: &[&str]) {
        let sentence = diagnose(step, io::Error::from_raw_os_error(errno), around).to_string();
        for word in words {
            assert!(sentence.contains(word), "{word:?} is not in {sentence:?}");
        }
        assert!(!sentence.contains("  "), "{sentence:?} has a gap");
    }

    #[test]
    fn an_old_kernel_is_named_with_what_it_lacks() {
        assert_says(Step::Setup, libc::EINVAL, around(), &["5.15.0", "DEFER_TASKRUN", "6.1"]);
        assert_says(Step::RegisterBuffers, libc::EINVAL, around(), &["PBUF_RING"]);
        assert_says(Step::Setup, libc::ENOSYS, around(), &["does not have io_uring"]);
    }

    #[test]
    fn a_refusal_is_laid_to_who_refuses() {
        let disabled = |disabled| Surroundings { disabled, group: 990, seccomp: true, ..around() };
        assert_says(Step::Setup, libc::EPERM, disabled(2), &["all processes", "io_uring_disabled=0"]);
        assert_says(Step::Setup, libc::EPERM, disabled(1), &["990", "io_uring_group"]);
        assert_says(Step::Setup, libc::EPERM, disabled(0), &["seccomp", "Docker"]);
        assert_says(Step::Setup, libc::ENOSYS, disabled(0), &["seccomp"]);
        assert_says(Step::Setup, libc::EPERM, around(), &["SELinux"]);
    }

    #[test]
    fn exhaustion_names_the_limit() {
        assert_says(
            Step::Setup,
            libc::ENOMEM,
            around(),
            &["RLIMIT_MEMLOCK is 65536 bytes", "LimitMEMLOCK=", "ulimit -l"],
        );
        let unlimited = Surroundings { locked_bytes_max: None, ..around() };
        assert_says(Step::Setup, libc::ENOMEM, unlimited, &["no memory left"]);
        assert_says(Step::Setup, libc::EMFILE, around(), &["LimitNOFILE"]);
        assert_says(Step::Join, libc::EIO, around(), &["reach the ring", "error"]);
    }
}
