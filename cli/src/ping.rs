//! `minbus ping`.

use std::time::Duration;

use minbus::{Address, Channel, Name};
use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout};

use crate::args::Ping;
use crate::bus::{client, leave, part};
use crate::connect::reach;
use crate::failure::{Code, Failure};
use crate::json::{Exact, millis};
use crate::output::{Output, PARTING};
use crate::signals::Signals;

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
struct SummaryLine<'a> {
    name: Exact<'a>,
    sent: u64,
    answered: u64,
    /// None where nothing was answered.
    rtt_min_ms: Option<f64>,
    rtt_avg_ms: Option<f64>,
    rtt_max_ms: Option<f64>,
    rtt_mdev_ms: Option<f64>,
}

impl Statistics {
    fn add(&mut self, rtt: Duration) {
        self.answered += 1;
        self.min = Some(self.min.map_or(rtt, |min| min.min(rtt)));
        self.max = self.max.max(rtt);
        self.sum += rtt;
        self.sum_of_squares += rtt.as_secs_f64().powi(2);
    }

    fn summary<'a>(&self, name: &'a Name) -> SummaryLine<'a> {
        let measured = |time: Duration| (self.answered > 0).then(|| millis(time));
        let count = self.answered.max(1) as f64;
        let average = self.sum.as_secs_f64() / count;
        let variance = (self.sum_of_squares / count - average * average).max(0.0);
        SummaryLine {
            name: Exact(name),
            sent: self.sent,
            answered: self.answered,
            rtt_min_ms: self.min.map(millis),
            rtt_avg_ms: measured(Duration::from_secs_f64(average)),
            rtt_max_ms: measured(self.max),
            rtt_mdev_ms: measured(Duration::from_secs_f64(variance.sqrt())),
        }
    }
}

pub(crate) async fn run(bus: Option<Address>, args: Ping) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let bus = signals.or(client(bus)).await?;
    let mut output = Output::new()?;
    let mut hangup = output.hangup();
    let open = reach(&bus, &args.name, bus.open(&args.name), Some(args.timeout));
    let mut channel = tokio::select! {
        signal = signals.wait() => return Err(Failure::signal(signal)),
        failure = &mut hangup => return Err(failure),
        channel = open => channel?,
    };
    let mut statistics = Statistics::default();
    let measuring = async {
        if !args.json
            && let Some(address) = bus.address()
        {
            output.line(format_args!("PING {} over {address}", args.name)).await?;
        }
        measure(&mut channel, &args, &mut statistics, &mut output).await
    };
    let stopped = tokio::select! {
        signal = signals.wait() => Ok(Some(signal)),
        failure = &mut hangup => return Err(failure),
        result = measuring => result.map(|()| None),
    };
    let report = async {
        report(&args, &statistics, &mut output).await?;
        output.finish().await
    };
    drop(channel);
    match stopped {
        Ok(Some(signal)) => {
            timeout(PARTING, report).await.unwrap_or_else(|_| Err(Failure::signal(signal)))?;
            part(&bus).await;
        }
        Ok(None) => {
            signals.or(report).await?;
            leave(&bus, &mut signals).await?;
        }
        Err(failure) => {
            signals.or(report).await?;
            return Err(failure);
        }
    }
    if statistics.answered == 0 { Err(Failure::runtime("no ping was answered")) } else { Ok(()) }
}

/// Pings until enough was measured.
async fn measure(
    channel: &mut Channel,
    args: &Ping,
    statistics: &mut Statistics,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut due = Instant::now();
    for seq in 1.. {
        statistics.sent += 1;
        match timeout(args.timeout, channel.ping()).await {
            Ok(rtt) => {
                let rtt = rtt.map_err(|error| Failure::new(Code::Incomplete, error))?;
                statistics.add(rtt);
                print_answer(args, seq, rtt, output).await?;
            }
            Err(_) if !args.json => output.line(format_args!("no answer from {}: seq={seq}", args.name)).await?,
            Err(_) => {}
        }
        if args.count == Some(seq) {
            break;
        }
        due = next_due(due, args.interval, Instant::now());
        sleep_until(due).await;
    }
    Ok(())
}

/// When to ping again. What was missed, in a stall or for want of an answer, is not made up for.
fn next_due(due: Instant, interval: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due);
    let missed = late.as_nanos().checked_div(interval.as_nanos()).unwrap_or(0);
    let missed = u32::try_from(missed).map_or(late, |missed| interval * missed);
    due + missed + interval
}

async fn print_answer(args: &Ping, seq: u64, rtt: Duration, output: &mut Output) -> Result<(), Failure> {
    let answer = AnswerLine { seq, time_ms: millis(rtt) };
    if args.json {
        output.json(&answer).await
    } else {
        output.line(format_args!("answer from {}: seq={seq} time={:.3} ms", args.name, answer.time_ms)).await
    }
}

async fn report(args: &Ping, statistics: &Statistics, output: &mut Output) -> Result<(), Failure> {
    let summary = statistics.summary(&args.name);
    if args.json {
        return output.json(&summary).await;
    }
    let mut text =
        format!("\n--- {} ping statistics ---\n{} pings, {} answered\n", args.name, summary.sent, summary.answered);
    let SummaryLine { rtt_min_ms, rtt_avg_ms, rtt_max_ms, rtt_mdev_ms, .. } = summary;
    if let (Some(min), Some(avg), Some(max), Some(mdev)) = (rtt_min_ms, rtt_avg_ms, rtt_max_ms, rtt_mdev_ms) {
        text += &format!("rtt min/avg/max/mdev = {min:.3}/{avg:.3}/{max:.3}/{mdev:.3} ms\n");
    }
    output.write(text).await
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
        let name = Name::new("x").unwrap();
        let summary = statistics.summary(&name);
        assert_eq!((summary.sent, summary.answered), (3, 2));
        assert_eq!((summary.rtt_min_ms, summary.rtt_avg_ms, summary.rtt_max_ms), (Some(1.0), Some(2.0), Some(3.0)));
        assert_eq!(summary.rtt_mdev_ms, Some(1.0));
    }

    #[test]
    fn what_was_not_measured_is_null() {
        let summary = crate::json::text(&Statistics { sent: 2, ..Statistics::default() }.summary(&Name::default()));
        let nulls = r#""rtt_min_ms":null,"rtt_avg_ms":null,"rtt_max_ms":null,"rtt_mdev_ms":null"#;
        assert_eq!(summary.unwrap(), format!(r#"{{"name":"","sent":2,"answered":0,{nulls}}}"#));
    }

    #[test]
    fn missed_pings_are_not_made_up_for() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let after = |now: f64, interval| next_due(start, interval, start + Duration::from_secs_f64(now)) - start;
        assert_eq!(after(0.1, second), second, "in time");
        assert_eq!(after(1.5, second), 2 * second, "one was missed");
        assert_eq!(after(7_200.5, second), 7_201 * second, "the machine has slept");
        assert_eq!(after(3.0, Duration::ZERO), Duration::ZERO, "as fast as it goes");
        let longest = after(1e9, Duration::from_nanos(1));
        assert!(longest >= Duration::from_secs(1_000_000_000), "{longest:?}");
    }
}
