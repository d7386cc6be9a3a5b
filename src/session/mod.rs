//! The engine: the life of one connection, a file a step.
//!
//! | step | file | what it does |
//! |---|---|---|
//! | accept | `accept.rs` | limits, connection id, tracing span |
//! | negotiate | `negotiate.rs` | SSLRequest, GSSENCRequest, direct TLS; ends with a startup packet or a cancel request |
//! | authorize | `authorize.rs` | the role decides the route |
//! | connect | `connect.rs` | dials the hop, TLS towards it |
//! | authenticate | `authenticate.rs` | sends the startup packet, answers or relays the password request |
//! | splice | `splice.rs`, `splice/direction.rs` | bytes both ways until both are done |
//!
//! Beside them, `life.rs` walks the steps. What several of them need:
//!
//! | file | what it holds |
//! |---|---|
//! | `contract.rs` | the startup parameters between client and server |
//! | `message.rs` | whole messages from a conversation |
//! | `deadline.rs`, `limits.rs` | how long and how many |
//! | `places.rs` | how many sessions there are, and who has them |
//! | `login.rs` | connect and authenticate, again where a pod refuses late |
//! | `password.rs` | the password methods, from the side that has the password |
//! | `explain.rs` | hints for a login that the database refused |
//! | `cancel.rs` | delivers cancel requests |
//! | `failure.rs`, `fault.rs`, `response.rs` | what goes wrong, whose fault it is, what the application reads |
//! | `audit.rs`, `meter.rs` | the lines and the numbers about a connection |

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
mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod life;
mod limits;
mod login;
mod message;
pub mod meter;
mod negotiate;
mod password;
mod places;
mod response;
mod splice;

pub use accept::{Engine, serve};
pub use authorize::{Action, Hop, Request, Role, Route, Transport};
pub use failure::Failure;
pub use fault::Fault;
pub use limits::Limits;
pub use negotiate::Opening;
