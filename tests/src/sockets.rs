//! Sockets that ordinary programs do not need: from another address of this machine, ended by a reset, by thousands.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connects from an address of this machine; all of 127.0.0.0/8 is. Reads give up after 20 seconds.
pub fn connect_from(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    try_connect_from(from, to).unwrap()
}

/// The same where a refusal by the system is no surprise.
pub fn try_connect_from(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from((from, 0)))?;
    connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Ends a connection by a reset: the other side's unread bytes and unsent answers are lost.
pub fn reset(stream: TcpStream) {
    sockopt::set_socket_linger(stream.as_fd(), Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Makes a socket's buffer for received bytes as small as the system allows, so that a peer that does not read is felt.
pub fn shrink_receive_buffer(stream: &TcpStream) {
    sockopt::set_socket_recv_buffer_size(stream.as_fd(), 1).unwrap();
}

/// Raises the limit of open descriptors of this process as far as the system lets us; gives the limit.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
