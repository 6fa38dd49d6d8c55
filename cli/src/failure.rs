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
    /// There is no bus, for one of the reasons that have to do with where it was looked for.
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
    pub(crate) fn new(code: Code, message: impl ToString) -> Self {
        Self { code: code as u8, message: message.to_string() }
    }

    pub(crate) fn runtime(message: impl ToString) -> Self {
        Self::new(Code::Runtime, message)
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
            ConnectError::Address(_) | ConnectError::Name(_) | ConnectError::NoName => Self::new(Code::Usage, error),
            ConnectError::Refused(_) => Self::new(Code::Refused, error),
            _ => Self::new(Code::NoBus, error),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match &error {
            OpenError::Unavailable(_) | OpenError::VersionTooOld(_) => Self::new(Code::NoPlugin, error),
            OpenError::Name(_) | OpenError::NoName => Self::new(Code::Usage, error),
            _ => Self::runtime(error),
        }
    }
}

/// Errors that have no exit code of their own.
macro_rules! at_run_time {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::runtime(error)
            }
        }
    )*};
}

at_run_time!(BusError, ListError, StatsError, WatchError);
