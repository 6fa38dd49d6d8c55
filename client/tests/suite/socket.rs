//! Connecting to sockets of the kernel's, among them those whose queue of connections is full.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use minbus::{Address, Bus, BusError, ConnectError};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{accept, bind, connect, listen, socket_with};
use tokio::time::sleep;

use crate::peer::within;

/// A listening socket without a file, and its name.
fn listener(backlog: i32) -> (OwnedFd, String) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("minbus-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let listener = socket();
    bind(&listener, &address(&name)).expect("nobody else has the name");
    listen(&listener, backlog).expect("it can listen");
    (listener, name)
}

fn socket() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
        .expect("a socket")
}

fn address(name: &str) -> SocketAddrUnix {
    SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("it is short")
}

/// Connects until the queue of a listener is full.
fn fill(name: &str) -> Vec<OwnedFd> {
    let mut queued = Vec::new();
    loop {
        let socket = socket();
        match connect(&socket, &address(name)) {
            Ok(()) => queued.push(socket),
            Err(Errno::AGAIN) => return queued,
            Err(error) => panic!("it cannot be filled: {error}"),
        }
    }
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    for backlog in [0, 1] {
        let (listener, name) = listener(backlog);
        let queued = fill(&name);
        let connect = tokio::spawn(Bus::builder().address(Address::Abstract(name)).connect());
        // However long the relay takes to accept: here until the library must have tried.
        sleep(Duration::from_millis(50)).await;
        assert!(!connect.is_finished(), "{:?}", connect.await);
        for _ in &queued {
            drop(accept(&listener).expect("one of those that fill the queue"));
        }
        let accepted = loop {
            match accept(&listener) {
                Ok(accepted) => break accepted,
                Err(Errno::AGAIN) => sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("nobody to accept: {error}"),
            }
        };
        drop(accepted);
        let error = within(connect).await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::Bus(BusError::Lost)), "this relay hangs up: {error:?}");
    }
}

#[tokio::test]
async fn a_queue_that_stays_full_is_not_waited_for_for_ever() {
    let (_listener, name) = listener(0);
    let _queued = fill(&name);
    let builder = Bus::builder().address(Address::Abstract(name)).connect_timeout(Duration::from_millis(100));
    let error = within(builder.connect()).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut(_)), "{error:?}");
}

#[tokio::test]
async fn where_nobody_listens_that_is_said_at_once() {
    let address: Address = format!("unix:@minbus-test-{}-nobody", std::process::id()).parse().unwrap();
    let error = within(Bus::builder().address(address).connect()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn addresses_that_no_socket_can_have_are_no_matter_of_the_bus() {
    let path = format!("/{}", "x".repeat(200));
    for address in [Address::Unix(path.clone().into()), Address::Abstract(path)] {
        let error = within(Bus::builder().address(address).connect()).await.unwrap_err();
        assert!(matches!(error, ConnectError::Address(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_plugin_needs_a_name() {
    for connect in [Bus::builder().name(""), Bus::builder().name("").version(7)] {
        let error = within(connect.connect_over(tokio::io::empty())).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoName), "{error:?}");
        assert!(error.to_string().contains("Bus::client"), "{error}");
    }
    let (bus, _peer) = crate::peer::connect().await;
    assert!(matches!(within(bus.open("")).await, Err(minbus::OpenError::NoName)));
}
