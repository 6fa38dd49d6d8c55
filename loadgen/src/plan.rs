//! `minbus-load plan`: what a run would do.

use std::fmt::{self, Display};
use std::time::Duration;

use crate::flags::Run;
use crate::scenario::{Phase, SWEEP_PERCENT};
use crate::setup::{Needs, Placement};

/// What a run would do.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) flags: &'a Run,
    pub(crate) phases: &'a [Phase],
}

impl Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.flags.machine;
        let placement = Placement::new(machine);
        let on = |cpus: Vec<usize>| match cpus.as_slice() {
            [] => String::new(),
            cpus => format!(" on CPU {}", cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        };
        match &machine.bus {
            Some(address) => writeln!(f, "relay      the one at {address}")?,
            None => {
                let shards = machine.shards;
                writeln!(f, "relay      a process of its own, shards: {shards}{}", on(placement.relay.clone()))?;
            }
        }
        let cpus = placement.generator.iter().flatten().copied().collect();
        writeln!(f, "generator  threads: {}{}", placement.generator.len(), on(cpus))?;
        for phase in self.phases {
            self.phase(f, phase)?;
        }
        let time: Duration = self.phases.iter().map(Phase::time).sum();
        let needs = Needs::of(self.phases);
        writeln!(f, "\n{:.1} s in all, beside connecting", time.as_secs_f64())?;
        writeln!(f, "at most {} connections and {} channels at once", needs.plugins, needs.channels)?;
        self.outputs(f)
    }
}

impl Plan<'_> {
    fn phase(&self, f: &mut fmt::Formatter<'_>, phase: &Phase) -> fmt::Result {
        let needs = Needs::of(std::slice::from_ref(phase));
        let Phase { name, kind, warm_up, duration, .. } = phase;
        writeln!(f, "\n{name}: {kind}")?;
        let settings: Vec<_> = phase.describe().iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(f, "  {}", settings.join(", "))?;
        writeln!(f, "  plugins: {}, channels: {}", needs.plugins, needs.channels)?;
        let (warm_up, duration) = (warm_up.as_secs_f64(), duration.as_secs_f64());
        for step in phase.first_steps() {
            let label = if step.label.is_empty() { String::new() } else { format!("{}: ", step.label) };
            writeln!(f, "  {label}{warm_up} s of warm-up, {duration} s measured")?;
        }
        if !phase.steps_at(1.0).is_empty() {
            let percent = SWEEP_PERCENT.map(|percent| percent.to_string()).join(", ");
            writeln!(f, "  then the same at {percent} % of what that carried")?;
        }
        Ok(())
    }

    fn outputs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = &self.flags.output;
        for (what, path) in [("JSON", &output.json), ("a page", &output.html), ("histograms", &output.hdr)] {
            if let Some(path) = path {
                writeln!(f, "writes {what} to {}", path.display())?;
            }
        }
        Ok(())
    }
}
