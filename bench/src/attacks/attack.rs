//! Somebody who attacks, and the round trips of two who have nothing to do with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Error, Result};
use rustix::process::nice;
use testkit::cpus;

use crate::console;
use crate::lab::case::{Against, Bound, Case, Goal, Variant};
use crate::lab::round::Figures;
use crate::lab::scene::Scene;
use crate::server::Server;
use crate::traffic::end::End;
use crate::traffic::sample::{P50, P99, SERVER_BUSY, Setting};
use crate::traffic::trips;

/// The variants of each case.
pub(super) const QUIET: &str = "quiet";
pub(super) const ATTACKED: &str = "attacked";

/// What all of them are to reach: this much more time for a round trip is not to be noticed.
const P50_RATIO_MAX: f64 = 1.3;
/// Nobody who means well is ended because of it; that those who attack are is up to the relay.
const LOST: &str = "bystanders lost";

/// How many windows round trips are timed for.
const WINDOWS: f64 = 3.0;

/// The lowest priority. With two CPUs the attackers share one with the bystanders, and are not to be taken for the relay.
const NICE: i32 = 19;

/// No plugin of the crowd is pinged: none of them would answer. And nobody is thrown out because the machine is slow.
pub(super) const PATIENT: &str =
    "[bus]\nheartbeat_interval_ms = 3600000\nheartbeat_timeout_ms = 10800000\nregistration_timeout_ms = 60000\n";

/// Does some more of it. An error ends the attack: he has been thrown out.
type Step = Box<dyn FnMut() -> Result<()> + Send>;

/// All who are there beside the bystanders.
#[derive(Default)]
pub(super) struct Stage {
    /// Those who attack, unless it is quiet.
    pub(super) attackers: Vec<Step>,
    /// Those who are there, attack or no attack.
    others: Vec<Step>,
    /// What else is kept until the end.
    kept: Vec<Box<dyn Send>>,
}

impl Stage {
    pub(super) fn attack(mut self, step: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        self.attackers.push(Box::new(step));
        self
    }

    pub(super) fn beside(mut self, step: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        self.others.push(Box::new(step));
        self
    }

    pub(super) fn keep(mut self, what: impl Send + 'static) -> Self {
        self.kept.push(Box::new(what));
        self
    }
}

/// A case in which bystanders are to lose nothing by an attack.
pub(super) fn case(
    name: &'static str,
    title: &'static str,
    run: impl Fn(&Scene, bool) -> Result<Figures> + Copy + 'static,
) -> Case {
    let variants = vec![
        Variant::new(QUIET, move |scene| run(scene, false)),
        Variant::new(ATTACKED, move |scene| run(scene, true)),
    ];
    let goals = vec![
        Goal::new(ATTACKED, P50, Bound::AtMost(P50_RATIO_MAX)).against(Against::Variant(QUIET)),
        Goal::new(ATTACKED, LOST, Bound::AtMost(0.0)),
    ];
    Case::new(name, title, variants, goals)
}

/// Round trips in a fresh relay with this configuration, on which `set_up` has been.
pub(super) fn beside(
    scene: &Scene,
    config: &str,
    is_attacked: bool,
    set_up: impl FnOnce(&mut Server) -> Result<Stage>,
) -> Result<Figures> {
    let mut server = scene.relay(config)?;
    let mut ends = End::pair(&mut server, 0)?;
    let stage = set_up(&mut server)?;
    let (figures, stage) = during(scene, &server, &mut ends, is_attacked, stage, || Ok(Vec::new()))?;
    drop((ends, stage));
    server.stop()?;
    Ok(figures)
}

/// The round trips of a pair while it is attacked, and what is done `meanwhile`, before they are timed. Gives back all who
/// were there, since it is noticed when they leave.
pub(super) fn during(
    scene: &Scene,
    server: &Server,
    ends: &mut [End; 2],
    is_attacked: bool,
    mut stage: Stage,
    meanwhile: impl FnOnce() -> Result<Figures>,
) -> Result<(Figures, Stage)> {
    let stop = AtomicBool::new(false);
    let setting = Setting { window: scene.windows(WINDOWS), ..scene.setting };
    let Stage { attackers, others, .. } = &mut stage;
    let (trips, more, outcomes) = thread::scope(|scope| -> Result<_> {
        let attacking = attackers.iter_mut().filter(|_| is_attacked);
        let threads: Vec<_> = attacking
            .map(|attacker| (true, attacker))
            .chain(others.iter_mut().map(|other| (false, other)))
            .map(|(attacks, who)| (attacks, scope.spawn(|| go_on(who, scene, &stop))))
            .collect();
        thread::sleep(setting.warm_up);
        let more = meanwhile();
        let trips = trips::closed(ends, &setting, server.pid());
        stop.store(true, Ordering::Relaxed);
        let outcomes =
            threads.into_iter().map(|(attacks, who)| (attacks, who.join().expect("an attacker does not panic")));
        Ok((trips, more?, outcomes.collect::<Vec<_>>()))
    })?;
    if let Err(error) = &trips {
        console::complain(format_args!("the bystanders were lost: {error:#}"));
    }
    for (_, outcome) in outcomes.iter().filter(|(attacks, _)| !attacks) {
        outcome.end.iter().for_each(|error| console::complain(format_args!("a bystander was lost: {error:#}")));
    }
    let attackers: Vec<&Outcome> =
        outcomes.iter().filter(|(attacks, _)| *attacks).map(|(_, outcome)| outcome).collect();
    let others_lost = outcomes.iter().filter(|(attacks, outcome)| !attacks && outcome.end.is_some()).count();
    let trip = |name: &str| {
        // A pair that was lost has no times.
        let figures = trips.as_ref().map_or_else(|_| Vec::new(), |sample| sample.figures());
        figures.iter().find(|(figure, _)| *figure == name).map_or(f64::NAN, |(_, value)| *value)
    };
    let mut figures = vec![(P50, trip(P50)), (P99, trip(P99)), ("relay's CPU", trip(SERVER_BUSY))];
    // Nothing added up is minus zero, and is to be printed without a sign.
    figures.push(("steps of the attack/s", attackers.iter().map(|outcome| outcome.steps_per_s).sum::<f64>() + 0.0));
    figures.push(("attackers ended", attackers.iter().filter(|outcome| outcome.end.is_some()).count() as f64));
    figures.push((LOST, (others_lost + 2 * usize::from(trips.is_err())) as f64));
    figures.extend(more);
    Ok((figures, stage))
}

/// How it went for one of them.
struct Outcome {
    steps_per_s: f64,
    /// Why it did not go on to the end.
    end: Option<Error>,
}

/// Goes on until it is to stop.
fn go_on(step: &mut Step, scene: &Scene, stop: &AtomicBool) -> Outcome {
    // Where it may not be moved or made unimportant, it attacks all the same.
    let _ = cpus::pin(&[scene.others_cpu]);
    let _ = nice(NICE);
    let begun = Instant::now();
    let (mut steps, mut end) = (0_u32, None);
    while end.is_none() && !stop.load(Ordering::Relaxed) {
        end = step().err();
        steps += 1;
    }
    Outcome { steps_per_s: f64::from(steps) / begun.elapsed().as_secs_f64(), end }
}
