//! `minbus stats`.

use std::time::Duration;

use indicatif::{BinaryBytes, HumanDuration};
use minbus::{Address, Bus, FlowState, Name, ShardStats, Stats as BusStats};
use serde::{Serialize, Serializer};

use crate::args::Stats;
use crate::bus::{client, leave, part};
use crate::failure::{Code, Failure};
use crate::json::millis;
use crate::output::Output;
use crate::sample::{Label, Sample, again, percent, rate};
use crate::signals::Signals;

#[derive(Serialize)]
#[serde(remote = "ShardStats")]
struct ShardFields {
    shard: u16,
    connections: u64,
    channel_ends: u64,
    memory_bytes: u64,
    promised_bytes: u64,
    overhead_memory_bytes: u64,
    overhead_bytes: u64,
    receive_buffers: u64,
    receive_buffers_free: u64,
    overflows: u64,
    ticks: u64,
}

#[derive(Serialize)]
struct ShardLine<'a>(#[serde(with = "ShardFields")] &'a ShardStats);

#[derive(Serialize)]
struct FlowLine {
    writer: Label,
    reader: Label,
    opened_by_writer: bool,
    state: &'static str,
    /// None where no time has passed since it was opened, and so are the rates.
    share: Option<f64>,
    bytes_per_s: Option<f64>,
    messages_per_s: Option<f64>,
    age_ms: f64,
    times_ms: Times,
    bytes: u64,
    messages: u64,
    stalls: u64,
    credit_bytes: u64,
    banked_bytes: u64,
    held_bytes: u64,
    cap_bytes: u64,
}

/// By what was waited for, in the order of [`FlowState::ALL`].
struct Times([Duration; 5]);

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(FlowState::ALL.map(|state| (state.name(), millis(self.0[state as usize]))))
    }
}

impl From<&Sample> for FlowLine {
    fn from(sample: &Sample) -> Self {
        let flow = &sample.flow;
        Self {
            writer: Label::of(&flow.writer),
            reader: Label::of(&flow.reader),
            opened_by_writer: flow.opened_by_writer,
            state: sample.state().name(),
            share: sample.share(),
            bytes_per_s: sample.bytes_per_second(),
            messages_per_s: sample.messages_per_second(),
            age_ms: millis(flow.age),
            times_ms: Times(flow.times),
            bytes: flow.bytes,
            messages: flow.messages,
            stalls: flow.stalls,
            credit_bytes: flow.credit_bytes,
            banked_bytes: flow.banked_bytes,
            held_bytes: flow.held_bytes,
            cap_bytes: flow.cap_bytes,
        }
    }
}

pub(crate) async fn run(bus: Option<Address>, args: Stats) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let bus = signals.or(client(bus)).await?;
    let mut output = Output::new()?;
    let mut hangup = output.hangup();
    let looked = tokio::select! {
        signal = signals.wait() => Err(signal),
        failure = &mut hangup => return Err(failure),
        result = look(&bus, &args, &mut output) => Ok(result?),
    };
    match looked {
        Ok(()) => {
            signals.or(output.finish()).await?;
            leave(&bus, &mut signals).await
        }
        // What ends a watch is no failure.
        Err(signal) if args.watch.is_some() => {
            output.part(signal).await?;
            part(&bus).await;
            Ok(())
        }
        Err(signal) => Err(Failure::signal(signal)),
    }
}

/// Prints what goes on, once or again and again.
async fn look(bus: &Bus, args: &Stats, output: &mut Output) -> Result<(), Failure> {
    let mut before = bus.stats().await?;
    loop {
        let (stats, mut samples) = again(bus, &before, args.watch.unwrap_or(args.over)).await?;
        if let Some(name) = &args.name {
            samples.retain(|sample| [&sample.flow.writer, &sample.flow.reader].iter().any(|end| end.name == *name));
            require(bus, name, &samples).await?;
        }
        // Those that move or wait before those that are idle.
        samples.sort_by_cached_key(|sample| {
            let quiet = sample.state() == FlowState::Idle && sample.is_still();
            (quiet, Label::of(&sample.flow.writer), Label::of(&sample.flow.reader), !sample.flow.opened_by_writer)
        });
        print(args, &stats, &samples, output).await?;
        if args.watch.is_none() {
            return Ok(());
        }
        before = stats;
    }
}

/// A plugin of which nothing is told may have no channels, or not be there.
pub(crate) async fn require(bus: &Bus, name: &Name, samples: &[Sample]) -> Result<(), Failure> {
    if samples.is_empty() && !bus.list().await?.iter().any(|plugin| plugin.name == *name) {
        return Err(Failure::new(Code::NoPlugin, format!("{name} is not connected to the bus")));
    }
    Ok(())
}

async fn print(args: &Stats, stats: &BusStats, samples: &[Sample], output: &mut Output) -> Result<(), Failure> {
    if args.json {
        let shards = if args.name.is_none() { &stats.shards[..] } else { &[] };
        for shard in shards {
            output.json(&ShardLine(shard)).await?;
        }
        for sample in samples {
            output.json(&FlowLine::from(sample)).await?;
        }
        return Ok(());
    }
    let mut text = String::new();
    if args.name.is_none() {
        text += &shards(stats);
    }
    text += &table(samples);
    if args.watch.is_some() {
        text.push('\n');
    }
    output.write(text).await
}

fn shards(stats: &BusStats) -> String {
    let line = |shard: &ShardStats| {
        let warning = match shard.overflows {
            0 => String::new(),
            count => format!(", {count} OVERFLOWS of the completion queue"),
        };
        format!(
            "shard {}: {} connections, {} ends of channels, {} of {} promised, {} of {} beside payload, {} of {} receive buffers free{warning}\n",
            shard.shard,
            shard.connections,
            shard.channel_ends,
            BinaryBytes(shard.promised_bytes),
            BinaryBytes(shard.memory_bytes),
            BinaryBytes(shard.overhead_bytes),
            BinaryBytes(shard.overhead_memory_bytes),
            shard.receive_buffers_free,
            shard.receive_buffers,
        )
    };
    stats.shards.iter().map(line).collect()
}

/// The flows in columns.
fn table(samples: &[Sample]) -> String {
    let head = ["writer", "reader", "waits for", "rate", "messages", "held", "credit", "cap", "stalls", "open for"];
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(samples.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 10] = std::array::from_fn(width);
    let line = |row: &[String; 10]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(sample: &Sample) -> [String; 10] {
    let flow = &sample.flow;
    // What a flow waits for that is idle is its writer.
    let state = match sample.state() {
        FlowState::Idle => "writer",
        state => state.name(),
    };
    [
        Label::of(&flow.writer).to_string(),
        Label::of(&flow.reader).to_string(),
        format!("{state} {}", percent(sample.share())),
        rate(sample.bytes_per_second()),
        sample.messages_per_second().map_or_else(|| "-".to_owned(), |rate| format!("{rate:.0}/s")),
        BinaryBytes(flow.held_bytes).to_string(),
        BinaryBytes(flow.credit_bytes).to_string(),
        BinaryBytes(flow.cap_bytes).to_string(),
        flow.stalls.to_string(),
        HumanDuration(flow.age).to_string(),
    ]
}
