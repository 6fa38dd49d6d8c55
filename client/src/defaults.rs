//! What channels start from when nothing is chosen for one.

/// What channels to other plugins start from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelDefaults {
    pub(crate) window: u64,
    pub(crate) message_len_max: usize,
}
