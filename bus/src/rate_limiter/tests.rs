//! Work and what pays for it.

use super::*;
use limits::WORK_ANSWER_UNITS;

const LIMITS: RateLimits = RateLimits { units_per_s: 10_000, burst_units: 50_000, patience: Duration::from_secs(60) };

#[test]
fn payload_and_answers_are_free_at_any_speed() {
    let now = Instant::now();
    let mut limiter = RateLimiter::new(now, &LIMITS);
    for _ in 0..10_000 {
        // A buffer of small messages, single ones of a byte, and a credit chunk for each message that was sent to it.
        limiter.charge_run(900, 900 * 64);
        limiter.charge_run(1_000, 1_000);
        limiter.refund(100 * WORK_ANSWER_UNITS);
        limiter.charge(100 * 2);
        assert_eq!(limiter.end_turn(now, &LIMITS), Verdict::Fine);
    }
    // The same credit chunks on a day without messages.
    let turns = (0..).take_while(|_| {
        limiter.charge(100 * 2);
        limiter.end_turn(now, &LIMITS) == Verdict::Fine
    });
    assert_eq!(turns.count(), 250, "as much as the bucket holds");
}

#[test]
fn empty_messages_are_work_however_many_come_at_once() {
    let now = Instant::now();
    let mut limiter = RateLimiter::new(now, &LIMITS);
    limiter.charge_run(50_000, 0);
    assert_eq!(limiter.end_turn(now, &LIMITS), Verdict::Fine);
    limiter.charge_run(1, 0);
    assert!(matches!(limiter.end_turn(now, &LIMITS), Verdict::Slow { .. }) && limiter.take_newly_slowed());
}

/// Floods for a time as the relay lets it; returns the units it got through, and how it ended.
fn flood(limiter: &mut RateLimiter, mut now: Instant, time: Duration) -> (u64, bool, usize) {
    let (end, mut units, mut firsts) = (now + time, 0, 0);
    while now < end {
        limiter.charge(WORK_TURN_UNITS_MAX);
        units += WORK_TURN_UNITS_MAX;
        match limiter.end_turn(now, &LIMITS) {
            Verdict::Fine => now += Duration::from_micros(50),
            Verdict::Slow { until } => {
                assert!(until > now && until < now + Duration::from_secs(1));
                firsts += usize::from(limiter.take_newly_slowed());
                now = until;
            }
            Verdict::Flooding => return (units, true, firsts),
        }
    }
    (units, false, firsts)
}

#[test]
fn a_flood_is_held_to_the_rate_and_ended_when_it_does_not_end() {
    let now = Instant::now();
    let mut limiter = RateLimiter::new(now, &LIMITS);
    let (units, ended, firsts) = flood(&mut limiter, now, Duration::from_secs(10));
    assert!((140_000..=153_000).contains(&units) && !ended && firsts == 1, "{units} {ended} {firsts}");
    // A rest of five seconds fills the bucket, and all is forgotten.
    let later = now + Duration::from_secs(16);
    limiter.charge(1);
    assert_eq!(limiter.end_turn(later, &LIMITS), Verdict::Fine);
    let (_, ended, firsts) = flood(&mut limiter, later, Duration::from_secs(59));
    assert!(!ended && firsts == 1);
    let (_, ended, firsts) = flood(&mut limiter, later + Duration::from_secs(60), Duration::from_secs(10));
    assert!(ended && firsts == 0, "a break that does not fill the bucket is none");
}

#[test]
fn a_turn_is_over_after_so_much_work_or_so_many_runs() {
    let now = Instant::now();
    let mut limiter = RateLimiter::new(now, &LIMITS);
    (0..WORK_TURN_UNITS_MAX).for_each(|_| limiter.charge_run(20, 20 * 64));
    assert!(limiter.is_turn_over());
    limiter.end_turn(now, &LIMITS);
    limiter.charge(WORK_TURN_UNITS_MAX - 1);
    assert!(!limiter.is_turn_over());
}

#[test]
fn whoever_only_asks_is_slowed_and_not_ended() {
    let mut now = Instant::now();
    let mut limiter = RateLimiter::new(now, &LIMITS);
    let (end, mut firsts) = (now + 3 * LIMITS.patience, 0);
    while now < end {
        // A question, and an answer of many names as soon as one is given.
        limiter.charge(2);
        match limiter.end_turn(now, &LIMITS) {
            Verdict::Fine => {}
            Verdict::Slow { until } => now = until,
            Verdict::Flooding => panic!("nothing but questions"),
        }
        match limiter.rests_until(now, &LIMITS) {
            Some(until) => now = until,
            None => _ = limiter.charge_answer(1, 100_000),
        }
        firsts += usize::from(limiter.take_newly_slowed());
    }
    assert_eq!(firsts, 1, "it never let off");
}
