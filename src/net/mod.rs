//! Sockets with policy: addresses, streams, exact reads, listeners, buffers.

mod address;
mod buffer;
mod dial;
mod framed;
mod listener;
mod options;
mod read_ahead;
mod socket;
mod stream;
mod tcp;
#[cfg(target_os = "linux")]
mod unacknowledged;
mod waiting;
#[cfg(target_os = "linux")]
mod watch;

pub use address::{Address, HostPort, InvalidAddress};
pub use buffer::Buffer;
pub use dial::dial;
pub use framed::Framed;
pub use listener::{Accepted, Listener, Peer};
pub use read_ahead::ReadAhead;
pub use socket::{Duplex, Socket};
pub use stream::Stream;
pub use tcp::Tcp;
pub use waiting::{Turn, Waiting};
