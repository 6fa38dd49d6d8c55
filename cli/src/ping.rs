//! `minbus ping`.

use std::time::Duration;

use minbus::{Address, Channel};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::Ping;
use crate::connect::{client, reach};
use crate::failure::Failure;
use crate::json::millis;
use crate::signals::Signals;
use crate::{json, stdout};

#[derive(Serialize)]
struct AnswerLine {
    seq: u64,
    time_ms: f64,
}

/// What was measured.
#[derive(Debug, Default)]
struct Statistics {
    sent: u64,
    answered: u64,
    min: Option<Duration>,
    max: Duration,
    sum: Duration,
    /// In square seconds.
    sum_of_squares: f64,
}

#[derive(Serialize)]
struct SummaryLine {
    name: String,
    sent: u64,
    answered: u64,
    rtt_min_ms: f64,
    rtt_avg_ms: f64,
    rtt_max_ms: f64,
    rtt_mdev_ms: f64,
}

impl Statistics {
    fn add(&mut self, rtt: Duration) {
        self.answered += 1;
        self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        self.max = self.max.max(rtt);
        self.sum += rtt;
        self.sum_of_squares += rtt.as_secs_f64().powi(2);
    }

    fn summary(&self, name: String) -> SummaryLine {
        let count = self.answered.max(1) as f64;
        let average = self.sum.as_secs_f64() / count;
        let variance = (self.sum_of_squares / count - average * average).max(0.0);
        SummaryLine {
            name,
            sent: self.sent,
            answered: self.answered,
            rtt_min_ms: millis(self.min.unwrap_or_default()),
            rtt_avg_ms: millis(Duration::from_secs_f64(average)),
            rtt_max_ms: millis(self.max),
            rtt_mdev_ms: millis(Duration::from_secs_f64(variance.sqrt())),
        }
    }
}

pub(crate) async fn run(bus: Option<Address>, args: Ping) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let bus = client(bus).connect().await?;
    let mut channel = reach(&bus, &args.name, bus.open(&args.name), Some(args.timeout)).await?;
    if !args.json
        && let Some(address) = bus.address()
    {
        stdout::line(format_args!("PING {} over {address}", args.name))?;
    }
    let mut statistics = Statistics::default();
    let result = tokio::select! {
        _ = signals.wait() => Ok(()),
        result = measure(&mut channel, &args, &mut statistics) => result,
    };
    report(&args, &statistics)?;
    result?;
    drop(channel);
    bus.close().await?;
    if statistics.answered == 0 { Err(Failure::runtime("no ping was answered")) } else { Ok(()) }
}

/// Pings until enough was measured.
async fn measure(channel: &mut Channel, args: &Ping, statistics: &mut Statistics) -> Result<(), Failure> {
    let mut next = Instant::now();
    for seq in 1.. {
        statistics.sent += 1;
        match timeout(args.timeout, channel.ping()).await {
            Ok(rtt) => {
                let rtt = rtt.map_err(Failure::incomplete)?;
                statistics.add(rtt);
                print_answer(args, seq, rtt)?;
            }
            Err(_) if !args.json => stdout::line(format_args!("no answer from {}: seq={seq}", args.name))?,
            Err(_) => {}
        }
        if args.count == Some(seq) {
            break;
        }
        next += args.interval;
        sleep_until(next).await;
    }
    Ok(())
}

fn print_answer(args: &Ping, seq: u64, rtt: Duration) -> Result<(), Failure> {
    let answer = AnswerLine { seq, time_ms: millis(rtt) };
    if args.json {
        json::line(&answer)
    } else {
        stdout::line(format_args!("answer from {}: seq={seq} time={:.3} ms", args.name, answer.time_ms))
    }
}

fn report(args: &Ping, statistics: &Statistics) -> Result<(), Failure> {
    let summary = statistics.summary(args.name.to_string());
    if args.json {
        return json::line(&summary);
    }
    stdout::line(format_args!(
        "\n--- {} ping statistics ---\n{} pings, {} answered",
        summary.name, summary.sent, summary.answered
    ))?;
    if summary.answered == 0 {
        return Ok(());
    }
    stdout::line(format_args!(
        "rtt min/avg/max/mdev = {:.3}/{:.3}/{:.3}/{:.3} ms",
        summary.rtt_min_ms, summary.rtt_avg_ms, summary.rtt_max_ms, summary.rtt_mdev_ms
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_a_few() {
        let mut statistics = Statistics { sent: 3, ..Statistics::default() };
        for millis in [1, 3] {
            statistics.add(Duration::from_millis(millis));
        }
        let summary = statistics.summary("x".into());
        assert_eq!((summary.sent, summary.answered), (3, 2));
        assert_eq!((summary.rtt_min_ms, summary.rtt_avg_ms, summary.rtt_max_ms), (1.0, 2.0, 3.0));
        assert_eq!(summary.rtt_mdev_ms, 1.0);
        assert_eq!(Statistics::default().summary("x".into()).rtt_avg_ms, 0.0);
    }
}
