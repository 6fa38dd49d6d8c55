//! The engine's tests: `memory` needs no kernel, `ring` has the real one.

mod memory;
mod ring;
