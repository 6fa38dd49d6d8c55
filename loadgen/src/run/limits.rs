//! File descriptors: one for each connection, and those of rings.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Error;

/// Descriptors of a thread's ring: its own, that of its registry, and the one that wakes it.
const OF_RING: u64 = 3;

/// Descriptors that are open beside those: pipes, files.
const OTHERS: u64 = 64;

/// Makes sure that so many connections and rings can be open, by raising the limit as far as we may.
pub(crate) fn make_room(connections: u64, rings: u64) -> Result<(), Error> {
    let needed = connections + rings * OF_RING + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let limit = maximum.filter(|&maximum| maximum < needed).or(current).unwrap_or(needed);
    let raised = Rlimit { current: Some(needed), maximum: maximum.map(|maximum| maximum.max(needed)) };
    setrlimit(Resource::Nofile, raised).map_err(|_| Error::TooFewDescriptors { needed, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        // Never lowered: other tests in this process have sockets open.
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let current = current.expect("no kernel allows any number");
        if maximum.is_none_or(|maximum| maximum > current) {
            make_room(current + 1 - OTHERS, 0).expect("the hard limit is above that");
            assert!(getrlimit(Resource::Nofile).current > Some(current));
        }
        // More than any kernel allows, be it for root.
        let error = make_room(1 << 40, 0).expect_err("nobody has as many");
        assert!(error.to_string().contains("ulimit -Hn 1099511627840"), "{error}");
    }
}
