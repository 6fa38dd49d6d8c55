//! Socket files: who may serve on a path, and what is left of it.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;
use tests::peer::Address;
use tests::process::Process;

use super::{listening, minbusd_with_small_rings, plugin, start};

#[test]
fn the_port_of_a_dead_daemon_is_free_again() {
    // An address of this machine that no other test takes ports of, neither to listen nor to connect.
    let free = TcpListener::bind("127.77.77.77:0").expect("a port").local_addr().expect("it has one");
    let mut command = minbusd_with_small_rings();
    command.args(["--shards", "2", "--tcp", &free.to_string()]);
    let mut daemon = listening(&mut command);
    for round in 0..5 {
        let mut peer = plugin(&Address::Tcp(free), "echo");
        daemon.signal(Signal::KILL);
        daemon.wait();
        daemon = listening(&mut command);
        assert_eq!(peer.closed(), None, "round {round}");
    }
}

#[test]
fn the_socket_of_a_living_daemon_is_left_alone() {
    let daemon = start(1, "");
    let mut echo = plugin(&Address::Unix(daemon.unix().to_owned()), "echo");
    let second = Process::run(minbusd_with_small_rings().arg("--unix").arg(daemon.unix()));
    let path = daemon.unix().to_str().expect("UTF-8");
    second.expect_code(1).expect_words(&[path, "living daemon", &format!("process {}", daemon.pid())]);
    echo.fence();
    plugin(&Address::Unix(daemon.unix().to_owned()), "clock");
}

#[test]
fn a_stopped_daemon_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let directory = tests::directory::directory();
        let sockets = ["one", "two"].map(|name| directory.path().join(name));
        let mut command = minbusd_with_small_rings();
        command.args(["--shards", "1", "--unix"]).arg(&sockets[0]).arg("--unix").arg(&sockets[1]);
        let mut daemon = Process::spawn(&mut command);
        daemon.wait_logged("two");
        let peers = sockets.clone().map(|path| plugin(&Address::Unix(path.clone()), &path.display().to_string()));
        daemon.signal(signal);
        assert!(daemon.wait().success());
        drop(peers);
        let left: Vec<_> = std::fs::read_dir(directory.path()).expect("it is there").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn the_rights_of_the_socket_are_those_asked_for() {
    for mode in [0o600, 0o666, 0o660] {
        let directory = tests::directory::directory();
        let unix = directory.path().join("bus.sock");
        let flags = ["--unix-mode", &format!("{mode:04o}"), "--shards", "1"];
        let _daemon = listening(minbusd_with_small_rings().arg("--unix").arg(&unix).args(flags));
        let metadata = std::fs::metadata(&unix).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
    }
}

#[test]
fn all_addresses_of_a_host_lead_to_the_bus() {
    let checked = Process::run(minbusd_with_small_rings().args(["--shards", "1", "--tcp", "localhost:0", "--check"]));
    let mut daemon = listening(minbusd_with_small_rings().args(["--shards", "1", "--tcp", "localhost:0"]));
    // Those of localhost that there are: not every machine has IPv6.
    let named: Vec<SocketAddr> = ("localhost", 0).to_socket_addrs().expect("it is everywhere").collect();
    let mut served: Vec<_> = named.into_iter().filter(|address| TcpListener::bind(address).is_ok()).collect();
    served.dedup();
    let line = checked.stdout.lines().find(|line| line.contains("tcp:localhost:0")).expect("it is said");
    assert_eq!(line.matches(" and ").count() + 1, served.len(), "{line}");
    let listening = daemon.wait_until("a line for each of them", |process| {
        let log = process.log();
        let addresses = log.iter().filter_map(|line| line.split_once("listening address=tcp:")?.1.parse().ok());
        let addresses: Vec<SocketAddr> = addresses.collect();
        (addresses.len() == served.len()).then_some(addresses)
    });
    for (number, (address, expected)) in listening.iter().zip(&served).enumerate() {
        assert_eq!((address.ip(), address.port()), (expected.ip(), listening[0].port()));
        plugin(&Address::Tcp(*address), &format!("plugin {number}"));
    }
}

#[test]
fn one_address_under_two_names_is_one_listener() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one").port();
    let [one, other] = ["127.0.0.1", "localhost"].map(|host| format!("{host}:{free}"));
    let _daemon = listening(minbusd_with_small_rings().args(["--shards", "1", "--tcp", &one, "--tcp", &other]));
    plugin(&Address::Tcp(([127, 0, 0, 1], free).into()), "echo");
}

#[test]
fn an_abstract_socket_is_a_name_and_no_file() {
    let directory = tests::directory::directory();
    let name = format!("minbus-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let mut command = minbusd_with_small_rings();
    command.current_dir(directory.path()).args(["--shards", "2", "--unix", &format!("unix:@{name}")]);
    for round in 0..3 {
        let mut daemon = Process::spawn(&mut command);
        let line = daemon.wait_logged("listening");
        assert!(line.contains(&format!("unix:@{name}")), "{line}");
        daemon.wait_logged("abstract socket: it has no rights");
        let mut client = UnixStream::connect_addr(&address).expect("connects");
        let mut first = [0];
        client.read_exact(&mut first).expect("credit comes at once");
        if round == 0 {
            let second = Process::run(&mut command);
            second.expect_code(1).expect_words(&[&format!("@{name}"), "living daemon"]);
        }
        // Nothing is left of one that dies.
        daemon.signal(Signal::KILL);
        daemon.wait();
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 0);
}
