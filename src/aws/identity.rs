//! Who the AWS credentials belong to, for people to read.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_sts::Client;
use tokio::time::timeout;
use tracing::debug;

use super::fault::causes;

/// How long STS may take. The answer is a courtesy: no connection waits for it.
const STS_TIMEOUT: Duration = Duration::from_secs(5);

/// The ARN of the credentials in use, once STS has told it.
pub(super) struct Identities {
    client: Client,
    known: Mutex<Option<Known>>,
}

struct Known {
    access_key_id: String,
    arn: String,
}

impl Identities {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(None) }
    }

    /// The ARN that goes with the access key, if it has been asked for before.
    pub(super) fn known(&self, access_key_id: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.access_key_id == access_key_id).map(|known| known.arn.clone())
    }

    /// The ARN that goes with the access key; asks STS when it is not known.
    pub(super) async fn learn(&self, access_key_id: &str) -> Option<String> {
        if let Some(arn) = self.known(access_key_id) {
            return Some(arn);
        }
        let answer = match timeout(STS_TIMEOUT, Box::pin(self.client.get_caller_identity().send())).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                debug!(error = causes(&error), "STS did not say who the AWS credentials belong to");
                return None;
            }
            Err(_) => {
                debug!("STS did not answer in time who the AWS credentials belong to");
                return None;
            }
        };
        let arn = answer.arn?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { access_key_id: access_key_id.to_owned(), arn: arn.clone() });
        Some(arn)
    }
}
