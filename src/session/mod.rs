//! The engine: one connection from accept to close, a file for each step.
//!
//! | step | file | task |
//! |---|---|---|
//! | accept | `accept.rs` | takes connections from a listener |
//! | negotiate | `negotiate.rs` | SSLRequest, GSSENCRequest, direct TLS; ends with a startup packet or a cancel request |
//! | authorize | `authorize.rs` | the role decides the route; the contract between client and server |
//! | connect | `connect.rs` | dials the hop, makes TLS, decides whether a password may go there |
//! | authenticate | `authenticate.rs` | sends the startup packet, answers or relays the password request |
//! | splice | `splice.rs`, `splice/direction.rs` | moves bytes both ways until both sides are done |
//!
//! `connection.rs` walks the steps; `engine.rs` has what all connections share. The steps use:
//!
//! | file | content |
//! |---|---|
//! | `pending.rs`, `proxy_header.rs` | the wait for the startup packet; the header of a load balancer before it |
//! | `limits.rs`, `slots.rs` | how many connections, and which of them count |
//! | `logins.rs`, `logins/*.rs` | how many logins run at once, and the pace of refused ones |
//! | `deadline.rs` | the one deadline of the handshake |
//! | `message.rs` | whole messages, to and from either side |
//! | `password.rs` | the password methods, for the side that has the password |
//! | `relay.rs` | password requests that the application answers |
//! | `explain.rs` | hints for a login that the database refused |
//! | `door.rs` | the listener and the TLS server name by which a connection came in |
//! | `cancel.rs`, `cancel_keys.rs` | delivery of cancel requests; the target of a session by its cancel key |
//! | `probe.rs`, `program.rs` | the step connect without a login; which program an upstream proxy is |
//! | `stage.rs` | how far a login through another half came, by its error |
//! | `close.rs` | the last message and an orderly close |
//! | `failure.rs`, `reason.rs`, `fault.rs`, `failure_text.rs`, `excluded_method.rs` | why a connection fails, and the side that causes it |
//! | `classify.rs`, `response.rs` | what logs and metrics, and the application, receive of a failure |
//! | `live.rs` | the table of the open sessions, and the order to end one |
//! | `client_version.rs` | the version of a client, between the two halves |
//! | `last_error.rs` | the error that ended a session |
//! | `audit.rs`, `logged_text.rs`, `metrics.rs`, `gauges.rs` | log lines and metrics of a connection |
//! | `guesses.rs` | refused logins of one peer in the last minutes |
//! | `refusal_log.rs`, `dropped_log.rs` | one log line and a count for refusals of one kind, and for dropped pending connections |

mod accept;
mod audit;
mod authenticate;
mod authorize;
mod cancel;
mod cancel_keys;
mod channel_binding;
mod classify;
mod client_version;
mod close;
mod connect;
mod connection;
mod deadline;
mod door;
mod dropped_log;
mod engine;
mod excluded_method;
mod explain;
mod failure;
mod failure_text;
mod fault;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gauges;
mod guesses;
mod last_error;
mod limits;
mod live;
mod logged_text;
mod logins;
mod message;
pub mod metrics;
mod negotiate;
mod password;
mod pending;
mod probe;
mod program;
mod proxy_header;
mod reason;
mod refusal_log;
mod relay;
mod response;
mod slots;
mod splice;
mod stage;

pub use accept::{Entrance, serve, serve_own};
pub use authorize::{Action, CANCEL, HOST, Hop, Login, PASSWORD, Request, Role, Route, Transport};
pub use client_version::VERSION;
pub use door::{Door, DoorError};
pub use engine::{Engine, Gate};
pub use excluded_method::ExcludedMethod;
pub use failure::Failure;
pub use fault::Fault;
pub use gauges::Gauges;
pub use limits::{Limits, TooManyLogins};
pub use live::{EndOrder, LiveSessions, SessionNames, SessionState, Traffic};
pub use negotiate::Opening;
pub use probe::Probe;
pub use program::Program;
pub use reason::Reason;
pub(crate) use refusal_log::AUDIT_MODULE;
pub use stage::Stage;
