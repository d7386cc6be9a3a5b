//! The engine: the life of one connection, a file a step.
//!
//! | step | file | what it does |
//! |---|---|---|
//! | accept | `accept.rs` | limits, connection id, tracing span |
//! | negotiate | `negotiate.rs` | SSLRequest, GSSENCRequest, direct TLS; ends with a startup packet or a cancel request |
//! | authorize | `authorize.rs` | the role decides the route |
//! | connect | `connect.rs` | dials the hop, TLS towards it |
//! | authenticate | `authenticate.rs` | sends the startup packet, answers or relays the password request |
//! | splice | `splice.rs` | bytes both ways until both are done |
//!
//! Beside them: `life.rs` walks the steps, `cancel.rs` delivers cancel requests, `password.rs` knows the password
//! methods, `contract.rs` names the parameters
//! between client and server, `failure.rs` says what went wrong and whose fault it is, `audit.rs` writes the line about the session.

mod accept;
mod audit;
mod authenticate;
mod authorize;
mod cancel;
mod connect;
pub mod contract;
mod deadline;
mod explain;
mod failure;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod life;
mod limits;
mod message;
pub mod meter;
mod negotiate;
mod password;
mod splice;

pub use accept::{Engine, serve};
pub use authorize::{Errand, Hop, Request, Role, Route, Way};
pub use failure::{Failure, Fault};
pub use limits::Limits;
pub use negotiate::Opening;
