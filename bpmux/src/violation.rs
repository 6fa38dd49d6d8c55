//! Every rule of bpmux/rel that a peer can break, one variant each. A violation ends the connection at once.

/// A rule broken by the peer. The text of each variant quotes the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// Section 1, VarU64.
    #[error("an integer is not in its shortest form: \"Only the shortest form is valid\"")]
    VarintNotShortest,
    /// Section 1, Credit.
    #[error("more payload than credit: \"Spending more than given is a violation\"")]
    CreditExceeded,
    /// Section 1, Credit.
    #[error("too much credit: \"a sum above 2^64-1 is a violation\"")]
    CreditOverflow,
    /// Section 1, Opening.
    #[error("an opening without payload: \"The first chunk opens it, and must have the payload flag\"")]
    OpeningWithoutPayload,
    /// Section 1, Opening.
    #[error("the id of a new duplex is taken: \"A Duplex chunk for an id in use is a violation\"")]
    DuplexIdInUse,
    /// Section 1, Violations.
    #[error("nothing is open there: \"In-* with an id that is not open\"")]
    NotOpen,
    /// Section 1, Messages.
    #[error(
        "payload from a reader: \"on an existing Out-Request or Out-Stream it may only continue a partial opening payload\""
    )]
    PayloadFromReader,
    /// Section 1, Violations.
    #[error("a response and its refusal at once: \"payload and end together on In-Request\"")]
    ResponseWithEnd,
    /// Section 1, Violations.
    #[error("the request has been answered before: \"a second response\"")]
    SecondResponse,
    /// Section 1, Violations.
    #[error("the half has been ended by its sender before: \"a chunk after one's own end\"")]
    ChunkAfterEnd,
    /// Section 1, Ending.
    #[error("the half has been ended by its sender before: \"A second end is a violation\"")]
    SecondEnd,
    /// Section 1, Ending.
    #[error("an ack-end out of the blue: \"an ack-end without an end to answer\"")]
    AckWithoutEnd,
    /// Section 1, Ending.
    #[error("an ack-end that carries more: \"any other flag beside ack-end\"")]
    FlagBesideAck,
    /// Section 1, Partial.
    #[error("a partial payload of nothing: \"an unsigned total, not 0\"")]
    PartialTotalZero,
    /// Section 1, Partial.
    #[error("the total of a partial payload has a leading zero: \"in the shortest form\"")]
    PartialTotalNotShortest,
    /// Section 1, Partial.
    #[error("two partial chunks in a row: \"another Partial right behind one: violation\"")]
    PartialBehindPartial,
    /// Section 1, Partial.
    #[error("a Partial before a chunk with no payload: \"the next chunk must carry payload or end\"")]
    PartialWithoutPayload,
    /// Section 1, Partial.
    #[error("the half is in partial mode already: \"a second Partial on a half that is in partial mode\"")]
    SecondPartial,
    /// Section 1, Partial.
    #[error("parts that add up to too much: \"More than total: violation\"")]
    PartialExceeded,
    /// Section 1, Partial.
    #[error("a message after the first part of an end payload: \"a payload amid a partial end payload: violation\"")]
    PayloadAmidEnd,
}
