//! A writer and a reader that talk through memory, without socket or relay: how fast are they by themselves?

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::batch::Batch;
use engine::driver::Token;

use super::build;
use crate::scenario::Phase;
use crate::traffic::flow::Moment;
use crate::traffic::plugin::Plugin;
use crate::traffic::topology::Topology;
use crate::traffic::verifier::Verdict;
use crate::traffic::world::World;

/// Exchanges between two looks at the clock.
const EXCHANGES: u32 = 64;

/// Stands where a socket would be.
const NO_SOCKET: Token = Token(0);

/// One thread that has both ends.
pub(crate) struct Loop {
    world: World,
    plugins: [Plugin; 2],
    batch: Batch,
    bytes: Vec<u8>,
}

impl Loop {
    /// The first pair of a phase.
    pub(crate) fn new(phase: &Phase) -> Self {
        let step = phase.first_steps().remove(0);
        let topology: Arc<Topology> = Arc::new(build::topology(phase, &step, "memory".into(), 1));
        let plugin = |number: u32| {
            let spec = &topology.plugins[number as usize];
            Plugin::new(number, NO_SOCKET, topology.name(number), spec.opens.clone(), spec.expects).directly()
        };
        let plugins = [plugin(0), plugin(1)];
        let moment = Moment { now: 0, opens: true, begun: true, stop: u64::MAX, give_up: u64::MAX };
        Self { world: World::new(topology, moment), plugins, batch: Batch::new(), bytes: Vec::new() }
    }

    /// Runs for a while; returns the messages that were checked in each second, or 0 if one was wrong.
    pub(crate) fn run(mut self, duration: Duration) -> f64 {
        let begun = Instant::now();
        let mut right = true;
        while right && begun.elapsed() < duration {
            right = (0..EXCHANGES).all(|_| self.carry(0, 1) && self.carry(1, 0));
        }
        let messages = self.world.flows[0].measured.arrived;
        let per_s = messages as f64 / begun.elapsed().as_secs_f64();
        if right && self.verdict().is_faultless() { per_s } else { 0.0 }
    }

    /// Carries what one has to say to the other; says whether that understood it.
    fn carry(&mut self, from: usize, to: usize) -> bool {
        self.plugins[from].fill(&mut self.batch, &mut self.world);
        self.bytes.clear();
        self.batch.copy_to(&mut self.bytes);
        self.batch.clear(|block| self.world.copies.give_back(block));
        self.plugins[to].read(&mut self.bytes, &mut self.world).is_ok()
    }

    fn verdict(&mut self) -> Verdict {
        for (_, end) in &mut self.world.ends {
            end.give_account(&mut self.world.flows[0]);
        }
        self.world.flows[0].measured.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Kind;
    use crate::scenario::settings::Settings;

    /// What plugins do of all kinds that need no relay, without time or sockets.
    fn check(settings: Settings) {
        let phase = settings.clone().check().expect("valid");
        let mut memory = Loop::new(&phase);
        for _ in 0..200 {
            assert!(memory.carry(0, 1) && memory.carry(1, 0), "{settings:?}");
        }
        memory.world.moment = Moment { now: 2, stop: 1, ..memory.world.moment };
        for plugin in &mut memory.plugins {
            plugin.queue_all(&mut memory.world.ends);
        }
        for _ in 0..200 {
            assert!(memory.carry(0, 1) && memory.carry(1, 0), "{settings:?}");
        }
        let verdict = memory.world.flows[0].measured.verdict;
        assert!(verdict.is_clean() && verdict.received > 0, "{settings:?}: {verdict:?}");
        assert!(memory.plugins.iter().all(|plugin| plugin.channels_left == 0), "{settings:?}");
    }

    #[test]
    fn what_is_written_is_read_and_closed_with_the_right_count() {
        let flood = Settings { scenario: Some(Kind::Flood), ..Settings::default() };
        let size = |text: &str| Some(text.parse().expect("a size"));
        for text in ["16", "64", "100", "300", "5000", "64 KiB", "1000001", "6 MiB", "16..100", "16..40 KiB"] {
            check(Settings { size: size(text), ..flood.clone() });
        }
        let rpc = Settings { scenario: Some(Kind::Rpc), ..Settings::default() };
        for in_flight in [1, 7, 1000] {
            check(Settings { in_flight: Some(in_flight), ..rpc.clone() });
            check(Settings { in_flight: Some(in_flight), response_size: size("16..9000"), ..rpc.clone() });
        }
    }
}
