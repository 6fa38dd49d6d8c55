//! The rate limiter of a plugin, a token bucket: it bounds what a plugin makes the relay do without paying for it by
//! payload, which is pings, credit in small bits, empty messages, opens and ends, parts of next to nothing.
//!
//! Such work is counted in units, about one for each field of a chunk. Payload that comes in the same turn pays for it
//! when another plugin has given credit for it, and so does what the relay has sent to the plugin and it may have to answer:
//! messages, which it may return credit for one by one, pings, ends. Payload that is for the relay itself costs something
//! instead, since credit for it comes back of itself. The rest is taken from a bucket that fills again with time. A plugin
//! whose bucket is empty is not read until it has filled a little: it is slowed, and nobody else is. Only one that does not
//! let off for very long is ended.
//!
//! Answers that the relay gives of its own are taken from the same bucket when they are written, by what they cost. Those
//! of a plugin whose bucket is empty wait as well. Whoever only asks is slowed and never ended for it: a second bucket,
//! from which answers take nothing, says who floods.

use std::time::{Duration, Instant};

use limits::{WORK_BYTES_PER_UNIT, WORK_PAID_BY_BYTES, WORK_TURN_UNITS_MAX};

/// The rate and the burst of unpaid work that a plugin may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Units that come to the bucket each second.
    pub units_per_s: u64,
    /// Units that it holds.
    pub burst_units: u64,
    /// A plugin that floods for this long without its bucket having filled in between is ended.
    pub patience: Duration,
}

/// What follows from the work of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it is read on.
    Fine,
    /// It is not to be read for a while.
    Slow {
        /// For how long.
        until: Instant,
    },
    /// It has flooded for too long.
    Flooding,
}

/// Whether a plugin has been slowed since its bucket was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slowed {
    No,
    /// It has, and the log has not been told.
    Untold,
    Told,
}

/// The token bucket of one plugin.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    /// What is in the bucket; below zero when a turn took more than there was.
    bucket_units: i64,
    /// What would be in there had there been no answers.
    own_units: i64,
    filled_at: Instant,
    /// How far this turn has come, paid for or not.
    steps: u32,
    /// Work of this turn.
    units: u64,
    /// Payload of this turn that was paid for.
    paid_bytes: u64,
    /// What the relay has sent since the last turn that may need an answer.
    refunded_units: u32,
    slowed: Slowed,
    /// Since when it has flooded.
    flooding_since: Option<Instant>,
}

/// More than that is never counted at a time, and all the same.
#[inline]
fn narrow(units: u64) -> u32 {
    units.min(u32::MAX.into()) as u32
}

impl RateLimiter {
    pub(crate) fn new(now: Instant, limits: &RateLimits) -> Self {
        Self {
            bucket_units: limits.burst_units as i64,
            own_units: limits.burst_units as i64,
            filled_at: now,
            steps: 0,
            units: 0,
            paid_bytes: 0,
            refunded_units: 0,
            slowed: Slowed::No,
            flooding_since: None,
        }
    }

    /// The plugin has made work.
    #[inline]
    pub(crate) fn charge(&mut self, units: u64) {
        self.steps = self.steps.saturating_add(narrow(units));
        self.units += units;
    }

    /// The plugin has sent whole messages, of which only empty ones count as work.
    #[inline]
    pub(crate) fn charge_run(&mut self, messages: u64, payload_bytes: u64) {
        self.steps = self.steps.saturating_add(1);
        self.units += messages.saturating_sub(payload_bytes);
        self.paid_bytes += payload_bytes;
    }

    /// Payload has come for which another plugin has given credit.
    #[inline]
    pub(crate) fn refund_bytes(&mut self, bytes: u64) {
        self.paid_bytes += bytes;
    }

    /// Payload has come that is for the relay itself, whatever becomes of it.
    pub(crate) fn charge_own(&mut self, bytes: u64) {
        self.charge(bytes / WORK_BYTES_PER_UNIT);
    }

    /// The relay has given an answer of its own, or a part of it: `units` of work, and so many bytes of it.
    pub(crate) fn charge_answer(&mut self, units: u64, bytes: usize) -> u64 {
        let units = units + (bytes as u64).div_ceil(WORK_BYTES_PER_UNIT);
        self.bucket_units -= units as i64;
        units
    }

    /// Until when the relay is to give no answers of its own, if it is not.
    pub(crate) fn rests_until(&mut self, now: Instant, limits: &RateLimits) -> Option<Instant> {
        self.fill(now, limits);
        (self.bucket_units <= 0).then(|| self.slow(now, limits))
    }

    /// The relay says something to the plugin that it may answer.
    #[inline]
    pub(crate) fn refund(&mut self, units: u64) {
        self.refunded_units = self.refunded_units.saturating_add(narrow(units));
    }

    /// The turn is over, whatever it has taken: what the plugin has said goes on only after something else.
    pub(crate) fn yield_turn(&mut self) {
        self.steps = u32::MAX;
    }

    /// What is in the bucket, as far as it is known.
    #[cfg(test)]
    pub(crate) fn bucket_units(&self) -> i64 {
        self.bucket_units
    }

    /// Whether this turn has taken as long as one may.
    #[inline]
    pub(crate) fn is_turn_over(&self) -> bool {
        u64::from(self.steps) >= WORK_TURN_UNITS_MAX
    }

    /// The turn is over.
    pub(crate) fn end_turn(&mut self, now: Instant, limits: &RateLimits) -> Verdict {
        self.steps = 0;
        let (units, paid) =
            (std::mem::take(&mut self.units), std::mem::take(&mut self.paid_bytes) / WORK_PAID_BY_BYTES);
        let cost = units.saturating_sub(paid);
        if cost == 0 && self.slowed == Slowed::No {
            // Nothing is taken out, so it does not matter yet how much there is.
            return Verdict::Fine;
        }
        self.fill(now, limits);
        self.bucket_units -= cost as i64;
        self.own_units -= cost as i64;
        if self.own_units < 0 {
            let since = *self.flooding_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= limits.patience {
                return Verdict::Flooding;
            }
        }
        if self.bucket_units >= 0 {
            return Verdict::Fine;
        }
        Verdict::Slow { until: self.slow(now, limits) }
    }

    /// The plugin is slowed; until when.
    fn slow(&mut self, now: Instant, limits: &RateLimits) -> Instant {
        if self.slowed == Slowed::No {
            self.slowed = Slowed::Untold;
        }
        self.refilled_at(now, limits)
    }

    /// Whether the plugin is slowed, for the first time since its bucket was full. Tells it once.
    pub(crate) fn take_newly_slowed(&mut self) -> bool {
        let newly = self.slowed == Slowed::Untold;
        if newly {
            self.slowed = Slowed::Told;
        }
        newly
    }

    /// When there is enough for a turn in an empty bucket, so that it is not looked at for nothing.
    fn refilled_at(&self, now: Instant, limits: &RateLimits) -> Instant {
        let missing = WORK_TURN_UNITS_MAX + self.bucket_units.unsigned_abs();
        now + Duration::from_secs_f64(missing as f64 / limits.units_per_s as f64)
    }

    /// Puts into the buckets what time has brought, and what may be answered to the relay.
    fn fill(&mut self, now: Instant, limits: &RateLimits) {
        let elapsed = now.saturating_duration_since(self.filled_at);
        let filled = (elapsed.as_nanos() * u128::from(limits.units_per_s) / 1_000_000_000).min(i64::MAX as u128 / 4);
        if filled > 0 {
            self.filled_at = now;
        }
        let refunded = std::mem::take(&mut self.refunded_units);
        let (most, more) = (limits.burst_units as i64, filled as i64 + i64::from(refunded));
        self.bucket_units = (self.bucket_units + more).min(most);
        self.own_units = (self.own_units + more).min(most);
        if self.bucket_units == most {
            self.slowed = Slowed::No;
        }
        if self.own_units == most {
            self.flooding_since = None;
        }
    }
}

#[cfg(test)]
mod tests;
