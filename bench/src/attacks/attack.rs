//! Somebody who attacks, and the round trips of two who have nothing to do with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Error, Result};
use rustix::process::nice;

use crate::baseline::cpu;
use crate::baseline::goals::Bound;
use crate::baseline::line::Line;
use crate::baseline::round_trip;
use crate::baseline::sample::{Sample, Setting};
use crate::baseline::server::Server;
use crate::console;
use crate::credit::case::{Against, Case, Figures, Goal, Variant};
use crate::credit::scene::Scene;

/// The variants of each case.
pub(super) const QUIET: &str = "quiet";
pub(super) const ATTACKED: &str = "attacked";

/// What all of them are to reach: this much more time for a round trip is not to be noticed.
const P50_RATIO_MAX: f64 = 1.3;
const P50: &str = "p50 us";
/// Nobody who means well is ended because of it; that those who attack are is up to the relay.
const LOST: &str = "bystanders lost";

/// What bystanders ask and answer, in bytes.
const TRIP_SIZE: usize = 64;
/// How many windows round trips are timed for.
const WINDOWS: f64 = 3.0;

/// The lowest priority. With two CPUs the attackers share one with the bystanders, and are not to be taken for the relay.
const NICE: i32 = 19;

/// No plugin of the crowd is pinged: none of them would answer. And nobody is thrown out because the machine is slow.
pub(super) const PATIENT: &str =
    "[bus]\nheartbeat_interval_ms = 3600000\nheartbeat_timeout_ms = 10800000\nregistration_timeout_ms = 60000\n";

/// Somebody who attacks.
pub(super) trait Attack: Send {
    /// Does some more of it. An error ends the attack: he has been thrown out.
    fn step(&mut self) -> Result<()>;
}

/// All who are there beside the bystanders.
pub(super) struct Stage {
    /// Those who attack, unless it is quiet.
    pub(super) attackers: Vec<Box<dyn Attack>>,
    /// Those who are there, attack or no attack.
    pub(super) others: Vec<Box<dyn Attack>>,
    /// What else is kept until the end.
    pub(super) kept: Vec<Box<dyn Send>>,
}

/// A case in which bystanders are to lose nothing by an attack.
pub(super) fn case(
    name: &'static str,
    title: &'static str,
    run: impl Fn(&Scene, bool) -> Result<Figures> + Copy + 'static,
) -> Case {
    Case {
        name,
        title,
        variants: vec![
            Variant::new(QUIET, move |scene| run(scene, false)),
            Variant::new(ATTACKED, move |scene| run(scene, true)),
        ],
        goals: vec![
            Goal::new(ATTACKED, P50, Bound::AtMost(P50_RATIO_MAX)).against(Against::Variant(QUIET)),
            Goal::new(ATTACKED, LOST, Bound::AtMost(0.0)),
        ],
    }
}

/// Round trips in a fresh relay with this configuration, on which `set_up` has been.
pub(super) fn beside(
    scene: &Scene,
    config: &str,
    is_attacked: bool,
    set_up: impl FnOnce(&mut Server) -> Result<Stage>,
) -> Result<Figures> {
    let mut server = scene.relay(config)?;
    let mut lines = Line::pair(&mut server, 0)?;
    let stage = set_up(&mut server)?;
    let (figures, stage) = during(scene, &server, &mut lines, is_attacked, stage, || Ok(Vec::new()))?;
    drop((lines, stage));
    server.stop()?;
    Ok(figures)
}

/// The round trips of a pair while it is attacked, and what is done `meanwhile`, before they are timed. Gives back all who
/// were there, since it is noticed when they leave.
pub(super) fn during(
    scene: &Scene,
    server: &Server,
    lines: &mut [Line; 2],
    is_attacked: bool,
    mut stage: Stage,
    meanwhile: impl FnOnce() -> Result<Figures>,
) -> Result<(Figures, Stage)> {
    let stop = AtomicBool::new(false);
    let setting = Setting { window: scene.windows(WINDOWS), ..scene.setting.clone() };
    let Stage { attackers, others, .. } = &mut stage;
    let (trips, more, outcomes) = thread::scope(|scope| -> Result<_> {
        let attacking = attackers.iter_mut().filter(|_| is_attacked);
        let threads: Vec<_> = attacking
            .map(|attacker| (true, attacker))
            .chain(others.iter_mut().map(|other| (false, other)))
            .map(|(attacks, who)| (attacks, scope.spawn(|| go_on(who.as_mut(), scene, &stop))))
            .collect();
        thread::sleep(setting.warm_up);
        let more = meanwhile();
        let trips = round_trip::between(lines, server.pid(), &setting, TRIP_SIZE);
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
    let mut figures = of_trips(trips.as_ref().ok());
    // Nothing added up is minus zero, and is to be printed without a sign.
    figures.push(("steps of the attack/s", attackers.iter().map(|outcome| outcome.steps_per_s).sum::<f64>() + 0.0));
    figures.push(("attackers ended", attackers.iter().filter(|outcome| outcome.end.is_some()).count() as f64));
    figures.push((LOST, (others_lost + 2 * usize::from(trips.is_err())) as f64));
    figures.extend(more);
    Ok((figures, stage))
}

/// What the times say. A pair that was lost has none.
fn of_trips(sample: Option<&Sample>) -> Figures {
    let of = |figure: fn(&Sample) -> f64| sample.map_or(f64::NAN, figure);
    vec![
        (P50, of(|sample| sample.p50_ns() / 1e3)),
        ("p99 us", of(|sample| sample.p99_ns() / 1e3)),
        ("relay's CPU", of(|sample| sample.busy()[0])),
    ]
}

/// How it went for one of them.
struct Outcome {
    steps_per_s: f64,
    /// Why it did not go on to the end.
    end: Option<Error>,
}

/// Goes on until it is to stop.
fn go_on(who: &mut dyn Attack, scene: &Scene, stop: &AtomicBool) -> Outcome {
    // Where it may not be moved or made unimportant, it attacks all the same.
    let _ = cpu::pin(&[scene.others_cpu]);
    let _ = nice(NICE);
    let begun = Instant::now();
    let (mut steps, mut end) = (0_u32, None);
    while end.is_none() && !stop.load(Ordering::Relaxed) {
        end = who.step().err();
        steps += 1;
    }
    Outcome { steps_per_s: f64::from(steps) / begun.elapsed().as_secs_f64(), end }
}
