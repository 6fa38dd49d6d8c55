//! What is done: a case is traffic that all competitors carry that can.

use super::competitor::Competitor;
use crate::baseline::server::Transport;

/// Something that is measured.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    /// What it is, for people.
    pub(super) title: String,
    pub(super) transport: Transport,
    pub(super) traffic: Traffic,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
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

/// Idle clients.
const IDLE: usize = 1_000;

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let both = [Transport::Tcp, Transport::Unix];
    let case = |name: &str, title: &str, transport: Transport, traffic| Case {
        name: format!("{name}-{}", transport.name()),
        title: format!("{title}, {}", transport.name()),
        transport,
        traffic,
    };
    let flows = SIZES.into_iter().flat_map(|(size, label, bytes)| {
        let traffic = Traffic::Flow { size, pairs: 1, count: None };
        both.map(|by| case(&format!("flow-{label}"), &format!("messages of {bytes} one way"), by, traffic))
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
    let others = others.into_iter().flat_map(|(name, title, traffic)| both.map(|by| case(name, title, by, traffic)));
    flows.chain(others).collect()
}

impl Case {
    /// Whether a competitor can do that.
    pub(super) fn suits(&self, competitor: &Competitor) -> bool {
        let is_one_pair = matches!(self.traffic, Traffic::Flow { pairs: 1, .. } | Traffic::Closed | Traffic::Open);
        competitor.transports.contains(&self.transport) && (is_one_pair || !competitor.is_baseline())
    }

    /// Size of messages that go one way through one pair.
    pub(super) fn flow_size(&self) -> Option<usize> {
        match self.traffic {
            Traffic::Flow { size, pairs: 1, .. } => Some(size),
            _ => None,
        }
    }
}
