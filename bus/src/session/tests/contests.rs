//! Contests for a name.

use super::*;

fn registration(name: &str) -> Vec<u8> {
    chunk(Kind::InSink, 0, &entry(name))
}

/// A newcomer, whose turn begins with the registration: what the look at the holder brings is told to it by the test.
fn newcomer(bus: &mut Bus, name: &str) -> usize {
    bus.connect();
    let index = bus.sessions.len() - 1;
    bus.say(index, &registration(name));
    index
}

/// Tells a newcomer that the name was free when it was looked; returns at whom else it is to be looked, if that goes on.
fn was_free(bus: &mut Bus, index: usize) -> Result<Option<ConnId>, Leaving> {
    let (result, effects) = bus.act(index, |session, cx| session.handle_contested(true, cx));
    let holder = effects.iter().find_map(|effect| match effect {
        Effect::Contest { holder, .. } => Some(*holder),
        _ => None,
    });
    result.map(|()| holder)
}

#[test]
fn whoever_took_the_name_meanwhile_is_looked_at_too() {
    let mut bus = Bus::new(&["name"]);
    let patient = newcomer(&mut bus, "name");
    let mut holder = 0;
    loop {
        assert!(bus.sessions[patient].is_contesting());
        // The holder has gone, and another one is faster.
        bus.with(holder, |session, cx| session.yield_name(cx));
        holder = newcomer(&mut bus, "name");
        assert!(!bus.sessions[holder].is_contesting());
        match was_free(&mut bus, patient) {
            Ok(looked_at) => assert_eq!(looked_at, Some(ConnId { shard: 0, token: holder as u64 })),
            Err(why) => break assert!(matches!(why, Leaving::NameTaken(_)), "{why}"),
        }
    }
    assert_eq!(bus.sessions.len(), 2 + limits::CONTEST_HOLDERS_MAX as usize, "not without end");
}

#[test]
fn the_last_of_those_who_come_and_go_leaves_the_name_free() {
    let mut bus = Bus::new(&["name"]);
    let patient = newcomer(&mut bus, "name");
    bus.with(0, |session, cx| session.yield_name(cx));
    let other = newcomer(&mut bus, "name");
    assert!(was_free(&mut bus, patient).is_ok_and(|looked_at| looked_at.is_some()));
    bus.with(other, |session, cx| session.yield_name(cx));
    assert_eq!(was_free(&mut bus, patient), Ok(None));
    assert!(!bus.sessions[patient].is_contesting());
    assert_eq!(bus.sessions[patient].name().map(ToString::to_string).as_deref(), Some("name"));
}
