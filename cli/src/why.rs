//! `minbus why`: who waits for whom, followed to the one that waits for nobody.

use std::collections::HashMap;

use indicatif::BinaryBytes;
use minbus::{Address, ConnectionId, End, FlowState, Name};
use serde::Serialize;

use crate::args::Why;
use crate::bus::client;
use crate::failure::Failure;
use crate::output::Output;
use crate::sample::{Label, Sample, again, percent, rate};
use crate::stats::require;

/// The most chains that are told. Between many plugins there may be more than anybody can read.
const CHAINS_MAX: usize = 20;

/// One step: a writer that waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Step {
    writer: Label,
    reader: Label,
    state: &'static str,
    /// None where no time has passed, and so is the rate.
    share: Option<f64>,
    held_bytes: u64,
    cap_bytes: u64,
    bytes_per_s: Option<f64>,
}

/// What stands at the end of a chain.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Root {
    /// A plugin that does not go on though it waits for nobody on the bus.
    Plugin(Label),
    /// The relay's cap on this connection.
    Cap,
    /// The relay itself.
    Relay,
    /// They wait for each other, from this one on, and nothing moves.
    Cycle(Label),
    /// They wait for each other in turns, from this one on.
    Turns(Label),
}

/// Who waits for whom, from the plugin that was asked about to the root.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Chain {
    steps: Vec<Step>,
    root: Root,
}

/// All about one plugin.
#[derive(Debug, PartialEq, Serialize)]
struct Answer {
    name: Label,
    waits: Vec<Chain>,
    /// Those that wait for it.
    held_up: Vec<Step>,
}

pub(crate) async fn run(bus: Option<Address>, args: Why) -> Result<(), Failure> {
    let bus = client(bus).await?;
    let before = bus.stats().await?;
    let mut output = Output::new()?;
    let mut hangup = output.hangup();
    let (_, samples) = tokio::select! {
        failure = &mut hangup => return Err(failure),
        sampled = again(&bus, &before, args.over) => sampled?,
    };
    let answer = answer(&args.name, &samples);
    if !samples.iter().any(|sample| sample.flow.writer.name == args.name) {
        require(&bus, &args.name, &[]).await?;
    }
    if args.json {
        output.json(&answer).await?;
    } else {
        output.write(answer.text()).await?;
    }
    output.finish().await?;
    bus.close().await?;
    Ok(())
}

/// Samples of flows that wait for something else than their writer, by who writes.
struct Waiting<'a>(HashMap<ConnectionId, Vec<&'a Sample>>);

impl<'a> Waiting<'a> {
    fn new(samples: &'a [Sample]) -> Self {
        let mut by_writer = HashMap::<_, Vec<_>>::new();
        for sample in samples.iter().filter(|sample| sample.state() != FlowState::Idle) {
            by_writer.entry(sample.flow.writer.connection).or_default().push(sample);
        }
        Self(by_writer)
    }

    /// The flows in which a plugin waits. One that never carried a byte may be of no use to anybody.
    fn of(&self, end: &End) -> impl Iterator<Item = &'a Sample> {
        let all = self.0.get(&end.connection).into_iter().flatten().copied();
        all.filter(|sample| sample.flow.bytes > 0)
    }

    /// Follows a flow to all its roots.
    fn follow(&self, sample: &'a Sample, path: &mut Vec<&'a Sample>, chains: &mut Vec<Chain>) {
        if chains.len() == CHAINS_MAX {
            return;
        }
        path.push(sample);
        let reader = &sample.flow.reader;
        let circle =
            path.iter().position(|step| step.flow.writer.connection == reader.connection).map(|at| &path[at..]);
        let root = match sample.state() {
            FlowState::Cap => Some(Root::Cap),
            FlowState::Relay => Some(Root::Relay),
            _ if circle.is_some_and(|steps| steps.iter().all(|step| step.is_still())) => {
                Some(Root::Cycle(Label::of(reader)))
            }
            _ if circle.is_some() => Some(Root::Turns(Label::of(reader))),
            _ if self.of(reader).next().is_none() => Some(Root::Plugin(Label::of(reader))),
            _ => None,
        };
        match root {
            Some(root) => chains.push(Chain { steps: path.iter().map(|sample| Step::new(sample)).collect(), root }),
            None => self.of(reader).for_each(|next| self.follow(next, path, chains)),
        }
        path.pop();
    }
}

fn answer(name: &Name, samples: &[Sample]) -> Answer {
    let waiting = Waiting::new(samples);
    let mut waits = Vec::new();
    let all = waiting.0.values().flatten();
    let mut own: Vec<_> = all.clone().filter(|sample| sample.flow.writer.name == *name).copied().collect();
    own.sort_by_key(|sample| sample.flow.key());
    own.into_iter().for_each(|sample| waiting.follow(sample, &mut Vec::new(), &mut waits));
    let by_it = |sample: &&&Sample| {
        let by_reader = matches!(sample.state(), FlowState::Reader | FlowState::Egress);
        by_reader && sample.flow.reader.name == *name && sample.flow.bytes > 0
    };
    let mut held_up: Vec<_> = all.filter(by_it).map(|sample| Step::new(sample)).collect();
    held_up.sort_by(|one, other| one.writer.cmp(&other.writer));
    Answer { name: Label::Plugin(name.clone()), waits, held_up }
}

impl Step {
    fn new(sample: &Sample) -> Self {
        let flow = &sample.flow;
        Self {
            writer: Label::of(&flow.writer),
            reader: Label::of(&flow.reader),
            state: sample.state().name(),
            share: sample.share(),
            held_bytes: flow.held_bytes,
            cap_bytes: flow.cap_bytes,
            bytes_per_s: sample.bytes_per_second(),
        }
    }

    /// As a sentence without its end.
    fn text(&self) -> String {
        let Self { writer, reader, state, share, held_bytes, cap_bytes, bytes_per_s } = self;
        let through = match bytes_per_s.map(|rate| rate as u64) {
            None | Some(0) => String::new(),
            Some(_) => format!(", and {} get through", rate(*bytes_per_s)),
        };
        let percent = format!("{} of the time{through}", percent(*share));
        let held = BinaryBytes(*held_bytes);
        match *state {
            "cap" => format!(
                "{writer} waits for the relay, which lets no more than {} be under way to {reader} ({percent})",
                BinaryBytes(*cap_bytes)
            ),
            "egress" => format!(
                "{writer} waits for {reader}, which does not take what lies ready for it, {held} here ({percent})"
            ),
            "relay" => {
                format!("{writer} waits for the relay, which has not read what was sent to {reader} ({percent})")
            }
            _ => format!("{writer} waits for {reader}, which gives it no credit ({percent})"),
        }
    }
}

impl Chain {
    fn text(&self) -> String {
        let steps: String = self.steps.iter().map(|step| format!("{}.\n", step.text())).collect();
        steps
            + &match &self.root {
                Root::Plugin(name) => format!("{name} waits for nobody on the bus: it is the root.\n"),
                Root::Cap => "The cap of the relay is the root: see credit in its configuration.\n".to_owned(),
                Root::Relay => "The relay is the root: its shard is busy, or short of buffers.\n".to_owned(),
                Root::Cycle(name) => format!(
                    "{name} was here before: they wait for each other in a circle, and none of them goes on by itself.\n"
                ),
                Root::Turns(name) => {
                    format!("{name} was here before: they wait for each other in turns, and all of them get on.\n")
                }
            }
    }
}

impl Answer {
    fn text(&self) -> String {
        let chains: Vec<_> = self.waits.iter().map(Chain::text).collect();
        let mut text = match chains.as_slice() {
            [] => format!("{} waits for nobody on the bus.\n", self.name),
            chains => chains.join("\n"),
        };
        if self.waits.is_empty() {
            text.extend(self.held_up.iter().map(|step| format!("{}.\n", step.text())));
        }
        text
    }
}

#[cfg(test)]
mod tests;
