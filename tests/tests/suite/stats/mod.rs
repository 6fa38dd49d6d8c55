//! What the relay tells of itself: who may ask, what an answer looks like, and whether it blames the right one.

use tests::bus::PATIENT;

mod asking;
mod states;

/// Anyone may ask, over TCP too.
fn open_to_anyone() -> String {
    PATIENT.replace("[bus]\n", "[bus]\nstats = \"anyone\"\n")
}
