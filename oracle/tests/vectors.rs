//! The wire vectors, read by the oracle.

use oracle::audit::Audit;
use oracle::vectors::{VALID, VIOLATIONS, blocks, hex, meaning};
use oracle::wire::{Chunk, Kind, chunk, join, parse, parse_all, varu64};
use proptest::prelude::*;

#[test]
fn valid_vectors_read_and_write_as_they_say() {
    for block in blocks(VALID) {
        let bytes = hex(&block.all("hex").collect::<Vec<_>>().join(" "));
        let meanings: Vec<Chunk> = block.all("chunk").map(meaning).collect();
        assert_eq!(parse_all(&bytes).as_ref(), Ok(&meanings), "[{}]", block.title);
        if block.all("unusual").next().is_none() {
            assert_eq!(join(&meanings), bytes, "[{}]", block.title);
        }
        for cut in 0..bytes.len().min(600) {
            let read = parse_all(&bytes[..cut]);
            let prefix = read.as_ref().is_ok_and(|chunks| meanings.starts_with(chunks));
            assert!(prefix || read == Err("incomplete"), "[{}] cut at {cut}: {read:?}", block.title);
        }
    }
}

#[test]
fn violation_vectors_are_caught_by_the_rule_they_name() {
    for block in blocks(VIOLATIONS) {
        let known = |key: &str| ["sent", "got", "bad", "last"].contains(&key);
        assert!(block.lines.iter().all(|(key, _)| known(key)), "[{}] has a line of another kind", block.title);
        assert!(block.all("bad").chain(block.all("last")).next().is_some(), "[{}] shows nothing", block.title);
        let mut audit = Audit::default();
        block.all("sent").flat_map(|sent| parse_all(&hex(sent)).unwrap()).for_each(|chunk| audit.sent(&chunk));
        block.all("got").for_each(|got| assert_eq!(feed(&mut audit, &hex(got)), Ok(()), "[{}]", block.title));
        for bad in block.all("bad") {
            assert_eq!(feed(&mut audit.clone(), &hex(bad)), Err(block.rule()), "[{}] {bad}", block.title);
        }
        for last in block.all("last") {
            // Only whole chunks are judged: zeros stand for what was left out.
            let padded = |zeros| [hex(last), vec![0; zeros]].concat();
            let found = (0..32).try_for_each(|zeros| feed(&mut audit.clone(), &padded(zeros)));
            assert_eq!(found, Err(block.rule()), "[{}] {last}", block.title);
        }
    }
}

/// Feeds all chunks to the ledger: the first rule that is broken.
fn feed(audit: &mut Audit, bytes: &[u8]) -> Result<(), &'static str> {
    let mut rest = bytes;
    while let Some((chunk, length)) = parse(rest)? {
        audit.got(&chunk)?;
        rest = &rest[length..];
    }
    Ok(())
}

fn any_chunk() -> impl Strategy<Value = Chunk> {
    let number = prop_oneof![0..4_u64, 240..260_u64, any::<u64>(), (0..64_u32).prop_map(|bits| 1 << bits)];
    let bytes = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    let flags = (proptest::option::of(1..u64::MAX), any::<bool>(), any::<bool>());
    (0..7_usize, number.clone(), bytes.clone(), proptest::option::of(number), bytes, flags).prop_map(
        |(kind, id, payload, credit, end, (partial, ping, ack_end))| {
            let partial = partial.filter(|_| payload.is_some() || end.is_some());
            Chunk { partial, payload, credit, ping, end, ack_end, ..chunk(Kind::ALL[kind], id) }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(chunks in proptest::collection::vec(any_chunk(), 0..8)) {
        prop_assert_eq!(parse_all(&join(&chunks)), Ok(chunks));
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut audit = Audit::default();
        let _ = feed(&mut audit, &bytes);
    }

    #[test]
    fn a_number_has_one_form(value in any::<u64>(), narrower in any::<u8>()) {
        for value in [value, u64::from(narrower)] {
            let bytes = varu64(value);
            let follow = bytes.len() - 1;
            prop_assert_eq!(follow == 0, value < 248);
            prop_assert!(follow < 2 || value >> (8 * (follow - 1)) != 0, "{} in {} bytes", value, follow);
        }
    }
}

/// Whoever gives credit has to keep to its sum, even on a half that this end has ended; a core need take no notice.
#[test]
fn credit_for_what_is_over_is_judged_of_others_alone() {
    for (mut audit, judged) in [(Audit::default(), Err("credit-sum-overflow")), (Audit::new(10, 10), Ok(()))] {
        audit.sent(&chunk(Kind::OutSink, 1).payload("opening"));
        audit.sent(&chunk(Kind::OutSink, 1).end(""));
        let credit = chunk(Kind::OutSink.inverted(1), 1).credit(u64::MAX).bytes();
        assert_eq!(feed(&mut audit, &credit), Ok(()));
        assert_eq!(feed(&mut audit, &credit), judged);
    }
}
