//! "Connect with a version (extension): a duplex opened with `0x01 <length u8><name><minimum version u16>` is a connect
//! that is refused with `0x02` when b's version is lower."

use Kind::InSink;
use tests::audit::What;
use tests::pair::answer;
use tests::peer::{connect_to, entry};
use tests::wire::{Kind, duplex, out_sink};

use super::{rows, twos};

fn at_least(name: &[u8], version: u16) -> Vec<u8> {
    [&[1], &entry(name, version)[..]].concat()
}

/// Lower is refused; equal and higher are a connect like any other.
#[test]
fn minimum_version() {
    rows(|bus| {
        let mut a = bus.plugin("a");
        for (version, minimum, fits) in [
            (0, 0, true),
            (5, 0, true),
            (5, 5, true),
            (5, 6, false),
            (0xFF, 0x100, false),
            (0x100, 0xFF, true),
            (u16::MAX, u16::MAX, true),
            (u16::MAX - 1, u16::MAX, false),
        ] {
            let mut b = bus.plugin_of_version("b", version);
            a.wait_listed(b.name());
            a.send_all(&[duplex(1).payload(at_least(b.name(), minimum)).credit(1), out_sink(1).credit(1)]);
            if fits {
                answer(&mut b, &entry(a.name(), 1));
                a.expect(InSink, 1, &What::Message(Vec::new()));
            } else {
                a.refused(1, &[2]);
                b.quiet();
            }
            b.leave();
            if fits {
                a.refused(1, &[1]);
            }
            a.wait_gone(b.name());
        }
    });
}

/// The other refusals stay what they are.
#[test]
fn other_refusals() {
    twos(|bus, mut a, mut b| {
        let own = a.name().to_vec();
        for name in [&own[..], &bus.name("absent"), b""] {
            a.send_all(&[duplex(1).payload(at_least(name, 0)).credit(1), out_sink(1).credit(1)]);
            a.refused(1, &[1]);
        }
        a.dial_with(1, b.name(), 1, 1);
        a.send_all(&[duplex(2).payload(at_least(b.name(), 0)).credit(1), out_sink(2).credit(1)]);
        a.refused(2, &[]);
        answer(&mut b, &entry(&own, 1));
        b.quiet();
    });
}

/// A payload that is neither form of a connect is "anything else: closed and cancelled, with an empty payload".
#[test]
fn malformed_connects() {
    twos(|_, mut a, mut b| {
        let plain = connect_to(b.name());
        let versioned = at_least(b.name(), 1);
        let mut malformed = vec![vec![], vec![0], vec![1], vec![1, 0], vec![1, 0, 0], vec![0xFF], vec![2]];
        for good in [plain, versioned] {
            malformed.push([&good[..], &[0]].concat());
            malformed.push(good[..good.len() - 1].to_vec());
        }
        for bytes in malformed {
            a.send_all(&[duplex(1).payload(bytes).credit(64), out_sink(1).credit(64)]);
            a.refused(1, &[]);
            b.quiet();
        }
    });
}
