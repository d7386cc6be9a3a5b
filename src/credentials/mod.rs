//! Serves AWS credentials to containers, as the agents of ECS and EKS do: `GET /v1/credentials` with a token gives the
//! credentials of the role of one service.
//!
//! | file | what it does |
//! |---|---|
//! | `face` | the HTTP routes and their answers |
//! | `authorization` | the token of a request |
//! | `origin` | refuses web pages |
//! | `services` | which service a token names; services that come and go |
//! | `running` | one service: its credentials, and a request that waits for them |
//! | `refresh` | renews them in the background |
//! | `schedule`, `clock` | when: pure functions; the time of day |
//! | `state` | what the renewal and the requests share |
//! | `audit`, `metrics`, `outcome` | a log line and counters for each request |
//!
//! It knows neither sessions nor databases. The credentials come through the port `RoleSource`.

mod audit;
mod authorization;
mod clock;
mod face;
mod metrics;
mod origin;
mod outcome;
mod refresh;
mod running;
mod schedule;
mod services;
mod state;
#[cfg(test)]
mod tests;

pub use audit::AUDIT_MODULE;
pub use face::{Face, serve};
pub use metrics::{HISTOGRAMS, describe};
pub use services::Services;
