//! Addresses, sockets with options and deadlines, streams with exact reads, listeners, buffers and the proxies of the
//! environment.

mod accept;
mod address;
mod buffer;
mod descriptors;
mod dial;
mod environment_proxy;
mod framed;
mod host_names;
mod http;
mod listener;
mod networks;
mod peer_uid;
mod peer_user;
mod pending;
mod read_ahead;
#[cfg(target_os = "linux")]
mod sock_diag;
mod socket;
mod stream;
mod tcp;
mod tcp_listeners;
#[cfg(unix)]
mod unix_listener;

pub use accept::{UNLIMITED, accept};
pub use address::{Address, HostPort, InvalidAddress, SOCKET_PREFIX};
pub use buffer::Buffer;
pub use dial::dial;
pub use environment_proxy::{environment_proxy, proxy_variable};
pub use framed::Framed;
pub use host_names::HostNames;
pub use http::{HttpLimits, serve_http};
pub use listener::{Accepted, Listener, Peer, describe};
pub use networks::Networks;
pub use peer_uid::PeerUid;
pub use peer_user::PeerUser;
pub use pending::{Pending, PendingPermit};
pub use read_ahead::ReadAhead;
pub use socket::{Duplex, Socket};
pub use stream::Stream;
pub use tcp::Tcp;
