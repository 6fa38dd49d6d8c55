//! What is left out, and that all of it is told of.

use tracing::subscriber::with_default;
use tracing::{info, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use super::*;
use limits::LOG_LINES_WAITING_MAX;

/// Counts the lines that come through.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<u64>>);

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        *self.0.lock().expect("nobody panicked") += 1;
    }
}

/// How many lines come through while `say` runs, and what was left out.
fn limited(say: impl FnOnce()) -> (u64, Vec<LeftOut>, Arc<Queue>) {
    let queue = Arc::new(Queue::default());
    let limiter = Arc::new(Limiter::new(queue.clone()));
    let count = Count::default();
    with_default(registry().with(count.clone()).with(Limit(limiter.clone())), say);
    let mut left_out = limiter.take_due(None);
    left_out.sort_by(|one, other| one.kind.cmp(&other.kind));
    assert_eq!(limiter.due_at(), None, "all of it is told");
    let count = *count.0.lock().expect("nobody panicked");
    (count, left_out, queue)
}

#[test]
fn each_kind_has_its_own_bucket_and_nothing_is_left_uncounted() {
    const LINES: u64 = 1_000;
    let began = Instant::now();
    let (written, left_out, queue) = limited(|| {
        for number in 0..LINES {
            warn!(kind = "one", number, "ended");
            warn!(kind = "other", number, "ended");
            if number < LOG_BURST_LINES {
                info!(number, "without a kind");
            }
        }
    });
    // A few come in while this runs.
    let new = began.elapsed().as_millis() as u64 / LOG_LINE_INTERVAL_MS;
    assert!((3 * LOG_BURST_LINES..=3 * LOG_BURST_LINES + 2 * new).contains(&written), "{written} lines");
    let kinds: Vec<_> = left_out.iter().map(|left| (left.line.as_str(), left.kind.as_str())).collect();
    assert_eq!(kinds, [("ended", "one"), ("ended", "other")]);
    let sum: u64 = left_out.iter().map(|left| left.lines).sum();
    assert_eq!(written + sum, 2 * LINES + LOG_BURST_LINES);
    assert_eq!(queue.next(None), super::super::queue::Next::Look, "the writer knows that there is something to tell");
}

#[test]
fn debug_and_the_daemon_itself_are_spared() {
    const LINES: u64 = 3 * LOG_BURST_LINES;
    let (written, left_out, _) = limited(|| {
        for _ in 0..LINES {
            tracing::debug!("all that happens");
            info!(target: SPARED, "listening");
        }
    });
    assert_eq!((written, left_out), (2 * LINES, Vec::new()));
}

#[test]
fn kinds_beyond_what_is_kept_share_one() {
    const _: () = assert!(LOG_KINDS_MAX < LOG_LINES_WAITING_MAX, "one line of each fits");
    let (written, left_out, _) = limited(|| {
        for number in 0..LOG_KINDS_MAX as u64 + 3 * LOG_BURST_LINES {
            warn!(kind = number.to_string().as_str(), "ended");
        }
    });
    let [others] = left_out.as_slice() else { panic!("{left_out:?}") };
    assert_eq!(others.line, "lines of other kinds");
    assert_eq!(written + others.lines, LOG_KINDS_MAX as u64 + 3 * LOG_BURST_LINES);
}

#[test]
fn tokens_come_back_one_by_one_and_what_was_left_out_is_due_in_time() {
    let now = Instant::now();
    let at = |ms| now + Duration::from_millis(ms);
    let mut bucket = Bucket::new("line".into(), "kind".into(), now);
    assert!((0..LOG_BURST_LINES).all(|_| bucket.take(now)));
    assert_eq!(bucket.due_at(), None);
    assert!(!bucket.take(now));
    assert_eq!(bucket.due_at(), Some(at(LOG_LEFT_OUT_INTERVAL_MS)));
    assert!(!bucket.take(at(LOG_LINE_INTERVAL_MS - 1)));
    assert_eq!([bucket.take(at(LOG_LINE_INTERVAL_MS)), bucket.take(at(LOG_LINE_INTERVAL_MS))], [true, false]);
    assert_eq!(bucket.take_due(Some(at(LOG_LEFT_OUT_INTERVAL_MS - 1))), None);
    let told = bucket.take_due(Some(at(LOG_LEFT_OUT_INTERVAL_MS))).expect("it is time");
    assert_eq!(told, LeftOut { line: "line".into(), kind: "kind".into(), lines: 3 });
    assert_eq!(bucket.take_due(None), None);
    // After a long silence there is a burst again, and no more than that.
    let later = at(1_000_000_000);
    assert_eq!((0..1_000).filter(|_| bucket.take(later)).count() as u64, LOG_BURST_LINES);
}
