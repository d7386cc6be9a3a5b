//! The identity (ARN) of the AWS credentials, for logs and errors.

use std::sync::Arc;
use std::time::Duration;

use crate::error_chain;
use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tracing::debug;

/// The limit for STS. No connection waits for it.
const STS_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two look-ups of the same access key in the background.
const RETRY_PERIOD: Duration = Duration::from_mins(5);

/// The ARN of the credentials in use, once STS has returned it.
pub(in crate::aws) struct Identities {
    client: Client,
    state: Mutex<State>,
    /// Held during a look-up, so that callers with the same credentials share it.
    looking_up: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The access key id and its ARN.
    known: Option<(String, String)>,
    /// The access key id of the last look-up in the background, and its time.
    last_attempt: Option<(String, Instant)>,
}

impl Identities {
    pub(in crate::aws) fn new(client: Client) -> Self {
        Self { client, state: Mutex::default(), looking_up: tokio::sync::Mutex::default() }
    }

    /// The ARN of the credentials, if STS has returned it before.
    pub(in crate::aws) fn known(&self, credentials: &Credentials) -> Option<String> {
        let state = self.state.lock();
        let (key, arn) = state.known.as_ref()?;
        (key == credentials.access_key_id()).then(|| arn.clone())
    }

    /// The ARN of the credentials; queries STS if it is not known.
    pub(in crate::aws) async fn look_up(&self, credentials: &Credentials) -> Option<String> {
        let _only_one = self.looking_up.lock().await;
        if let Some(arn) = self.known(credentials) {
            return Some(arn);
        }
        let arn = self.query(credentials).await?;
        self.state.lock().known = Some((credentials.access_key_id().to_owned(), arn.clone()));
        Some(arn)
    }

    /// The same for later connections; returns at once.
    pub(in crate::aws) fn look_up_in_background(self: &Arc<Self>, credentials: &Credentials) {
        let key = credentials.access_key_id();
        let mut state = self.state.lock();
        if state.last_attempt.as_ref().is_some_and(|(tried, at)| tried == key && at.elapsed() < RETRY_PERIOD)
        {
            return;
        }
        state.last_attempt = Some((key.to_owned(), Instant::now()));
        let (identities, credentials) = (Arc::clone(self), credentials.clone());
        tokio::spawn(async move { identities.look_up(&credentials).await });
    }

    /// Signs the call with these credentials. The client's own may have changed meanwhile.
    async fn query(&self, credentials: &Credentials) -> Option<String> {
        let signer = Builder::new().credentials_provider(credentials.clone());
        let call = self.client.get_caller_identity().customize().config_override(signer);
        match timeout(STS_TIMEOUT, Box::pin(call.send())).await {
            Ok(Ok(response)) => response.arn,
            Ok(Err(error)) => {
                debug!(
                    error = error_chain::text(&error),
                    "STS did not return the identity of the AWS credentials"
                );
                None
            }
            Err(_) => {
                debug!("STS did not return the identity of the AWS credentials in time");
                None
            }
        }
    }
}
