//! The AWS credentials of this process, and the reasons why there are none.

mod chain;
mod credential_source;
mod files;
mod identity;
mod loader;
mod no_credentials;
mod profiles;

pub(super) use chain::Chain;
pub(super) use credential_source::CredentialSource;
pub(super) use files::Files;
pub(super) use identity::Identities;
pub(super) use loader::{CredentialLoader, NewConfig};
pub(super) use no_credentials::NoCredentials;
