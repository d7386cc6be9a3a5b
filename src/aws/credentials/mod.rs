//! The AWS credentials of this process, and the reasons why there are none.

mod assume_role;
mod assumed_roles;
mod chain;
mod credential_source;
mod endpoints;
mod files;
mod identity;
mod ini;
mod load;
mod loader;
mod mfa;
mod no_credentials;
mod profiles;
mod refused_role;
mod sessions;
mod shared_config;

pub(super) use assume_role::AssumeRole;
pub(super) use assumed_roles::AssumedRoles;
pub(super) use chain::Chain;
pub(super) use credential_source::CredentialSource;
pub(super) use endpoints::unusable_endpoint;
pub(super) use files::Files;
pub(super) use identity::Identities;
pub(super) use loader::CredentialLoader;
pub(super) use no_credentials::NoCredentials;
pub use profiles::profile_names;
pub(super) use shared_config::{BrokenFile, SharedConfig};
