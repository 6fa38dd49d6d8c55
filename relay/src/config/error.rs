//! What can be wrong with a configuration, said so that it can be put right: the place, the key, the value, and what
//! would be right. All that is wrong is said at once.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{file}: {source}")]
    Syntax {
        /// The file.
        file: String,
        /// Where and why, with the line itself.
        source: toml::de::Error,
    },
    /// It can be read, and says things that cannot be.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// The key and the value as given, or what is missing.
    pub what: String,
    /// What would be right.
    pub expected: String,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file, at a line and column that count from 1.
    File {
        /// Its name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// On the command line, or nowhere.
    Elsewhere,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Place::File { file, line, column } = &self.place {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        write!(f, "{}: {}", self.what, self.expected)
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
