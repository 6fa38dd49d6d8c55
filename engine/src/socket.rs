//! What a shard sets on its sockets and asks of them. The sockets are plain descriptors until a driver adopts them.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io;
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, getpeername, socket_with, sockopt};

/// Lets small messages out at once on TCP; nothing on other sockets.
///
/// # Errors
/// The socket refuses.
pub fn set_nodelay(socket: impl AsFd) -> std::io::Result<()> {
    if is_unix(&socket)? {
        return Ok(());
    }
    Ok(sockopt::set_tcp_nodelay(socket, true)?)
}

/// Sets the kernel's send and receive buffers of a socket, in bytes, beyond the system's bound when the process is
/// allowed to. 0 leaves a buffer alone.
///
/// # Errors
/// The socket refuses.
pub fn set_buffer_bytes(socket: impl AsFd, send_bytes: usize, receive_bytes: usize) -> std::io::Result<()> {
    let fd = socket.as_fd();
    if send_bytes > 0 {
        sockopt::set_socket_send_buffer_size_force(fd, send_bytes)
            .or_else(|_| sockopt::set_socket_send_buffer_size(fd, send_bytes))?;
    }
    if receive_bytes > 0 {
        sockopt::set_socket_recv_buffer_size_force(fd, receive_bytes)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(fd, receive_bytes))?;
    }
    Ok(())
}

/// The send buffer of a socket as the kernel counts it: twice what was asked for.
///
/// # Errors
/// It is no socket.
pub fn send_buffer_bytes(socket: impl AsFd) -> std::io::Result<usize> {
    Ok(sockopt::socket_send_buffer_size(socket)?)
}

/// Sets how much a TCP socket may hold unsent before it counts as full, in bytes.
///
/// # Errors
/// The socket refuses.
pub fn set_notsent_lowat(socket: impl AsFd, bytes: u32) -> std::io::Result<()> {
    set_number(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, bytes)
}

/// Lets the kernel probe a TCP peer after so much silence, and as often.
///
/// # Errors
/// The socket refuses; the kernel takes 1 to 32,767 seconds.
pub fn set_keepalive(socket: impl AsFd, idle: Duration) -> std::io::Result<()> {
    let fd = socket.as_fd();
    sockopt::set_tcp_keepidle(fd, idle)?;
    sockopt::set_tcp_keepintvl(fd, idle)?;
    Ok(sockopt::set_socket_keepalive(fd, true)?)
}

/// Lets the kernel poll the network device for a receive, for so many microseconds.
///
/// # Errors
/// The socket refuses: more than `net.core.busy_read` takes a right that the process does not have.
pub fn set_busy_poll(socket: impl AsFd, us: u32) -> std::io::Result<()> {
    set_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BUSY_POLL, us)
}

/// Options that rustix does not have.
fn set_number(socket: BorrowedFd<'_>, level: i32, option: i32, number: u32) -> std::io::Result<()> {
    let bytes = size_of::<u32>() as libc::socklen_t;
    // SAFETY: the kernel reads no more than `bytes` bytes of `number`.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&number).cast(), bytes) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Who is at the other end, for the log: `unix:PID/UID`, or the address on TCP.
#[must_use]
pub fn peer_label(socket: impl AsFd) -> String {
    label(socket).unwrap_or_else(|error| format!("unknown ({error})"))
}

/// The user of the process at the other end of a unix socket. Over TCP nobody knows.
#[must_use]
pub fn peer_uid(socket: impl AsFd) -> Option<u32> {
    let of_unix = is_unix(&socket).unwrap_or(false);
    of_unix.then(|| peer_credentials(socket.as_fd()).ok()).flatten().map(|peer| peer.uid)
}

/// Whether this is the user of this process, or root.
#[must_use]
pub fn is_owner(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Whether the peer has shut its sending side or closed its socket, which it may have done behind bytes that still wait.
#[must_use]
pub fn has_hung_up(socket: impl AsFd) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
    // A poll that fails tells of nothing, so the peer counts as being there.
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Bytes that were sent over TCP and that the peer has not acknowledged. What was sent on a unix socket is with the peer at
/// once.
#[must_use]
pub fn untaken_bytes(socket: impl AsFd) -> usize {
    if is_unix(&socket).unwrap_or(true) {
        return 0;
    }
    let mut bytes: libc::c_int = 0;
    // SAFETY: the kernel writes one int to `bytes` (SIOCOUTQ, which is TIOCOUTQ; tcp(7)).
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    if result == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

fn label(socket: impl AsFd) -> io::Result<String> {
    if is_unix(&socket)? {
        let peer = peer_credentials(socket.as_fd())?;
        return Ok(format!("unix:{}/{}", peer.pid, peer.uid));
    }
    peer_socket_address(socket).map(|address| format!("tcp:{address}")).ok_or(io::Errno::NOTCONN)
}

/// From where a peer comes, as far as it tells peers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An address.
    V4([u8; 4]),
    /// The network part of an address.
    V6([u8; 8]),
}

/// From where the peer of a TCP socket comes.
#[must_use]
pub fn peer_network(socket: impl AsFd) -> Option<Network> {
    let address = peer_socket_address(socket)?.ip().to_canonical();
    Some(match address {
        IpAddr::V4(address) => Network::V4(address.octets()),
        IpAddr::V6(address) => Network::V6(*address.octets().first_chunk()?),
    })
}

fn peer_socket_address(socket: impl AsFd) -> Option<SocketAddr> {
    getpeername(socket).ok()?.map(SocketAddrAny::try_into)?.ok()
}

/// What `SO_PEERCRED` says. The pid is 0 for a peer outside of our pid namespace, which is more than rustix allows for.
fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes no more than `bytes` bytes to `peer`, for which any are valid.
    let result = unsafe {
        let value = ptr::from_mut(&mut peer).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, &mut bytes)
    };
    if result == 0 {
        Ok(peer)
    } else {
        Err(io::Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(io::Errno::IO))
    }
}

fn is_unix(socket: impl AsFd) -> io::Result<bool> {
    Ok(sockopt::socket_domain(socket)? == AddressFamily::UNIX)
}

/// A new stream socket, nonblocking and not inherited.
pub(super) fn stream_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn unix_peers_are_told_by_process_and_user() {
        let (one, other) = UnixStream::pair().unwrap();
        let user = rustix::process::getuid().as_raw();
        assert_eq!(peer_label(&one), format!("unix:{}/{user}", std::process::id()));
        assert_eq!(peer_uid(&one), Some(user));
        assert!(is_owner(user) && is_owner(0) && !is_owner(u32::MAX));
        set_nodelay(&one).unwrap();
        set_buffer_bytes(&other, 300_000, 100_000).unwrap();
        assert!(send_buffer_bytes(&other).unwrap() >= 300_000);
    }

    #[test]
    fn tcp_peers_are_told_by_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(peer_label(&socket), format!("tcp:{}", listener.local_addr().unwrap()));
        set_nodelay(&socket).unwrap();
        assert!(socket.nodelay().unwrap());
        set_notsent_lowat(&socket, 16 << 10).unwrap();
        set_keepalive(&socket, Duration::from_secs(7)).unwrap();
        assert!(sockopt::socket_keepalive(&socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&socket).unwrap(), Duration::from_secs(7));
        assert!(set_keepalive(&socket, Duration::from_secs(32_768)).is_err());
        set_busy_poll(&socket, 0).unwrap();
        assert_eq!((peer_uid(&socket), peer_network(&socket)), (None, Some(Network::V4([127, 0, 0, 1]))));
        assert!(peer_label(&listener).starts_with("unknown"));
    }
}
