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
mod waiting;

pub use address::{Address, HostPort, InvalidAddress};
pub use buffer::Buffer;
pub use dial::dial;
pub use framed::Framed;
pub use listener::{Accepted, Listener, Peer};
pub use read_ahead::ReadAhead;
pub use socket::{Duplex, Socket};
pub use stream::Stream;
pub use waiting::{Turn, Waiting};
