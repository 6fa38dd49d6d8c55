//! Places, and who has them.

use super::*;
use crate::config::{Config, Environment, Overrides};

const A: User = User::Uid(7);
const B: User = User::Uid(0);
const REMOTE: User = User::V4([10, 0, 0, 1]);

fn limits(text: &str) -> Limits {
    let flags = Overrides { unix: vec!["/nowhere".to_owned()], ..Overrides::default() };
    let environment = Environment { runtime_directory: None, root: false, cpus: vec![0] };
    Config::parse("test", &format!("[limits]\n{text}"), &flags, &environment).expect("valid").limits
}

/// Connections of a user for which there are places, and why there are no more.
fn fill(guests: &Guests, user: User, limits: &Limits) -> (Vec<Guest>, Refused) {
    let mut admitted = Vec::new();
    loop {
        match guests.admit(user, limits) {
            Ok(mut guest) => {
                guests.registered(&mut guest);
                admitted.push(guest);
            }
            Err(why) => return (admitted, why),
        }
    }
}

#[test]
fn users_have_their_share_and_places_become_free() {
    let (guests, limits) = (Guests::default(), limits("connections_max = 16\nconnections_per_uid_max = 12"));
    let (mut of_a, why) = fill(&guests, A, &limits);
    assert_eq!((of_a.len(), why), (12, Refused::TooManyOfUser(A)));
    let (mut of_b, why) = fill(&guests, B, &limits);
    assert_eq!((of_b.len(), why), (3, Refused::TooManyOfUser(B)), "something is left for the next");
    guests.leave(of_b.remove(0));
    assert_eq!(guests.admit(A, &limits), Err(Refused::TooManyOfUser(A)));
    of_a.drain(..).chain(of_b).for_each(|guest| guests.leave(guest));
    let counts = guests.counts();
    assert_eq!((counts.connections.taken(), counts.handshakes.taken()), (0, 0));
}

#[test]
fn a_user_that_comes_back_has_its_number_and_another_one_has_not() {
    let (guests, limits) = (Guests::default(), limits(""));
    let [first, other, again] = [A, B, A].map(|user| {
        let guest = guests.admit(user, &limits).expect("there are places");
        guests.leave(guest);
        guest.user()
    });
    assert!(first == again && first != other, "what is charged to a number outlives the connections of its user");
}

#[test]
fn no_address_gets_all_places() {
    let (guests, limits) = (Guests::default(), limits("connections_max = 16\nconnections_per_uid_max = 16"));
    let (of_address, why) = fill(&guests, REMOTE, &limits);
    assert_eq!((of_address.len(), why), (12, Refused::TooManyOfUser(REMOTE)));
    let (of_user, why) = fill(&guests, A, &limits);
    assert_eq!((of_user.len(), why), (4, Refused::TooMany));
}

#[test]
fn those_who_do_not_register_leave_room_for_others() {
    let (guests, limits) = (Guests::default(), limits(""));
    let admitted = |user| std::iter::from_fn(|| guests.admit(user, &limits).ok()).count() as u64;
    assert_eq!(admitted(A), HANDSHAKES_MAX / 4 * 3);
    assert_eq!(guests.admit(A, &limits), Err(Refused::TooManyUnregistered(A)));
    assert!(admitted(B) > HANDSHAKES_MAX / 8);
    assert!(admitted(REMOTE) > HANDSHAKES_MAX / 64);
}

#[test]
fn few_of_the_refused_are_kept_to_be_told() {
    let (guests, limits) = (Guests::default(), limits("connections_max = 1"));
    assert!((0..REFUSED_MAX).all(|_| guests.keep_refused()));
    assert!(!guests.keep_refused());
    assert!(guests.admit(A, &limits).is_ok(), "they take nobody's place");
    guests.leave(Guest::Refused);
    assert_eq!([guests.keep_refused(), guests.keep_refused()], [true, false]);
}
