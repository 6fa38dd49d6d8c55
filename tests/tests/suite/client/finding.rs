//! Names, lists, watches and refusals.

use minbus::{Address, Bus, ConnectError, OpenError, Presence};
use tests::daemon::{Daemon, Options};

use super::{Place, rows, runtime};
use crate::DAEMON;

#[test]
fn a_taken_name_is_refused_with_a_reason() {
    rows(async |place: Place| {
        let _first = place.register("a").await;
        match place.plugin("a").connect().await {
            Err(ConnectError::Refused(reason)) => assert!(reason.contains(&place.name("a")), "{reason}"),
            other => panic!("not refused: {other:?}"),
        }
    });
}

#[test]
fn a_name_is_free_again_after_closing() {
    rows(async |place: Place| {
        for _ in 0..20 {
            place.register("a").await.close().await.expect("all is sent");
        }
    });
}

#[test]
fn lists_and_watches_tell_of_others() {
    rows(async |place: Place| {
        let a = place.register("a").await;
        let mut watch = a.watch().await.expect("the only watch");
        let Some(Ok(Presence::Present(_))) = watch.next().await else { panic!("first comes who is there") };
        let b = place.register("b").await;
        let mut next = async || loop {
            match watch.next().await {
                // Other tests have their plugins on this bus, too.
                Some(Ok(Presence::Joined(plugin))) if plugin.name == place.name("b") => {
                    break ("joined", plugin.version);
                }
                Some(Ok(Presence::Left(plugin))) if plugin.name == place.name("b") => break ("left", plugin.version),
                Some(Ok(_)) => {}
                other => panic!("the watch goes on: {other:?}"),
            }
        };
        assert_eq!(next().await, ("joined", 5));
        let names = |plugins: Vec<minbus::Plugin>| plugins.into_iter().map(|plugin| plugin.name).collect::<Vec<_>>();
        let seen = names(a.list().await.expect("a list"));
        assert!(seen.iter().any(|name| *name == place.name("b")) && seen.iter().all(|name| *name != place.name("a")));
        b.close().await.expect("all is sent");
        assert_eq!(next().await, ("left", 5));
        assert!(matches!(a.watch().await, Err(minbus::WatchError::Refused)), "only one at a time");
        drop(watch);
        a.watch().await.expect("the first one is over");
    });
}

#[test]
fn each_refusal_has_its_error() {
    rows(async |place: Place| {
        let (a, b) = (place.register("a").await, place.register("b").await);
        let nobody = a.open(place.name("nobody")).await;
        assert!(matches!(nobody, Err(OpenError::Unavailable(_))), "{nobody:?}");
        let itself = a.open(place.name("a")).await;
        assert!(matches!(itself, Err(OpenError::Unavailable(_))), "{itself:?}");
        let old = a.open(place.name("b")).version_min(6).await;
        assert!(matches!(old, Err(OpenError::VersionTooOld(_))), "{old:?}");
        let denying = async { b.incoming().await.expect("an offer").deny() };
        let (denied, ()) = tokio::join!(a.open(place.name("b")).into_future(), denying);
        assert!(matches!(denied, Err(OpenError::Unavailable(_))), "{denied:?}");
        let mut first = Box::pin(a.open(place.name("b")).version_min(5).into_future());
        // The second is asked for while the first is waiting.
        let second = tokio::select! {
            biased;
            _ = &mut first => panic!("nobody has accepted"),
            second = a.open(place.name("b")).into_future() => second,
        };
        assert!(matches!(second, Err(OpenError::AlreadyOpen(_))), "{second:?}");
        let incoming = b.incoming().await.expect("an offer");
        assert_eq!(incoming.peer().name, place.name("a"));
        let _accepted = incoming.accept();
        first.await.expect("accepted");
    });
}

#[test]
fn an_abstract_socket_is_found_by_its_name() {
    let name = format!("minbus-client-{}", std::process::id());
    let flags = vec!["--unix".to_owned(), format!("@{name}")];
    let _daemon = Daemon::start(&Options { program: DAEMON.into(), shards: 1, flags, ..Options::default() });
    let address: Address = format!("unix:@{name}").parse().expect("an address");
    runtime().block_on(async {
        let bus = Bus::builder().address(address).name("a").connect().await.expect("it is there");
        bus.close().await.expect("a clean end");
    });
}
