//! What is known of one direction of a channel at both of its ends.

/// One direction of a channel, as its writer knows it and as its reader found it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) messages: u32,
    pub(super) empties: u32,
    /// Bytes that the relay lets the writer send.
    pub(super) granted: u64,
    /// Bytes that the reader lets the relay send, once the two are known to belong together.
    pub(super) given: Option<u64>,
    /// The writer has left, and had said all it wanted to.
    pub(super) left_in_peace: bool,
}

impl Flow {
    /// Whether a message has come to its reader.
    pub(super) fn arrived(&self) -> bool {
        self.given.is_some()
    }

    /// No more reaches the writer than the reader has given.
    pub(super) fn check_credit(&self) {
        if let Some(given) = self.given {
            assert!(self.granted <= given, "the relay invented credit: {self:?}");
        }
    }
}
