//! Who the AWS credentials belong to, for people to read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::Builder;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::no_credentials::causes;

/// How long STS may take. The answer is a courtesy: no connection waits for it.
const STS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an access key that STS told nothing about is left in peace.
const NEXT_TRY: Duration = Duration::from_mins(5);

/// The ARN of the credentials in use, once STS has told it.
pub(in crate::aws) struct Identities {
    client: Client,
    told: Mutex<Told>,
    /// Held while STS is asked: those who want to know the same share the answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Told {
    /// The access key id and its ARN.
    known: Option<(String, String)>,
    /// The access key id that was asked for last in the background, and when.
    tried: Option<(String, Instant)>,
}

impl Identities {
    pub(in crate::aws) fn new(client: Client) -> Self {
        Self { client, told: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// The ARN that the credentials belong to, if it has been asked for before.
    pub(in crate::aws) fn known(&self, credentials: &Credentials) -> Option<String> {
        let told = self.told();
        let (key, arn) = told.known.as_ref()?;
        (key == credentials.access_key_id()).then(|| arn.clone())
    }

    /// The ARN that the credentials belong to; asks STS when it is not known.
    pub(in crate::aws) async fn learn(&self, credentials: &Credentials) -> Option<String> {
        let _asking = self.asking.lock().await;
        if let Some(arn) = self.known(credentials) {
            return Some(arn);
        }
        let arn = self.ask(credentials).await?;
        self.told().known = Some((credentials.access_key_id().to_owned(), arn.clone()));
        Some(arn)
    }

    /// The same for the connections to come: nobody waits for it.
    pub(in crate::aws) fn learn_in_the_background(self: &Arc<Self>, credentials: &Credentials) {
        let key = credentials.access_key_id();
        let mut told = self.told();
        if told.tried.as_ref().is_some_and(|(tried, at)| tried == key && at.elapsed() < NEXT_TRY) {
            return;
        }
        told.tried = Some((key.to_owned(), Instant::now()));
        let (identities, credentials) = (Arc::clone(self), credentials.clone());
        tokio::spawn(async move { identities.learn(&credentials).await });
    }

    /// The call is signed with these credentials, and not with those that the chain has by then.
    async fn ask(&self, credentials: &Credentials) -> Option<String> {
        let signer = Builder::new().credentials_provider(credentials.clone());
        let call = self.client.get_caller_identity().customize().config_override(signer);
        match timeout(STS_TIMEOUT, Box::pin(call.send())).await {
            Ok(Ok(answer)) => answer.arn,
            Ok(Err(error)) => {
                debug!(error = causes(&error), "STS did not say who the AWS credentials belong to");
                None
            }
            Err(_) => {
                debug!("STS did not answer in time who the AWS credentials belong to");
                None
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
