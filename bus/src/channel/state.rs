//! The state machines of a leg's two halves: how far each has come to its end.
//!
//! ```text
//!   outlet   Open -- close ---> Closing ----- all before it is out ---> AwaitingCredit -- end is out --> Over
//!   inlet    Open -- cancel --> Cancelling -- the duplex is open -----> AwaitingCredit -- end is out --> Over
//!
//!            from each state: the plugin ends the half itself, or the channel is gone --> Over
//! ```
//!
//! The payload of an end is in [`super::leg::ChannelSetup`] as long as the state is `Closing` or `Cancelling`: most legs have
//! none, and they are many. Only [`super::leg::Leg`] moves both.

/// How far the half that the relay writes has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum OutletState {
    /// Payload may come for it.
    #[default]
    Open,
    /// It is ended when all payload before that is out.
    Closing,
    /// Its end has been begun, and goes out with the credit for it.
    AwaitingCredit,
    /// It is ended towards the plugin, or by it.
    Over,
}

/// How far the half that the relay reads has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum InletState {
    /// The plugin may write.
    #[default]
    Open,
    /// It is cancelled as soon as the duplex is open.
    Cancelling,
    /// Its end has been begun, and goes out with the credit for it. Nothing is taken from it any more.
    AwaitingCredit,
    /// It is ended towards the plugin, or by it.
    Over,
}
