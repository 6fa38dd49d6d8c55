//! What is to be said about the numbers beside them, the same in all forms of a report: what may have spoiled them, what
//! they do not show, and whether all has arrived.

use super::model::{Report, Step};
use super::text;
use crate::traffic::verifier::Verdict;

/// The share of the time spent waiting for a CPU from which on it is worth a word.
const CONTENTION_MIN: f64 = 0.005;

/// What the reader of the numbers has to know, a sentence each.
pub(crate) fn warnings(report: &Report) -> Vec<String> {
    let mut warnings: Vec<String> = contention(report).into_iter().collect();
    for (phase, step) in report.steps() {
        let title = phase.title(step);
        for flow in &step.flows {
            if flow.unsent > 0 {
                let unsent = text::whole(flow.unsent);
                warnings.push(format!(
                    "{title}: {unsent} messages were due and could not be sent; they count as late as they were then"
                ));
            }
            if flow.elided > 0 {
                let elided = text::whole(flow.elided);
                warnings.push(format!(
                    "{title}: of {elided} visits the relay told watchers neither the join nor the leave"
                ));
            }
        }
    }
    warnings
}

/// Which share of the time threads that could have run did not, because something else had their CPUs, in the step in which
/// it was most: that of the relay, and that of the generator.
pub(crate) fn contention_shares(report: &Report) -> [f64; 2] {
    let most = |of: fn(&Step) -> f64| report.steps().map(|(_, step)| of(step)).fold(0.0, f64::max);
    // The kernel counts each thread by itself.
    let relay =
        most(|step| step.relay_waited_share.unwrap_or(0.0)) / f64::from(report.relay.shards.unwrap_or(1).max(1));
    let generator = most(|step| step.generator_waited_share) / report.generator.threads.max(1) as f64;
    [relay, generator]
}

fn contention(report: &Report) -> Option<String> {
    let [relay, generator] = contention_shares(report);
    let percent = |share: f64| format!("{} %", text::digits(share * 100.0));
    let waited = |who, share| format!("{who} was runnable but not running {} of the time", percent(share));
    let who = match (relay >= CONTENTION_MIN, generator >= CONTENTION_MIN) {
        (true, true) => format!("{}, the generator {}", waited("the relay", relay), percent(generator)),
        (true, false) => waited("the relay", relay),
        (false, true) => waited("the generator", generator),
        (false, false) => return None,
    };
    let when = if report.steps().count() > 1 { ", in the worst step" } else { "" };
    Some(format!("CPU contention: {who}{when}"))
}

/// Whether all has arrived as it was sent, in a sentence.
pub(crate) fn verification(report: &Report) -> String {
    let mut sum = Verdict::default();
    report.steps().for_each(|(_, step)| sum += step.verdict);
    let (sent, received) = (text::whole(sum.sent), text::whole(sum.received));
    if sum.sent == 0 {
        return "nothing was sent".into();
    }
    if report.verified {
        return format!(
            "verified: {received} messages, each byte compared: none lost, duplicated, reordered or corrupted"
        );
    }
    if sum.is_faultless() {
        return format!(
            "NOT VERIFIED to the end: of {sent} messages sent, {received} arrived before it was over, as they were sent"
        );
    }
    let [lost, duplicated, reordered, corrupted] =
        [sum.lost, sum.duplicated, sum.reordered, sum.corrupted].map(text::whole);
    format!(
        "NOT VERIFIED: of {sent} messages sent, {received} arrived: {lost} lost, {duplicated} duplicated, \
         {reordered} reordered, {corrupted} corrupted"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic;

    fn said(relay: f64, generator: f64) -> Vec<String> {
        let mut report = synthetic::report(&[100.0; 20]);
        let step = &mut report.phases[0].steps[0];
        (step.relay_waited_share, step.generator_waited_share) = (Some(relay), generator);
        warnings(&report)
    }

    #[test]
    fn contention_is_told_from_half_a_percent_on() {
        assert_eq!(said(0.001, 0.001), Vec::<String>::new());
        assert_eq!(said(0.09, 0.001), ["CPU contention: the relay was runnable but not running 9.00 % of the time"]);
        assert_eq!(said(0.0, 0.333), ["CPU contention: the generator was runnable but not running 33.3 % of the time"]);
        let both = "CPU contention: the relay was runnable but not running 9.00 % of the time, the generator 33.3 %";
        assert_eq!(said(0.09, 0.333), [both]);
    }

    #[test]
    fn shares_are_those_of_a_thread() {
        let mut report = synthetic::report(&[100.0; 20]);
        (report.relay.shards, report.generator.threads) = (Some(4), 2);
        let step = &mut report.phases[0].steps[0];
        (step.relay_waited_share, step.generator_waited_share) = (Some(0.8), 0.5);
        let shares = contention_shares(&report);
        assert!((shares[0] - 0.2).abs() < 1e-9 && (shares[1] - 0.25).abs() < 1e-9, "{shares:?}");
        report.relay.shards = None;
        assert!((contention_shares(&report)[0] - 0.8).abs() < 1e-9);
    }

    #[test]
    fn what_did_not_arrive_is_told() {
        let mut report = synthetic::report(&[100.0; 20]);
        assert!(verification(&report).starts_with("verified: "));
        report.verified = false;
        assert!(verification(&report).starts_with("NOT VERIFIED to the end: "));
        report.phases[0].steps[0].verdict.lost = 3;
        assert!(verification(&report).contains(": 3 lost, 0 duplicated"), "{}", verification(&report));
        report.phases.clear();
        assert_eq!(verification(&report), "nothing was sent");
    }
}
