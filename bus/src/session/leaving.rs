//! Why connections end, in words for logs and for the plugins themselves.

use std::fmt;

use bpmux::{LinkError, Violation};

use super::super::name::Name;
use super::super::share::User;

/// Why a connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are `limits.connections_max`.
    TooMany,
    /// This user has its share of them, which is at most `limits.connections_per_uid_max` on unix sockets.
    TooManyOfUser(User),
    /// This user has its share of those that have not registered yet.
    TooManyUnregistered(User),
}

impl Refused {
    /// A word for all refusals of this kind, by which the log keeps them apart.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooMany => "connections_max",
            Self::TooManyOfUser(_) => "connections_of_user",
            Self::TooManyUnregistered(_) => "unregistered",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => f.write_str("too many connections: limits.connections_max are there"),
            Self::TooManyOfUser(user @ User::Uid(_)) => {
                write!(f, "too many connections of {user}: it has its share (limits.connections_per_uid_max)")
            }
            Self::TooManyOfUser(user) => {
                write!(f, "too many connections of {user}: it has its share of limits.connections_max")
            }
            Self::TooManyUnregistered(user) => {
                write!(f, "too many connections of {user} that have not registered")
            }
        }
    }
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// The plugin said goodbye: an empty top-level message or an end of the top level.
    Goodbye,
    /// The plugin closed the socket.
    Eof,
    /// The socket failed.
    Broken(String),
    /// The plugin broke the protocol, or passed a limit.
    Link(LinkError),
    /// The first message was not a registration.
    NotRegistered(&'static str),
    /// There is no place for it.
    Refused(Refused),
    /// The name belongs to another plugin.
    NameTaken(Name),
    /// No registration came in time.
    RegistrationTimeout,
    /// Nothing came for [`super::Settings::heartbeat_timeout`].
    Silent,
    /// It kept the relay busy without letting off.
    Flooding,
    /// All connections of its shard cost too much besides payload, and it most of them.
    Overhead,
    /// The relay stops.
    Stopping,
}

impl Leaving {
    /// Whether the relay ended the connection, rather than the plugin.
    #[must_use]
    pub fn is_our_will(&self) -> bool {
        !matches!(self, Self::Goodbye | Self::Eof | Self::Broken(_))
    }

    /// A word for all ends of this kind, by which the log keeps them apart.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Goodbye => "goodbye",
            Self::Eof => "eof",
            Self::Broken(_) => "broken",
            Self::Link(LinkError::Violation(_)) => "violation",
            Self::Link(LinkError::TooManyHalves(_) | LinkError::TooManyOpenings(_)) => "limit",
            Self::NotRegistered(_) => "not_registered",
            Self::Refused(why) => why.kind(),
            Self::NameTaken(_) => "name_taken",
            Self::RegistrationTimeout => "registration_timeout",
            Self::Silent => "silent",
            Self::Flooding => "flooding",
            Self::Overhead => "overhead",
            Self::Stopping => "stopping",
        }
    }
}

impl fmt::Display for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goodbye => f.write_str("the plugin left"),
            Self::Eof => f.write_str("the plugin closed the connection"),
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
            Self::Link(error) => error.fmt(f),
            Self::NotRegistered(what) => write!(f, "not a registration: {what}"),
            Self::Refused(why) => why.fmt(f),
            Self::NameTaken(name) => write!(f, "the name \"{name}\" is taken"),
            Self::RegistrationTimeout => f.write_str("no registration in time"),
            Self::Silent => f.write_str("nothing heard for too long, and pings were not answered"),
            Self::Flooding => f.write_str("a flood of chunks without payload that did not end"),
            Self::Overhead => f.write_str("the relay keeps too much besides payload, and most of it for this plugin"),
            Self::Stopping => f.write_str("the relay is stopping"),
        }
    }
}

impl From<LinkError> for Leaving {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl From<Violation> for Leaving {
    fn from(violation: Violation) -> Self {
        Self::Link(violation.into())
    }
}
