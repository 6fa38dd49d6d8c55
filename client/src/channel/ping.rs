//! A ping on a half, and its measured round trip.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use crate::error::PingError;
use crate::session::HalfId;
use crate::shared::Handle;

pub(super) async fn ping(handle: &Handle, id: HalfId) -> Result<Duration, PingError> {
    let start = Instant::now();
    let ticket = handle.with(|session| session.ping_half(id))?;
    poll_fn(|cx| handle.with(|session| session.poll_pong(id, ticket, cx))).await?;
    Ok(start.elapsed())
}
