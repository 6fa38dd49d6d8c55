//! Places, and who has them.

use super::*;
use crate::config::Config;

const A: User = User::Uid(7);
const B: User = User::Uid(0);
const REMOTE: User = User::V4([10, 0, 0, 1]);

fn limits(text: &str) -> Limits {
    Config::of_test(&format!("[limits]\n{text}")).limits
}

/// Connections of a user for which there are places, and why there are no more.
fn fill(admission: &Admission, user: User, limits: &Limits) -> (Vec<Place>, Refused) {
    let mut admitted = Vec::new();
    loop {
        match admission.admit(user, limits) {
            Ok(mut place) => {
                admission.registered(&mut place);
                admitted.push(place);
            }
            Err(why) => return (admitted, why),
        }
    }
}

#[test]
fn users_have_their_share_and_places_become_free() {
    let (admission, limits) = (Admission::default(), limits("connections_max = 16\nconnections_per_uid_max = 12"));
    let (mut of_a, why) = fill(&admission, A, &limits);
    assert_eq!((of_a.len(), why), (12, Refused::TooManyOfUser(A)));
    let (mut of_b, why) = fill(&admission, B, &limits);
    assert_eq!((of_b.len(), why), (3, Refused::TooManyOfUser(B)), "something is left for the next");
    admission.leave(of_b.remove(0));
    assert_eq!(admission.admit(A, &limits), Err(Refused::TooManyOfUser(A)));
    of_a.drain(..).chain(of_b).for_each(|place| admission.leave(place));
    let counts = admission.counts();
    assert_eq!((counts.connections.taken(), counts.handshakes.taken()), (0, 0));
}

#[test]
fn a_user_that_comes_back_has_its_number_and_another_one_has_not() {
    let (admission, limits) = (Admission::default(), limits(""));
    let [first, other, again] = [A, B, A].map(|user| {
        let place = admission.admit(user, &limits).expect("there are places");
        admission.leave(place);
        place.user()
    });
    assert!(first == again && first != other, "what is charged to a number outlives the connections of its user");
}

#[test]
fn no_address_gets_all_places() {
    let (admission, limits) = (Admission::default(), limits("connections_max = 16\nconnections_per_uid_max = 16"));
    let (of_address, why) = fill(&admission, REMOTE, &limits);
    assert_eq!((of_address.len(), why), (12, Refused::TooManyOfUser(REMOTE)));
    let (of_user, why) = fill(&admission, A, &limits);
    assert_eq!((of_user.len(), why), (4, Refused::TooMany));
}

#[test]
fn those_who_do_not_register_leave_room_for_others() {
    let (admission, limits) = (Admission::default(), limits(""));
    let admitted = |user| std::iter::from_fn(|| admission.admit(user, &limits).ok()).count() as u64;
    assert_eq!(admitted(A), HANDSHAKES_MAX / 4 * 3);
    assert_eq!(admission.admit(A, &limits), Err(Refused::TooManyUnregistered(A)));
    assert!(admitted(B) > HANDSHAKES_MAX / 8);
    assert!(admitted(REMOTE) > HANDSHAKES_MAX / 64);
}

#[test]
fn few_of_the_refused_are_kept_to_be_told() {
    let (admission, limits) = (Admission::default(), limits("connections_max = 1"));
    assert!((0..REFUSED_MAX).all(|_| admission.keep_refused()));
    assert!(!admission.keep_refused());
    assert!(admission.admit(A, &limits).is_ok(), "they take nobody's place");
    admission.leave(Place::Refused);
    assert_eq!([admission.keep_refused(), admission.keep_refused()], [true, false]);
}
