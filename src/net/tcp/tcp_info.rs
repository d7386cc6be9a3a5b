//! The kernel's state of a TCP connection, by `sock_diag` (`sock_diag(7)`, Linux).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as NetlinkAddr};
use tokio::net::TcpStream;

/// Bytes for one reply. A reply about one socket has 400 to 600.
const REPLY_SIZE: usize = 8192;

/// `INET_DIAG_NOCOOKIE` (`linux/inet_diag.h`): the request names the socket by its addresses alone.
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// What the peer has acknowledged, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TcpInfo {
    /// Bytes that were written and are not acknowledged, sent or not.
    pub(super) unacknowledged: u32,
    /// Bytes that the peer has acknowledged since the connection was opened.
    pub(super) acknowledged: u64,
    /// Retransmissions and zero-window probes since the peer's last acknowledgement.
    pub(super) unanswered: u8,
    /// Time since the peer's last acknowledgement, repeated ones included.
    pub(super) since_last_ack: Duration,
}

impl TcpInfo {
    /// Queries the kernel. Fails where `sock_diag` is not available, as in some sandboxes.
    pub(super) fn of(stream: &TcpStream) -> io::Result<Self> {
        let response = query(stream.local_addr()?, stream.peer_addr()?)?;
        let info = response.nlas.iter().find_map(|attribute| match attribute {
            Nla::TcpInfo(info) => Some(info),
            _ => None,
        });
        let info = info.ok_or_else(|| io::Error::other("sock_diag returned no tcp_info"))?;
        Ok(Self {
            unacknowledged: response.header.send_queue,
            acknowledged: info.bytes_acked,
            unanswered: info.retransmits.saturating_add(info.probes),
            since_last_ack: Duration::from_millis(info.last_ack_recv.into()),
        })
    }
}

fn query(local: SocketAddr, peer: SocketAddr) -> io::Result<InetResponse> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    // The kernel queues its reply before `send` returns, so a read that would block is an error.
    socket.set_non_blocking(true)?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    socket.send(&request(local, peer), 0)?;
    let mut reply = Vec::with_capacity(REPLY_SIZE);
    socket.recv(&mut reply, 0)?;
    let reply = NetlinkMessage::<SockDiagMessage>::deserialize(&reply).map_err(io::Error::other)?;
    match reply.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Ok(*response),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other("unexpected reply from sock_diag")),
    }
}

fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
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
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::INFO,
        states: StateFlags::all(),
        socket_id,
    };
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
