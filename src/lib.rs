//! Reach Postgres on Amazon RDS with an IAM identity and nothing else.
//!
//! A module imports only from floors below its own, and files do not import each other in circles (`tests/floors.rs`):
//!
//! | floor | modules | contents |
//! |---|---|---|
//! | 6 | `cli`, `app`, `process` | command line; wiring of the parts; the process itself. `cli` may use both others, `app` may use `process` |
//! | 5 | `admin`, `aws`, `config`, `credentials`, `kubernetes` | the edges: they implement the ports of floor 2 and do not know each other |
//! | 4 | `client`, `server` | the roles: policy only |
//! | 3 | `session` | the engine: the steps of one connection, one file per step |
//! | 2 | `catalog`, `services` | the targets, who may reach them, and the ports to the outside; the services that get credentials. `services` may use `catalog` |
//! | 1 | `net`, `tls` | sockets with policy, exact reads; connectors, roots, certificates |
//! | 0 | `wire`, `error_chain`, `file_access`, `secret`, `shutdown`, `single_flight`, `stamp` | bytes to values and back, causes of errors, files that cannot be read, secrets, the order to stop, shared computations, changed files |
//!
//! `docs/architecture.md` follows one connection through them.

pub mod cli;

mod app;
mod process;

pub mod admin;
pub mod aws;
pub mod config;
pub mod credentials;
pub mod kubernetes;

pub mod client;
pub mod server;

pub mod session;

pub mod catalog;
pub mod services;

pub mod net;
pub mod tls;

pub mod error_chain;
pub mod file_access;
pub mod secret;
pub mod shutdown;
pub mod single_flight;
pub mod stamp;
pub mod wire;
