//! The port `Mint`: an IAM password for each connection.

use std::sync::Arc;
use std::time::SystemTime;

use super::credentials::{Chain, Identities};
use super::token::{TokenRequest, sign_token};
use crate::catalog::{Boxed, Mint, MintError, Minted, Signer};
use crate::net::HostPort;

/// Signs IAM tokens with the current AWS credentials; no token is used twice.
#[derive(Clone)]
pub struct Minter {
    chain: Arc<Chain>,
    identities: Arc<Identities>,
}

impl Minter {
    pub(super) fn new(chain: Arc<Chain>, identities: Arc<Identities>) -> Self {
        Self { chain, identities }
    }

    async fn sign(&self, address: &HostPort, region: &str, user: &str) -> Result<Minted, MintError> {
        let credentials = self.chain.current().await?;
        let request = TokenRequest { address, region, user, now: SystemTime::now() };
        let token = sign_token(&credentials, request).map_err(|error| MintError {
            reason: error.to_string(),
            remedy:
                "check that RDS names the endpoint correctly; if it does, this is a bug in rds-auth-proxy"
                    .into(),
        })?;
        let arn = self.identities.known(&credentials);
        if arn.is_none() {
            self.identities.look_up_in_background(&credentials);
        }
        let signer = Signer { access_key_id: credentials.access_key_id().to_owned(), arn };
        Ok(Minted { token, signer })
    }
}

impl Mint for Minter {
    fn mint<'a>(
        &'a self,
        address: &'a HostPort,
        region: &'a str,
        user: &'a str,
    ) -> Boxed<'a, Result<Minted, MintError>> {
        Box::pin(self.sign(address, region, user))
    }
}
