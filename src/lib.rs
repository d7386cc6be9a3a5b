//! Reach Postgres on Amazon RDS with an IAM identity and nothing else.
//!
//! The modules are floors of one house; each imports only from the floors below it (`tests/floors.rs`):
//!
//! | floor | modules | what lives there |
//! |---|---|---|
//! | 6 | `cli` | arguments, prompts, output, logging; the only place where everything is put together |
//! | 5 | `admin`, `aws`, `config`, `kubernetes` | the edges: they implement the ports of floor 2 and know each other not at all |
//! | 4 | `client`, `server` | the roles: policy only |
//! | 3 | `session` | the engine: the life of one connection, a file a step |
//! | 2 | `catalog` | what can be connected to, who may, and the ports to the outside |
//! | 1 | `net`, `tls` | sockets with policy, exact reads; connectors, roots, certificates |
//! | 0 | `wire`, `error_chain`, `secret`, `shutdown`, `single_flight`, `stamp` | bytes to values and back, causes of errors, secrets, the order to stop, shared computations, changed files |
//!
//! The way of one connection is told in `docs/architecture.md`.

pub mod cli;

pub mod admin;
pub mod aws;
pub mod config;
pub mod kubernetes;

pub mod client;
pub mod server;

pub mod session;

pub mod catalog;

pub mod net;
pub mod tls;

pub mod error_chain;
pub mod secret;
pub mod shutdown;
pub mod single_flight;
pub mod stamp;
pub mod wire;
