//! An audit of a session: what it holds, for the tests that ask whether it should.

/// Counts of what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Legs.
    pub legs: usize,
    /// Plugins to which it has begun channels.
    pub targets: usize,
    /// Connects that wait for it.
    pub offers: usize,
    /// Ends that wait for credit.
    pub endings: usize,
    /// Opening payloads that are not whole.
    pub openings: usize,
    /// Questions that wait for answers.
    pub answers: usize,
    /// Entries of lists of legs that something is to be done for.
    pub listed: usize,
    /// What the budget counts for the legs, all that is reserved included.
    pub charged_bytes: u64,
    /// Bytes that have come for the legs, or are being sent by the plugin, and have not left the relay.
    pub held_bytes: u64,
}
