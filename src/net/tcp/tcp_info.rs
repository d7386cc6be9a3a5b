//! The kernel's state of a TCP connection.

use std::io;
use std::time::Duration;

use netlink_packet_sock_diag::inet::ExtensionFlags;
use netlink_packet_sock_diag::inet::nlas::Nla;
use tokio::net::TcpStream;

use crate::net::sock_diag;

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
        let response = sock_diag::query(stream.local_addr()?, stream.peer_addr()?, ExtensionFlags::INFO)?;
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
