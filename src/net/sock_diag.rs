//! The kernel's record of a TCP connection of this machine, by `sock_diag` (`sock_diag(7)`, Linux).

use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};

/// Bytes for one reply. A reply about one socket has 400 to 600.
const REPLY_SIZE: usize = 8192;

/// `INET_DIAG_NOCOOKIE` (`linux/inet_diag.h`): the request names the socket by its addresses alone.
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// Queries the kernel for the socket with these addresses, from its own point of view. Fails with [`io::ErrorKind::NotFound`] where
/// there is none, and where `sock_diag` is not available, as in some sandboxes.
pub(super) fn query(
    local: SocketAddr,
    peer: SocketAddr,
    extensions: ExtensionFlags,
) -> io::Result<InetResponse> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    // The kernel queues its reply before `send` returns, so a read that would block is an error.
    socket.set_non_blocking(true)?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    socket.send(&request(local, peer, extensions), 0)?;
    let mut reply = Vec::with_capacity(REPLY_SIZE);
    socket.recv(&mut reply, 0)?;
    let reply = NetlinkMessage::<SockDiagMessage>::deserialize(&reply).map_err(io::Error::other)?;
    match reply.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Ok(*response),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other("unexpected reply from sock_diag")),
    }
}

fn request(local: SocketAddr, peer: SocketAddr, extensions: ExtensionFlags) -> Vec<u8> {
    // To the kernel an IPv4 connection that a dual-stack listener accepted is IPv4, not `::ffff:192.0.2.7`.
    let (source_address, destination_address) = (local.ip().to_canonical(), peer.ip().to_canonical());
    let family = if source_address.is_ipv4() { AF_INET } else { AF_INET6 };
    let socket_id = SocketId {
        source_port: local.port(),
        destination_port: peer.port(),
        source_address,
        destination_address,
        interface_id: interface(local),
        cookie: ANY_COOKIE,
    };
    let request =
        InetRequest { family, protocol: IPPROTO_TCP, extensions, states: StateFlags::all(), socket_id };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The interface of a link-local address, which the kernel needs to find its socket; 0 for other addresses.
fn interface(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}
