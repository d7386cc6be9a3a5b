//! Loopback ports that nobody listens on, and nobody will by chance.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Socket, Type};

/// Below the ports that a system hands out by itself, to outgoing connections and to listeners on port 0: from 32768 on
/// Linux (ip(7), `ip_local_port_range`), from 49152 elsewhere (RFC 6335, section 6).
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// A prime: processes that were started one after the other begin far apart.
const STRIDE: u32 = 7_919;

/// The addresses of this machine that the test world listens at.
const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 0, 0, 3),
    Ipv4Addr::new(127, 0, 0, 4),
];

/// A port that nobody listens on now. No other call in this process gets it, and no connection is given it by the system,
/// so it stays closed until whoever asked for it listens there.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(STRIDE);
    let next = |_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST;
    let mut ports = (0..COUNT).map(next).map(|port| u16::try_from(port).unwrap());
    ports
        .find(|port| !ADDRESSES.into_iter().any(|address| is_taken(address, *port)))
        .expect("no port is free")
}

/// An address that this machine does not have is not taken. Nothing listens here, not even for a moment: a process that
/// another test starts in that moment holds the listener until it runs its program, and the port would be in use when
/// whoever asked for it comes.
fn is_taken(address: Ipv4Addr, port: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // As every listener does on Unix; without it, connections that have ended would count.
    socket.set_reuse_address(cfg!(unix)).unwrap();
    let bound = socket.bind(&SocketAddrV4::new(address, port).into());
    bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}
