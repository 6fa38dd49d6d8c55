//! What goes wrong, in words for people and in exit codes for scripts.

use std::io;
use std::process::ExitCode;

use minbus::{BusError, ConnectError, ListError, OpenError, StatsError, WatchError};

use crate::stdio::complain;

/// Exit codes, beside those of signals. Their meanings stand in the help of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    Runtime = 1,
    Usage = 2,
    NoBus = 3,
    NoPlugin = 4,
    Refused = 5,
    Incomplete = 6,
    Closed = 141,
}

/// Signals are told as shells do, by codes from here on.
const SIGNALS: u8 = 128;

/// The end of a command that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    code: u8,
    /// Empty where there is nothing to say.
    message: String,
}

impl Failure {
    fn new(code: Code, message: impl ToString) -> Self {
        Self { code: code as u8, message: message.to_string() }
    }

    pub(crate) fn runtime(message: impl ToString) -> Self {
        Self::new(Code::Runtime, message)
    }

    pub(crate) fn usage(message: impl ToString) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn no_plugin(message: impl ToString) -> Self {
        Self::new(Code::NoPlugin, message)
    }

    pub(crate) fn incomplete(message: impl ToString) -> Self {
        Self::new(Code::Incomplete, message)
    }

    /// There is no bus, for one of the reasons that have to do with where it was looked for.
    pub(crate) fn no_bus(message: impl ToString) -> Self {
        Self::new(Code::NoBus, message)
    }

    /// Nobody reads the standard output any more, so there is nobody to tell either.
    pub(crate) fn closed() -> Self {
        Self::new(Code::Closed, "")
    }

    /// The signal of this number has told the command to stop.
    pub(crate) fn signal(number: i32) -> Self {
        Self { code: SIGNALS | number as u8, message: String::new() }
    }

    /// Writing to the standard output failed.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::closed(),
            _ => Self::runtime(format!("cannot write to the standard output: {error}")),
        }
    }

    /// Says on the standard error what went wrong.
    pub(crate) fn report(&self) {
        if !self.message.is_empty() {
            complain(&self.message);
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match &error {
            ConnectError::Address(_) | ConnectError::Name(_) | ConnectError::NoName => Self::usage(error),
            ConnectError::Refused(_) => Self::new(Code::Refused, error),
            _ => Self::no_bus(error),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::Unavailable(_) | OpenError::VersionTooOld(_) => Self::no_plugin(error),
            OpenError::Name(_) | OpenError::NoName => Self::usage(error),
            _ => Self::runtime(error),
        }
    }
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        Self::runtime(error)
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        Self::runtime(error)
    }
}

impl From<StatsError> for Failure {
    fn from(error: StatsError) -> Self {
        Self::runtime(error)
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        Self::runtime(error)
    }
}
