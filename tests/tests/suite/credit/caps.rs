//! Caps: what a writer gets at first, how that grows, and for whom it is something else.

use tests::audit::What;
use tests::pair::answer;
use tests::peer::entry;
use tests::wire::{Kind, in_stream, out_sink};

use super::{connect, reachable, two};

const PLENTY: u64 = 1 << 40;

/// How much a writer gets of very much.
fn first_grant(from: &mut tests::peer::Peer, to: &mut tests::peer::Peer) -> u64 {
    let at = connect(from, 1, to, PLENTY);
    from.wait_credit(Kind::OutSink, 1, 1000);
    // What the reader gave before, it may have got in advance.
    to.send_now(&in_stream(at).ping());
    to.fence();
    from.fence();
    from.credit(Kind::OutSink, 1)
}

/// `[[credit.plugin]]`: the first rule that fits the names of the writer and the reader counts.
#[test]
fn plugins_may_have_other_caps_by_name() {
    const RULES: &str = "
[credit]
cap_initial_bytes = 40_000
[[credit.plugin]]
writer = \"camera*\"
reader = \"recorder\"
cap_initial_bytes = \"1 MiB\"
[[credit.plugin]]
reader = \"*small\"
cap_max_bytes = 3_000
";
    for shards in [1, 2] {
        let (_daemon, [address, _]) = reachable(shards, RULES);
        for (from, to, expected) in [
            ("camera 1", "recorder", 1 << 20),
            ("camera 2", "screen", 40_000),
            ("clock", "very small", 3_000),
            ("camera 3", "small", 3_000),
            ("small camera", "printer", 40_000),
        ] {
            let (mut a, mut b) = two(&address, from, to);
            assert_eq!(first_grant(&mut a, &mut b), expected, "{from} to {to}");
        }
    }
}

/// The rules go by real names, whatever the plugins are told.
#[test]
fn caps_by_name_hold_for_those_who_are_not_named() {
    let (_daemon, [address, _]) =
        reachable(1, "initiator = \"anonymous\"\n[[credit.plugin]]\nreader = \"asker\"\ncap_initial_bytes = 20_000\n");
    let (mut a, mut b) = two(&address, "asker", "asked");
    a.dial_with(1, b.name(), PLENTY, 0);
    let at = answer(&mut b, &entry(b"", 0));
    b.wait_credit(Kind::InSink, at, 1_000);
    b.fence();
    a.fence();
    b.fence();
    assert_eq!(b.credit(Kind::InSink, at), 20_000);
}

/// "Grow on starvation": a writer that uses all it gets, with a reader that takes all, ends up with far more than at the
/// start, and with nothing lost on the way.
#[test]
fn a_cap_that_keeps_its_writer_waiting_grows() {
    const FIRST: u64 = 64 << 10;
    /// Far more than it takes.
    const ROUNDS: usize = 2_000;
    for shards in [1, 2] {
        let (_daemon, [address, _]) = reachable(shards, "");
        let (mut a, mut b) = two(&address, "a", "b");
        assert_eq!(first_grant(&mut a, &mut b), FIRST);
        let mut sent = 0;
        let grown = (0..ROUNDS).find_map(|_| {
            a.wait_credit(Kind::OutSink, 1, 1);
            let credit = a.credit(Kind::OutSink, 1);
            a.send_now(&out_sink(1).payload(vec![7; credit as usize]));
            sent += credit;
            b.wait_bytes(Kind::OutSink, 1, sent);
            let What::Message(_) = b.next_on(Kind::OutSink, 1) else { panic!("a message was sent") };
            // All of what the cap allows for, and not what has come back of it so far.
            b.fence();
            a.fence();
            (credit > 2 * FIRST).then_some(credit)
        });
        assert!(grown.is_some(), "it stays at {} after {sent} bytes", a.credit(Kind::OutSink, 1));
    }
}
