//! Connections and watches that the program asks for.

use std::task::{Context, Poll};

use bpmux::Kind;

use super::reader::ReaderId;
use super::writer::WriterId;
use super::{CANCEL_CREDIT, ChannelConfig, Session};
use crate::error::{BusError, OpenError};
use crate::name::Name;

/// How wide the ids are that we ask for: as short as can be.
const ID_WIDTH: usize = 1;

impl Session {
    /// Opens a connection, as soon as there is credit for its opening payload.
    pub(crate) fn poll_open(
        &mut self,
        opening: &[u8],
        channels: ChannelConfig,
        cx: &Context<'_>,
    ) -> Poll<Result<(WriterId, ReaderId), BusError>> {
        self.check_gone()?;
        self.flush_before_opening();
        let window = channels.window.max(super::WINDOW_MIN);
        let Ok(keys) = self.link.open_duplex(ID_WIDTH, opening, window, &mut self.out) else {
            self.wait_for_top_credit(cx);
            return Poll::Pending;
        };
        self.link.grant(keys.writer, CANCEL_CREDIT);
        let (reader, writer) = (self.insert_reader(keys.reader), self.insert_writer(keys.writer));
        self.set_channel(reader, channels);
        Poll::Ready(Ok((writer, reader)))
    }

    /// Waits until the other plugin has accepted: an empty message, before anything else.
    pub(crate) fn poll_accepted(
        &mut self,
        reader: ReaderId,
        name: &Name,
        cx: &Context<'_>,
    ) -> Poll<Result<(), OpenError>> {
        match self.poll_recv(reader, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Some(message))) if message.is_empty() => return Poll::Ready(Ok(())),
            Poll::Ready(_) => {}
        }
        self.check_gone()?;
        let name = name.clone();
        Poll::Ready(Err(match self.reader_end(reader).map(|payload| &payload[..]) {
            Some([]) => OpenError::AlreadyOpen(name),
            Some([wire::end::NO_MEMORY]) => OpenError::NoMemory(name),
            Some([wire::end::NOT_THERE]) => OpenError::Unavailable(name),
            Some([wire::end::VERSION]) => OpenError::VersionTooOld(name),
            Some(_) => BusError::Misbehaved("a connection was refused with a code that does not exist").into(),
            None => BusError::Misbehaved("the first message of a connection must be empty").into(),
        }))
    }

    /// Opens a watch: a stream of messages about plugins.
    pub(crate) fn open_watch(&mut self, channels: ChannelConfig) -> Result<ReaderId, BusError> {
        self.check_gone()?;
        self.flush_before_opening();
        let key =
            self.link.open(Kind::OutStream, &[], 0, &mut self.out).expect("an empty opening payload needs no credit");
        let reader = self.insert_reader(key);
        self.set_channel(reader, channels);
        Ok(reader)
    }

    /// What was ended before must be known to the relay before something is opened in its place.
    pub(super) fn flush_before_opening(&mut self) {
        self.link.flush_owed(&mut self.out, usize::MAX);
    }
}
