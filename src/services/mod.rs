//! Services: containers and processes that get AWS credentials of a role, and the port that gets those.
//!
//! `credentials` serves them, `config` reads them, `aws` implements the port.

mod base_policy;
mod role_credentials;
mod role_source;
mod service;
mod timing;

pub use base_policy::BasePolicy;
pub use role_credentials::RoleCredentials;
pub use role_source::{AssumeError, RoleSource, RoleSources};
pub use service::{AssumedRole, Base, Service, SessionTag, SourceCredentials};
pub use timing::Timing;
