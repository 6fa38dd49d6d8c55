//! Comparisons of runs that nobody has measured.

use super::*;
use crate::report::synthetic;

/// Intervals around a mean that vary by such a share, each by itself.
fn varying(mean: f64, noise: f64, seed: u64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..100).map(|_| mean * (1.0 + noise * (random.f64() * 2.0 - 1.0))).collect()
}

/// Intervals that wander: a slow wave, as of a machine that is slower for seconds.
fn wandering(mean: f64, depth: f64, phase: f64) -> Vec<f64> {
    (0..100).map(|index| mean * (1.0 + depth * (f64::from(index) / 8.0 + phase).sin())).collect()
}

/// What is found of each number but the memory, of which there is one for a run.
fn findings(before: &Report, after: &Report) -> Vec<Finding> {
    let rows = Comparison::new(before, after).expect("they have a phase in common").rows;
    let of_course: Vec<_> = rows.iter().filter(|row| row.unit != Unit::Bytes).map(Row::finding).collect();
    assert_eq!(of_course.len(), 4, "messages, two quantiles, CPU");
    of_course
}

fn compare(before: &[f64], after: &[f64]) -> Vec<Finding> {
    findings(&synthetic::report(before), &synthetic::report(after))
}

#[test]
fn runs_of_the_same_differ_by_noise() {
    for seed in 0..50 {
        for noise in [0.0, 0.1, 0.3, 0.6] {
            let found = compare(&varying(1e5, noise, seed), &varying(1e5, noise, seed + 100));
            assert_eq!(found, [Finding::Noise; 4], "{seed}, {noise}");
        }
    }
    for depth in [0.05, 0.2, 0.5] {
        for phase in 0..12 {
            let found = compare(&wandering(1e5, depth, 0.0), &wandering(1e5, depth, f64::from(phase) / 2.0));
            assert_eq!(found, [Finding::Noise; 4], "{depth}, {phase}");
        }
    }
}

/// Each steady in itself, and yet no two runs are alike: 82.4 and 86.2 million messages, 39.4 and 43.7 us.
#[test]
fn what_runs_of_the_same_were_seen_to_differ_by_is_noise() {
    for ratio in [0.91, 0.956, 1.046, 1.109] {
        assert_eq!(compare(&varying(1e5, 0.01, 1), &varying(1e5 * ratio, 0.01, 2)), [Finding::Noise; 4], "{ratio}");
    }
}

#[test]
fn a_difference_beyond_the_noise_of_both_is_found() {
    for (ratio, finding) in [(1.5, Finding::Better), (4.0, Finding::Better), (0.7, Finding::Worse)] {
        assert_eq!(compare(&varying(1e5, 0.05, 1), &varying(1e5 * ratio, 0.05, 2)), [finding; 4], "{ratio}");
    }
}

#[test]
fn one_noisy_run_is_enough_to_hide_a_difference() {
    let steady = varying(1e5, 0.01, 1);
    let wild = wandering(1.3e5, 0.5, 0.0);
    assert_eq!(compare(&steady, &wild), [Finding::Noise; 4]);
    assert_eq!(compare(&wild, &steady), [Finding::Noise; 4]);
}

#[test]
fn a_slower_machine_makes_no_slower_relay() {
    let (before, mut after) = (synthetic::report(&varying(1e5, 0.02, 1)), synthetic::report(&varying(7e4, 0.02, 2)));
    assert_eq!(findings(&before, &after), [Finding::Worse; 4]);
    after.machine.checked_per_s = 0.7 * before.machine.checked_per_s;
    assert_eq!(findings(&before, &after), [Finding::Noise; 4]);
}

#[test]
fn time_spent_waiting_for_a_cpu_is_noise() {
    let before = synthetic::report(&varying(1e5, 0.02, 1));
    let mut after = synthetic::report(&varying(8e4, 0.02, 2));
    assert_eq!(findings(&before, &after), [Finding::Worse; 4]);
    after.phases[0].steps[0].relay_waited_share = Some(0.2);
    after.warnings = notes::warnings(&after);
    assert_eq!(findings(&before, &after), [Finding::Noise; 4]);
    let text = Comparison::new(&before, &after).expect("comparable").to_string();
    assert!(text.contains("caution: B: CPU contention: the relay was runnable but not running 20.0 %"), "{text}");
}

#[test]
fn without_intervals_there_is_no_finding() {
    let few = synthetic::report(&[1e5, 2e5, 1e5, 2e5]);
    assert!(findings(&few, &few).iter().all(|finding| *finding == Finding::Unknown));
    let rows = Comparison::new(&few, &few).expect("comparable").rows;
    let memory = rows.iter().find(|row| row.unit == Unit::Bytes).expect("it has one");
    assert_eq!((memory.finding(), memory.within_runs()), (Finding::Unknown, None));
}

#[test]
fn silence_and_nonsense_do_no_harm() {
    let nothing = synthetic::report(&[0.0; 20]);
    let something = synthetic::report(&[1e5; 20]);
    for (before, after) in [(&nothing, &something), (&something, &nothing), (&nothing, &nothing)] {
        let comparison = Comparison::new(before, after).expect("comparable");
        assert!(!comparison.to_string().contains("NaN"), "{comparison}");
    }
    let mut unmeasured = synthetic::report(&[1e5; 20]);
    unmeasured.machine.checked_per_s = 0.0;
    assert_eq!(findings(&unmeasured, &something), [Finding::Noise; 4]);
}

#[test]
fn blocks_leave_outliers_out() {
    let mut values = vec![5.0; 100];
    values[50] = 1e9;
    assert_eq!(blocks(&values, median), vec![5.0; BLOCKS]);
    let figure = Figure::of(&blocks(&values, mean)).expect("values");
    assert_eq!(figure, Figure { value: 5.0, band: Some((5.0, 5.0)) });
    assert_eq!(median(&[1.0, 3.0]), Some(2.0));
    assert_eq!((median(&[]), mean(&[])), (None, None));
}

#[test]
fn reports_of_before_there_were_warnings_can_be_read() {
    let mut json = serde_json::to_value(synthetic::report(&[1e5; 20])).expect("serializable");
    json.as_object_mut().expect("an object").remove("warnings");
    let report: Report = serde_json::from_value(json).expect("it is a report still");
    assert_eq!(report.warnings, Vec::<String>::new());
}
