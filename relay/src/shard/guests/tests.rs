//! Places, and what the log is told.

use super::*;

#[test]
fn users_have_their_share_and_places_become_free() {
    let guests = Guests::default();
    let admit = |uid| guests.admit(uid, 5, 2);
    assert_eq!([admit(Some(7)), admit(Some(7)), admit(Some(0))], [Ok(()); 3]);
    assert_eq!(admit(Some(7)), Err(Refused::TooManyOfUser(7)));
    assert_eq!([admit(None), admit(None)], [Ok(()); 2], "nobody knows whose these are");
    assert_eq!([admit(None), admit(Some(7)), admit(Some(8))], [Err(Refused::TooMany); 3]);
    guests.leave(Guest::Of(Some(0)));
    assert_eq!(admit(Some(7)), Err(Refused::TooManyOfUser(7)));
    guests.leave(Guest::Of(Some(7)));
    assert_eq!(admit(Some(7)), Ok(()));
    (0..2).for_each(|_| guests.leave(Guest::Of(Some(7))));
    (0..2).for_each(|_| guests.leave(Guest::Of(None)));
    let counts = guests.0.lock().expect("nobody panicked");
    assert!(counts.all == 0 && counts.by_uid.is_empty(), "{counts:?}");
}

#[test]
fn few_of_the_refused_are_kept_to_be_told() {
    let guests = Guests::default();
    assert!((0..REFUSED_MAX).all(|_| guests.keep_refused()));
    assert!(!guests.keep_refused());
    assert_eq!(guests.admit(None, 1, 1), Ok(()), "they take nobody's place");
    guests.leave(Guest::Refused(Refused::TooMany));
    assert_eq!([guests.keep_refused(), guests.keep_refused()], [true, false]);
}

#[test]
fn refusals_are_told_once_a_second() {
    let now = Instant::now();
    let mut refusals = Refusals::default();
    let told: Vec<_> = (0..2_500).filter_map(|ms| refusals.note(now + Duration::from_millis(ms))).collect();
    assert_eq!(told, [0, 999, 999]);
}
