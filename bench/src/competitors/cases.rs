//! What is done: traffic that all competitors carry that can, and what people are shown of it.

use std::rc::Rc;

use anyhow::Result;

use super::competitor::{Competitor, OURS};
use super::figures::{
    ALONE, ALONE_P99, BESIDE, BESIDE_P99, CAPACITY, FATE, Fate, Figures, GROWTH, KIB_EACH, LOST, LOST_MIB, PEAK, TAKEN,
};
use super::host::{self, Host};
use super::stalled;
use crate::lab::case::{Against, Bound, Case, Column, Goal, Shown, Variant};
use crate::lab::scene::Scene;
use crate::lab::table::{percent, significant, tenths};
use crate::server::Transport;
use crate::traffic::flow::{self, Manner};
use crate::traffic::sample::{CPU, CPU_OF_BYTES, CPU_OF_TRIP, P50, P99, P999, RATE, SERVER_BUSY};
use crate::traffic::{idle, trips};

/// TCP first, which most of them speak.
const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Unix];

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    /// So many pairs send messages of this size one way, so many in each write, or as many as fit.
    Flow { size: usize, pairs: usize, count: Option<usize> },
    /// Requests and answers, one at a time.
    Closed,
    /// Requests and answers at half of what each can carry.
    Open,
    /// Somebody does not read.
    Stalled,
    /// So many clients only are there.
    Idle(usize),
}

const SIZES: [(usize, &str, &str); 6] = [
    (16, "16", "16 B"),
    (64, "64", "64 B"),
    (1 << 10, "1k", "1 KiB"),
    (16 << 10, "16k", "16 KiB"),
    (64 << 10, "64k", "64 KiB"),
    (1 << 20, "1m", "1 MiB"),
];

/// Many pairs, and messages in a write of each: about a page.
const PAIRS: usize = 100;
const PAIRS_COUNT: usize = 64;

/// Idle clients, beside those that are there before.
const IDLE: usize = 1_000;
const IDLE_BEFORE: usize = 200;

/// How far the relay is to be ahead of NATS with small messages.
const NATS_GOAL: f64 = 4.0;

/// From this size on, in bytes, the relay is to be ahead of the proxy, too, which only moves bytes.
const PROXY_SIZE_MIN: usize = 64 << 10;

/// All cases, for these.
pub(super) fn all(competitors: &[Rc<Competitor>]) -> Vec<Case> {
    let case = |name: &str, title: &str, transport: Transport, traffic: Traffic| {
        let by = transport.name();
        let taking_part: Vec<_> = competitors.iter().filter(|it| traffic.suits(it, transport)).collect();
        let variants = taking_part.iter().map(|competitor| variant(competitor, transport, traffic)).collect();
        let goals = taking_part.iter().filter_map(|competitor| goal(competitor, transport, traffic)).collect();
        let case = Case::new(format!("{name}-{by}"), format!("{title}, {by}"), variants, goals);
        Case { columns: traffic.columns(), ..case }
    };
    let flows = SIZES.into_iter().flat_map(|(size, label, bytes)| {
        let traffic = Traffic::Flow { size, pairs: 1, count: None };
        let title = format!("messages of {bytes} one way");
        BOTH.map(|by| case(&format!("flow-{label}"), &title, by, traffic))
    });
    let pairs = Traffic::Flow { size: 64, pairs: PAIRS, count: Some(PAIRS_COUNT) };
    let pairs_title = format!("messages of 64 B one way, {PAIRS} pairs, {PAIRS_COUNT} in each write");
    let others = [
        ("trip", "requests and answers of 64 B, one at a time", Traffic::Closed),
        ("rate", "requests and answers of 64 B at half of what each can carry", Traffic::Open),
        ("pairs", &pairs_title, pairs),
        ("stalled", "a healthy pair beside a reader that does not read", Traffic::Stalled),
        ("idle", "memory of a client that is only there", Traffic::Idle(IDLE)),
    ];
    let others = others.into_iter().flat_map(|(name, title, traffic)| BOTH.map(|by| case(name, title, by, traffic)));
    flows.chain(others).collect()
}

/// How far the relay is to be ahead: of everybody who delivers messages one way, and with large ones of the proxy.
fn goal(competitor: &Competitor, transport: Transport, traffic: Traffic) -> Option<Goal> {
    let Traffic::Flow { size, pairs: 1, .. } = traffic else { return None };
    let is_rival = competitor.is_bus() || competitor.name == "haproxy" && size >= PROXY_SIZE_MIN;
    let is_nats = competitor.name == "nats" && size == 64 && transport == Transport::Tcp;
    let bound = Bound::AtLeast(if is_nats { NATS_GOAL } else { 1.0 });
    let goal = Goal::new(competitor.name, CPU, bound).against(Against::Variant(OURS)).decimals(2);
    (is_rival && competitor.name != OURS).then_some(goal)
}

fn variant(competitor: &Rc<Competitor>, transport: Transport, traffic: Traffic) -> Variant {
    let (name, missing, competitor) = (competitor.name, competitor.missing(), Rc::clone(competitor));
    Variant::new(name, move |scene| run(scene, &competitor, transport, traffic)).unless(missing)
}

fn run(scene: &Scene, competitor: &Competitor, transport: Transport, traffic: Traffic) -> Result<Figures> {
    let setting = &scene.setting;
    let mut host = Host::start(competitor, transport, &[scene.server_cpu])?;
    let pid = host.pid();
    let mut figures = match traffic {
        Traffic::Flow { size, pairs, count } => {
            let mut ends = Vec::new();
            for number in 0..pairs {
                let mut pair = host.pair(number)?;
                let [one, other] = &mut pair;
                one.prepare(other, size, count)?;
                ends.push(pair);
            }
            let (mut writers, mut readers): (Vec<_>, Vec<_>) =
                ends.iter_mut().map(|[writer, reader]| (writer, reader)).unzip();
            let manner = Manner { is_paced: competitor.is_paced, may_lose: true, ..Manner::default() };
            let watch = |going: &flow::Going| going.sample(setting, pid, size);
            let (sample, lost) = flow::during(&mut writers, &mut readers, manner, watch)?;
            Figures { lost, ..Figures::of(sample) }
        }
        Traffic::Closed => Figures::of(trips::closed(&mut host.pair(0)?, setting, pid)?),
        Traffic::Open => {
            let (capacity, sample) = trips::open(&mut host.pair(0)?, setting, pid)?;
            Figures { capacity_per_s: Some(capacity), ..Figures::of(sample) }
        }
        Traffic::Stalled => {
            let (mut healthy, mut stalled) = (host.pair(0)?, host.pair(1)?);
            stalled::measure(&mut healthy, &mut stalled, setting, || host::memory_bytes(pid))?
        }
        Traffic::Idle(count) => {
            let idle = |number| host.idle(number);
            Figures::of(idle::measure(IDLE_BEFORE, count, idle, || host::memory_bytes(pid))?)
        }
    };
    figures.memory_peak_bytes = host::memory_peak_bytes(pid)?;
    host.stop()?;
    Ok(figures)
}

impl Traffic {
    /// Whether a competitor can do that.
    fn suits(self, competitor: &Competitor, transport: Transport) -> bool {
        let is_one_pair = matches!(self, Self::Flow { pairs: 1, .. } | Self::Closed | Self::Open);
        competitor.transports.contains(&transport) && (is_one_pair || !competitor.is_baseline())
    }

    fn columns(self) -> Vec<Column> {
        const CPU_RATIO: Column = Column::ratio("CPU / minbus", CPU, OURS);
        let whole = |head, figure| Column::new(head, figure, Shown::Median(|value| format!("{value:.0}")));
        let tenth = |head, figure| Column::new(head, figure, Shown::Median(tenths));
        let trips = [("p50 µs", P50), ("p99 µs", P99), ("p99.9 µs", P999)].map(|(head, figure)| tenth(head, figure));
        let cpu_trip = tenth("CPU µs/trip", CPU_OF_TRIP);
        match self {
            Self::Flow { .. } => vec![
                Column::median(CPU, significant),
                Column::median(CPU_OF_BYTES, |seconds| format!("{seconds:.3}")),
                CPU_RATIO,
                whole(RATE, RATE),
                Column::median(SERVER_BUSY, percent),
                tenth(PEAK, PEAK),
                Column::new(LOST, LOST, Shown::Rounds(|lost| format!("{:.0}", lost.iter().sum::<f64>()))),
            ],
            Self::Closed => [&trips[..], &[Column::ratio("p50 / minbus", P50, OURS), cpu_trip, CPU_RATIO]].concat(),
            Self::Open => [&[whole(CAPACITY, CAPACITY), whole("carried/s", RATE)][..], &trips, &[cpu_trip]].concat(),
            Self::Stalled => vec![
                whole("alone: trips/s", ALONE),
                tenth("p99 µs", ALONE_P99),
                whole("beside: trips/s", BESIDE),
                tenth("p99 µs", BESIDE_P99),
                Column::new("the writer is", FATE, Shown::Rounds(Fate::last)),
                tenth("taken MiB", TAKEN),
                tenth("lost MiB", LOST_MIB),
                tenth("RSS growth MiB", GROWTH),
            ],
            Self::Idle(_) => vec![Column::new("KiB each", KIB_EACH, Shown::Spread(1))],
        }
    }
}
