//! What the kernel knows of the bytes that a peer has not acknowledged (`sock_diag(7)`, Linux).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr as Kernel};
use tokio::net::TcpStream;

/// An answer about one socket has 400 to 600 bytes.
const ANSWER: usize = 8192;

/// Any socket at these addresses, in `inet_diag_req_v2` (`INET_DIAG_NOCOOKIE`, `linux/inet_diag.h`).
const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// How a peer stands to what was sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unacknowledged {
    /// Bytes written that it has not acknowledged, sent or not.
    pub(super) bytes: u32,
    /// Bytes that it has acknowledged since the connection was opened.
    pub(super) acknowledged: u64,
    /// Retransmissions, or probes of its full window, since it was last heard of.
    pub(super) unanswered: u8,
    /// How long ago it last acknowledged anything, be it again.
    pub(super) heard: Duration,
}

impl Unacknowledged {
    /// Asks the kernel. An error where there is no `sock_diag`, as in some sandboxes.
    pub(super) fn of(stream: &TcpStream) -> io::Result<Self> {
        let response = ask(stream.local_addr()?, stream.peer_addr()?)?;
        let info = response.nlas.iter().find_map(|attribute| match attribute {
            Nla::TcpInfo(info) => Some(info),
            _ => None,
        });
        let info = info.ok_or_else(|| io::Error::other("the kernel does not tell tcp_info"))?;
        Ok(Self {
            bytes: response.header.send_queue,
            acknowledged: info.bytes_acked,
            unanswered: info.retransmits.saturating_add(info.probes),
            heard: Duration::from_millis(info.last_ack_recv.into()),
        })
    }
}

fn ask(local: SocketAddr, peer: SocketAddr) -> io::Result<InetResponse> {
    let socket = Socket::new(NETLINK_SOCK_DIAG)?;
    // The kernel has answered when the request is sent.
    socket.set_non_blocking(true)?;
    socket.connect(&Kernel::new(0, 0))?;
    socket.send(&request(local, peer), 0)?;
    let mut answer = Vec::with_capacity(ANSWER);
    socket.recv(&mut answer, 0)?;
    let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&answer).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => Ok(*response),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        _ => Err(io::Error::other("the kernel answered something else")),
    }
}

fn request(local: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    // An IPv4 connection through a listener for both is one of IPv4 here.
    let (source_address, destination_address) = (local.ip().to_canonical(), peer.ip().to_canonical());
    let family = if source_address.is_ipv4() { AF_INET } else { AF_INET6 };
    let socket_id = SocketId {
        source_port: local.port(),
        destination_port: peer.port(),
        source_address,
        destination_address,
        interface_id: scope(local),
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

/// The interface of a link-local address, by which its sockets are found; 0 for every other one.
fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    }
}
