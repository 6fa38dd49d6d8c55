//! `minbus stats`.

use indicatif::{BinaryBytes, HumanDuration};
use minbus::{Address, FlowState, Name, Stats as BusStats};
use serde::Serialize;

use crate::args::Stats;
use crate::connect::client;
use crate::failure::Failure;
use crate::json::millis;
use crate::sample::{Sample, again, label};
use crate::signals::Signals;
use crate::{json, stdout};

#[derive(Serialize)]
struct ShardLine {
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
struct TimesLine {
    idle: f64,
    reader: f64,
    cap: f64,
    egress: f64,
    relay: f64,
}

#[derive(Serialize)]
struct FlowLine {
    writer: String,
    reader: String,
    opened_by_writer: bool,
    state: &'static str,
    share: f64,
    bytes_per_s: f64,
    messages_per_s: f64,
    age_ms: f64,
    times_ms: TimesLine,
    bytes: u64,
    messages: u64,
    stalls: u64,
    credit_bytes: u64,
    banked_bytes: u64,
    held_bytes: u64,
    cap_bytes: u64,
}

impl From<&Sample> for FlowLine {
    fn from(sample: &Sample) -> Self {
        let flow = &sample.flow;
        let time = |state| millis(flow.time(state));
        Self {
            writer: label(&flow.writer),
            reader: label(&flow.reader),
            opened_by_writer: flow.opened_by_writer,
            state: sample.state().name(),
            share: sample.share(),
            bytes_per_s: sample.bytes_per_second(),
            messages_per_s: sample.messages_per_second(),
            age_ms: millis(flow.age),
            times_ms: TimesLine {
                idle: time(FlowState::Idle),
                reader: time(FlowState::Reader),
                cap: time(FlowState::Cap),
                egress: time(FlowState::Egress),
                relay: time(FlowState::Relay),
            },
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
    let bus = client(bus).connect().await?;
    let mut before = bus.stats().await?;
    loop {
        let span = args.watch.unwrap_or(args.over);
        let (stats, mut samples) = tokio::select! {
            // What ends a watch is no failure.
            code = signals.wait() => match args.watch {
                Some(_) => break,
                None => return Err(Failure::signal(code)),
            },
            sampled = again(&bus, &before, span) => sampled?,
        };
        if let Some(name) = &args.name {
            samples.retain(|sample| [&sample.flow.writer, &sample.flow.reader].iter().any(|end| end.name == *name));
            require(&bus, name, &samples).await?;
        }
        // Those that move or wait before those that are idle.
        samples.sort_by_cached_key(|sample| {
            let quiet = sample.state() == FlowState::Idle && sample.bytes_per_second() == 0.0;
            (quiet, label(&sample.flow.writer), label(&sample.flow.reader), !sample.flow.opened_by_writer)
        });
        print(&args, &stats, &samples)?;
        if args.watch.is_none() {
            break;
        }
        before = stats;
    }
    bus.close().await?;
    Ok(())
}

/// A plugin of which nothing is told may have no channels, or not be there.
pub(crate) async fn require(bus: &minbus::Bus, name: &Name, samples: &[Sample]) -> Result<(), Failure> {
    if samples.is_empty() && !bus.list().await?.iter().any(|plugin| plugin.name == *name) {
        return Err(Failure::no_plugin(format!("{name} is not connected to the bus")));
    }
    Ok(())
}

fn print(args: &Stats, stats: &BusStats, samples: &[Sample]) -> Result<(), Failure> {
    if args.json {
        if args.name.is_none() {
            shard_lines(stats).iter().try_for_each(json::line)?;
        }
        return samples.iter().try_for_each(|sample| json::line(&FlowLine::from(sample)));
    }
    let mut text = String::new();
    if args.name.is_none() {
        text += &shards(stats);
    }
    text += &table(samples);
    if args.watch.is_some() {
        text.push('\n');
    }
    stdout::write(text.as_bytes())
}

fn shard_lines(stats: &BusStats) -> Vec<ShardLine> {
    let line = |shard: &minbus::ShardStats| ShardLine {
        shard: shard.shard,
        connections: shard.connections,
        channel_ends: shard.channel_ends,
        memory_bytes: shard.memory_bytes,
        promised_bytes: shard.promised_bytes,
        overhead_memory_bytes: shard.overhead_memory_bytes,
        overhead_bytes: shard.overhead_bytes,
        receive_buffers: shard.receive_buffers,
        receive_buffers_free: shard.receive_buffers_free,
        overflows: shard.overflows,
        ticks: shard.ticks,
    };
    stats.shards.iter().map(line).collect()
}

fn shards(stats: &BusStats) -> String {
    let line = |shard: &minbus::ShardStats| {
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
        label(&flow.writer),
        label(&flow.reader),
        format!("{state} {:.0} %", sample.share() * 100.0),
        format!("{}/s", BinaryBytes(sample.bytes_per_second() as u64)),
        format!("{:.0}/s", sample.messages_per_second()),
        BinaryBytes(flow.held_bytes).to_string(),
        BinaryBytes(flow.credit_bytes).to_string(),
        BinaryBytes(flow.cap_bytes).to_string(),
        flow.stalls.to_string(),
        HumanDuration(flow.age).to_string(),
    ]
}
