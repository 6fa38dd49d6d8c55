//! Places for relays, of which few run at once. Since Linux 6.14 the rings of all processes of a user count against
//! `RLIMIT_MEMLOCK`, which is often 8 MiB, and on a machine with many CPUs many tests run at once.

use std::sync::{Condvar, Mutex, PoisonError};

/// How many there are for the tests of a program.
const PLACES: usize = 2;

static TAKEN: Mutex<usize> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// One of the places, free again when the value is dropped.
#[derive(Debug)]
pub struct Place(());

impl Place {
    /// Waits for one.
    pub fn take() -> Self {
        // Nobody panics here.
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = FREED.wait_while(taken, |taken| *taken >= PLACES).unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Self(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREED.notify_one();
    }
}
