//! Free loopback ports that stay free.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::{Domain, Socket, Type};

/// The range below the ephemeral ports, which the system assigns to outgoing connections and to listeners on port 0:
/// from 32768 on Linux (ip(7), `ip_local_port_range`), from 49152 elsewhere (RFC 6335, section 6).
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// A prime, so that processes with neighbouring ids begin far apart.
const STRIDE: u32 = 7_919;

/// The loopback addresses that the test world uses.
const ADDRESSES: [Ipv4Addr; 4] = [
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(127, 0, 0, 2),
    Ipv4Addr::new(127, 0, 0, 3),
    Ipv4Addr::new(127, 0, 0, 4),
];

/// A port without a listener. No other call in this process returns it and the system does not assign it, so it stays
/// closed until the caller listens there.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(STRIDE);
    let next = |_| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT + FIRST;
    let mut ports = (0..COUNT).map(next).map(|port| u16::try_from(port).unwrap());
    ports
        .find(|port| !ADDRESSES.into_iter().any(|address| is_taken(address, *port)))
        .expect("no port is free")
}

/// Whether the port is in use at this address. The check binds but never listens: a process that another test forks at
/// that moment would inherit the listener until its exec, and the port would be in use when the caller binds it.
fn is_taken(address: Ipv4Addr, port: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // As listeners on Unix do; otherwise connections in TIME_WAIT count.
    socket.set_reuse_address(cfg!(unix)).unwrap();
    let bound = socket.bind(&SocketAddrV4::new(address, port).into());
    bound.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}
