//! Listeners on real paths and ports: who may have them, and what is left behind.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use rustix::fs::{FlockOperation, OFlags};
use tempfile::TempDir;

use super::*;
use crate::testing::directory;

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).expect("readable");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name().display().to_string()).collect();
    names.sort();
    names
}

/// A directory, and where a socket may be in it.
fn place() -> (TempDir, PathBuf) {
    let directory = directory();
    let path = directory.path().join("bus.sock");
    (directory, path)
}

/// Nobody may listen there, because somebody does of whom no process is known.
#[track_caller]
fn assert_served(path: &Path) {
    let error = Listener::unix(path, 0o600).expect_err("served");
    assert!(matches!(error, ListenError::Served { pid: None, .. }), "{error}");
}

/// Whether this machine has IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn address(listener: &Listener) -> SocketAddr {
    let Address::Tcp(address) = *listener.address() else { panic!("not TCP") };
    address
}

fn tcp(host: &str, port: u16) -> Result<Listener, ListenError> {
    Listener::tcp(&resolve(host, port)?.usable).map(|mut listeners| listeners.remove(0))
}

fn accept(listener: &Listener) -> io::Result<OwnedFd> {
    Ok(rustix::net::accept(listener)?)
}

#[test]
fn a_new_listener_accepts_and_is_gone_when_dropped() {
    let (directory, path) = place();
    let listener = Listener::unix(&path, 0o600).expect("listens");
    assert_eq!(listener.address().to_string(), format!("unix:{}", path.display()));
    assert_eq!(accept(&listener).expect_err("nobody yet").kind(), io::ErrorKind::WouldBlock);

    let mut client = UnixStream::connect(&path).expect("connects");
    let mut server = UnixStream::from(accept(&listener).expect("accepts"));
    client.write_all(b"hello").expect("written");
    let mut heard = [0; 5];
    server.read_exact(&mut heard).expect("read");
    assert_eq!(&heard, b"hello");

    assert_eq!(names(&directory), ["bus.sock", "bus.sock.lock"]);
    drop(listener);
    assert_eq!(names(&directory), Vec::<String>::new());
}

#[test]
fn descriptors_are_closed_on_exec_and_do_not_block() {
    let directory = directory();
    let unix = Listener::unix(&directory.path().join("bus.sock"), 0o600).expect("listens");
    let tcp = tcp("127.0.0.1", 0).expect("listens");
    for listener in [&unix, &tcp] {
        let flags = rustix::fs::fcntl_getfl(listener).expect("flags");
        assert!(flags.contains(OFlags::NONBLOCK));
        let flags = rustix::io::fcntl_getfd(listener).expect("flags");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}

#[test]
fn the_mode_is_exact() {
    let directory = directory();
    for mode in [0o600, 0o660, 0o666, 0o777, 0o200] {
        let path = directory.path().join(format!("{mode:o}.sock"));
        let listener = Listener::unix(&path, mode).expect("listens");
        let is = fs::symlink_metadata(&path).expect("there").permissions().mode() & 0o7777;
        assert_eq!(is, mode, "{is:o} for {mode:o}");
        drop(listener);
    }
}

#[test]
fn the_socket_of_a_dead_daemon_is_replaced() {
    let (directory, path) = place();
    drop(UnixListener::bind(&path).expect("bound"));
    // As after SIGKILL: socket and lock file are there, and nobody holds them.
    fs::write(directory.path().join("bus.sock.lock"), "4000000\n").expect("written");
    assert_eq!(inspect_unix(&path).expect("can be looked at"), Occupant::Dead);

    let listener = Listener::unix(&path, 0o600).expect("takes it over");
    let _client = UnixStream::connect(&path).expect("connects");
    accept(&listener).expect("accepts");
}

#[test]
fn a_living_daemon_is_left_alone_and_named() {
    let (_directory, path) = place();
    let first = Listener::unix(&path, 0o600).expect("listens");
    let inode = || fs::symlink_metadata(&path).expect("there").ino();
    let before = inode();
    assert_eq!(inspect_unix(&path).expect("can be looked at"), Occupant::Living);
    let error = Listener::unix(&path, 0o600).expect_err("served");
    assert!(matches!(&error, ListenError::Served { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
    assert_eq!(inode(), before, "it is the one that the first has made");
    for part in [path.to_str().expect("UTF-8"), "living daemon", &std::process::id().to_string()] {
        assert!(error.to_string().contains(part), "{error} lacks {part}");
    }
    let _client = UnixStream::connect(&path).expect("the first one still serves");
    while accept(&first).is_ok() {}

    drop(first);
    Listener::unix(&path, 0o600).expect("free again");
}

#[test]
fn a_living_server_without_a_lock_is_left_alone() {
    let (directory, path) = place();
    let server = UnixListener::bind(&path).expect("bound");
    assert_served(&path);
    drop(server);
    let datagrams = directory.path().join("datagrams.sock");
    let _server = UnixDatagram::bind(&datagrams).expect("bound");
    assert_served(&datagrams);
    assert_eq!(names(&directory), ["bus.sock", "datagrams.sock"], "no lock is left behind");
}

#[test]
fn a_server_with_a_full_queue_is_living() {
    let (_directory, path) = place();
    let server = stream_socket(AddressFamily::UNIX).expect("a socket");
    bind(&server, &SocketAddrUnix::new(&path).expect("short")).expect("bound");
    listen(&server, 0).expect("listens");
    let _waiting = UnixStream::connect(&path).expect("the one that fits");
    assert_eq!(inspect_unix(&path).expect("can be looked at"), Occupant::Living);
}

#[test]
fn what_is_not_a_socket_is_never_removed() {
    let directory = directory();
    let path = directory.path().join("file");
    fs::write(&path, "precious").expect("written");
    let link = directory.path().join("link");
    symlink(&path, &link).expect("linked");
    for path in [&path, &link] {
        let error = Listener::unix(path, 0o600).expect_err("not a socket");
        assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert!(inspect_unix(path).is_err());
    }
    assert_eq!(fs::read_to_string(&path).expect("still there"), "precious");
    let error = Listener::unix(directory.path(), 0o600).expect_err("a directory");
    assert!(matches!(error, ListenError::NotASocket(_)), "{error}");
    let _ = fs::remove_file(directory.path().with_extension("lock"));
    assert_eq!(names(&directory), ["file", "link"]);
}

#[test]
fn only_our_own_file_is_removed() {
    let (directory, path) = place();
    let listener = Listener::unix(&path, 0o600).expect("listens");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, "somebody else's").expect("written");
    drop(listener);
    assert_eq!(names(&directory), ["bus.sock"]);
}

#[test]
fn a_file_can_be_removed_ahead_of_its_listener() {
    let (_directory, path) = place();
    let listener = Listener::unix(&path, 0o600).expect("listens");
    let file = listener.file().expect("a unix socket has one");
    file.upgrade().expect("the listener lives").remove();
    assert!(!path.exists());
    // The name is free for others now; they are not harmed by a second removal.
    fs::write(&path, "").expect("written");
    drop(listener);
    assert!(file.upgrade().is_none());
    assert!(path.exists());
}

#[test]
fn long_paths_and_missing_directories_are_clear_errors() {
    let directory = directory();
    let missing = directory.path().join("no/such/bus.sock");
    for error in [Listener::unix(&missing, 0o600).err(), inspect_unix(&missing).err()] {
        let error = error.expect("there is no directory").to_string();
        assert!(error.contains("there is no directory") && error.contains("no/such"), "{error}");
    }
    let stem = directory.path().as_os_str().len() + 1;
    let longest = directory.path().join("x".repeat(107 - stem));
    let listener = Listener::unix(&longest, 0o600).expect("107 bytes fit");
    UnixStream::connect(&longest).expect("and can be reached");
    drop(listener);
    let error = Listener::unix(&directory.path().join("x".repeat(108 - stem)), 0o600).expect_err("too long");
    assert!(error.to_string().contains("108 bytes") && error.to_string().contains("107"), "{error}");
}

#[test]
fn a_lock_held_without_a_socket_refuses_too() {
    let (directory, path) = place();
    let lock = fs::File::create(directory.path().join("bus.sock.lock")).expect("created");
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).expect("locked");
    assert_served(&path);
}

#[test]
fn of_many_that_start_at_once_one_wins() {
    let (_directory, path) = place();
    for _ in 0..50 {
        drop(UnixListener::bind(&path).expect("a dead socket to fight over"));
        let start = std::sync::Barrier::new(4);
        let listeners: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        Listener::unix(&path, 0o600)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let winners: Vec<_> = listeners.iter().filter_map(|listener| listener.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "{listeners:?}");
        UnixStream::connect(&path).expect("the winner is reached");
        accept(winners[0]).expect("and it is the winner");
        assert!(listeners.iter().all(|listener| matches!(listener, Ok(_) | Err(ListenError::Served { .. }))));
    }
}

#[test]
fn tcp_tells_its_real_port() {
    for host in ["127.0.0.1", "localhost"] {
        let listener = tcp(host, 0).expect("listens");
        let address = address(&listener);
        assert_ne!(address.port(), 0);
        assert_eq!(listener.address().to_string(), format!("tcp:{address}"));
        let _client = TcpStream::connect(address).expect("connects");
        accept(&listener).expect("accepts");
    }
}

#[test]
fn tcp_takes_ipv6() {
    if !has_ipv6() {
        return;
    }
    let listener = tcp("::1", 0).expect("listens");
    assert!(listener.address().to_string().starts_with("tcp:[::1]:"), "{}", listener.address());
}

#[test]
fn tcp_errors_name_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("bound");
    let error = tcp("127.0.0.1", address.port()).expect_err("taken").to_string();
    assert!(error.contains(&address.to_string()) && error.contains("in use"), "{error}");
    let error = tcp("no..such.host", 1).expect_err("no host").to_string();
    assert!(error.contains("no..such.host:1") && error.contains("resolved"), "{error}");
}

#[test]
fn all_addresses_of_a_host_are_served_on_one_port() {
    let three = ["127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"].map(|text| text.parse().expect("an address"));
    let mut localhost = resolve("localhost", 0).expect("every machine has it").usable;
    if has_ipv6() && !localhost.iter().any(SocketAddr::is_ipv6) {
        // Here the name does not say so.
        localhost.push((Ipv6Addr::LOCALHOST, 0).into());
    }
    for addresses in [&three[..], &localhost] {
        let listeners = Listener::tcp(addresses).expect("listens on all of them");
        let bound: Vec<_> = listeners.iter().map(address).collect();
        let expected: Vec<_> = addresses.iter().map(|each| SocketAddr::new(each.ip(), bound[0].port())).collect();
        assert_eq!(bound, expected);
        for listener in &listeners {
            let _client = TcpStream::connect(address(listener)).expect("connects");
            accept(listener).expect("accepts");
        }
    }
}

#[test]
fn one_address_that_is_taken_is_named() {
    let held = TcpListener::bind("127.0.0.2:0").expect("bound");
    let port = held.local_addr().expect("it is bound").port();
    let addresses = ["127.0.0.1", "127.0.0.2"].map(|host| format!("{host}:{port}").parse().expect("an address"));
    let error = Listener::tcp(&addresses).expect_err("taken").to_string();
    assert!(error.contains(&format!("127.0.0.2:{port}")) && error.contains("in use"), "{error}");
    drop(held);
    Listener::tcp(&addresses).expect("free again");
}

#[test]
fn both_kinds_of_any_address_go_together() {
    if !has_ipv6() {
        return;
    }
    let any = ["0.0.0.0:0", "[::]:0"].map(|text| text.parse().expect("an address"));
    let listeners = Listener::tcp(&any).expect("they do not collide");
    assert_eq!(address(&listeners[0]).port(), address(&listeners[1]).port());
}

#[test]
fn addresses_of_a_kind_that_is_there_are_not_left_out() {
    // A kind that every machine has, and an address that none has (RFC 5737).
    let foreign: SocketAddr = "192.0.2.1:0".parse().expect("an address");
    assert_eq!(resolve("192.0.2.1", 0).expect("a literal"), Addresses { usable: vec![foreign], missing: Vec::new() });
    let error = Listener::tcp(&[foreign]).expect_err("it is not ours").to_string();
    assert!(error.contains("192.0.2.1"), "{error}");
}

#[test]
fn an_abstract_socket_has_a_name_and_no_file() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("minbusd-test-{}/abstract", std::process::id());
    let listener = Listener::abstract_unix(&name).expect("listens");
    assert_eq!(listener.address().to_string(), format!("unix:@{name}"));
    assert!(listener.file().is_none());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _client = UnixStream::connect_addr(&address).expect("connects");
    accept(&listener).expect("accepts");
    let error = Listener::abstract_unix(&name).expect_err("it is served").to_string();
    assert!(error.contains(&format!("@{name}")) && error.contains("living daemon"), "{error}");
    drop(listener);
    Listener::abstract_unix(&name).expect("free again");
}

#[test]
fn a_port_is_free_again_at_once() {
    let listener = tcp("127.0.0.1", 0).expect("listens");
    let address = address(&listener);
    let client = TcpStream::connect(address).expect("connects");
    // The server closes first, so its end lingers in TIME_WAIT.
    drop(accept(&listener).expect("accepts"));
    drop(listener);
    drop(client);
    tcp("127.0.0.1", address.port()).expect("listens again");
}
