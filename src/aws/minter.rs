//! An IAM password for each connection, signed by one identity.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;

use super::credentials::{Chain, Identities};
use super::token::{TokenRequest, VALID_FOR, sign_token};
use crate::catalog::{Iam, MintError, Minted, Signer};
use crate::net::HostPort;
use crate::secret::Secret;

/// Signs IAM tokens with the current AWS credentials; no token is used twice.
#[derive(Clone)]
pub(super) struct Minter {
    chain: Arc<Chain>,
    identities: Arc<Identities>,
}

/// An IAM token, and its end.
pub struct SignedToken {
    /// The token.
    pub token: Secret,
    /// When RDS stops to accept it: 15 minutes after the signature, or when the credentials that signed it expire (Amazon RDS User
    /// Guide, "Connecting to your DB instance using IAM authentication").
    pub expires: SystemTime,
}

impl Minter {
    pub(super) fn new(chain: Arc<Chain>, identities: Arc<Identities>) -> Self {
        Self { chain, identities }
    }

    /// The same as [`Self::mint`], with the end of the token and without a look-up of its signer.
    pub(super) async fn sign(
        &self,
        address: &HostPort,
        iam: &Iam,
        user: &str,
    ) -> Result<SignedToken, MintError> {
        let credentials = self.chain.for_connection().await?;
        sign(&credentials, address, iam, user)
    }

    /// When the credentials of the last load end. Absent before the first load, and where they have no end.
    #[must_use]
    pub(super) fn credentials_end(&self) -> Option<SystemTime> {
        self.chain.kept_until()
    }

    /// See [`Mint::mint`](crate::catalog::Mint::mint).
    pub(super) async fn mint(&self, address: &HostPort, iam: &Iam, user: &str) -> Result<Minted, MintError> {
        let credentials = self.chain.for_connection().await?;
        let SignedToken { token, .. } = sign(&credentials, address, iam, user)?;
        let arn = self.identities.known(&credentials);
        if arn.is_none() {
            self.identities.look_up_in_background(&credentials);
        }
        let signer = Signer { access_key_id: credentials.access_key_id().to_owned(), arn };
        Ok(Minted { token, signer })
    }
}

fn sign(
    credentials: &Credentials,
    address: &HostPort,
    iam: &Iam,
    user: &str,
) -> Result<SignedToken, MintError> {
    let now = SystemTime::now();
    let token =
        sign_token(credentials, TokenRequest { address, iam, user, now }).map_err(|error| MintError {
            reason: error.to_string(),
            remedy:
                "check that RDS names the endpoint correctly; if it does, this is a bug in rds-auth-proxy"
                    .into(),
        })?;
    let end = now + VALID_FOR;
    Ok(SignedToken { token, expires: credentials.expiry().map_or(end, |expiry| end.min(expiry)) })
}
