//! The AWS credentials in use: the SDK's default chain, rebuilt when the files it reads have changed.
//!
//! The SDK reads profile files once in the life of a chain, and it caches credentials for as long as they say they
//! live. A new `aws sso login` would thus wait for a restart. Here the files are looked at for every connection (a
//! few `stat` calls), and a change throws chain and credentials away.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout};

use super::credential_source::Origin;
use super::files::Fingerprint;
use super::loader::Source;
use super::no_credentials::CredentialsFault;

/// Credentials that end sooner than this are fetched anew: a token dies with the credentials that signed it.
const LAST_USE: Duration = Duration::from_mins(1);

/// How long credentials without an end are kept, as long as the SDK's own cache does.
const UNDATED_LIFE: Duration = Duration::from_mins(15);

/// How long a connection waits for the chain; a `credential_process` and SSO take seconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(12);

/// The credentials of this process, for signing and for the SDK's clients.
pub(in crate::aws) struct Chain {
    source: Source,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// Outlives the connection that began it: a `credential_process` cannot be stopped, may be asking somebody for a
    /// second factor, and must not be started twice at a time.
    loading: Option<Loading>,
    failed: Option<Failed>,
}

struct Kept {
    credentials: Credentials,
    loaded: SystemTime,
    at: Instant,
    seen: Fingerprint,
}

struct Failed {
    fault: CredentialsFault,
    at: Instant,
    seen: Fingerprint,
}

struct Loading {
    begun_with: Fingerprint,
    task: JoinHandle<Ended>,
}

/// A load that is over, and when it was.
struct Ended {
    result: Result<Credentials, CredentialsFault>,
    loaded: SystemTime,
    at: Instant,
    seen: Fingerprint,
}

impl Chain {
    pub(in crate::aws) fn new(source: Source) -> Self {
        Self { source, state: Mutex::default() }
    }

    /// Credentials that are good now. Connections that come while they are being fetched wait and share them, or the
    /// reason why there are none.
    pub(in crate::aws) async fn current(&self) -> Result<Credentials, CredentialsFault> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        let seen = self.source.fingerprint().await;
        if let Some(over) = state.loading.take_if(|loading| loading.task.is_finished()) {
            let ended = self.ended(over.task.await, &seen);
            state.note(&ended);
        }
        let now = self.now();
        if let Some(kept) = &state.kept
            && kept.seen == seen
            && (kept.at > asked || kept.is_fresh(now))
        {
            return Ok(kept.credentials.clone());
        }
        if let Some(failed) = &state.failed
            && failed.seen == seen
            && failed.at > asked
        {
            return Err(failed.fault.clone());
        }
        // What is there may be dead or overwritten: it goes before the next is known to come.
        state.kept = None;
        let ended = self.wait(&mut state, seen).await;
        state.note(&ended);
        ended.result
    }

    /// Where the credentials come from, for advice.
    pub(in crate::aws) fn origin(&self) -> Origin {
        self.source.origin()
    }

    pub(in crate::aws) fn now(&self) -> SystemTime {
        self.source.now()
    }

    /// Waits for the load that goes on, or begins one.
    async fn wait(&self, state: &mut State, seen: Fingerprint) -> Ended {
        // Whoever mended the profile does not want to hear of the old one.
        if let Some(old) = state.loading.take_if(|loading| !loading.begun_with.has_same_profiles(&seen)) {
            old.task.abort();
        }
        let loading = state.loading.get_or_insert_with(|| Loading::begin(&self.source, seen.clone()));
        match timeout(LOAD_TIMEOUT, &mut loading.task).await {
            Ok(ended) => {
                state.loading = None;
                self.ended(ended, &seen)
            }
            Err(_) => self.failed(CredentialsFault::timed_out(&self.origin(), LOAD_TIMEOUT), seen),
        }
    }

    fn ended(&self, ended: Result<Ended, JoinError>, seen: &Fingerprint) -> Ended {
        ended.unwrap_or_else(|error| self.failed(CredentialsFault::crashed(&error), seen.clone()))
    }

    fn failed(&self, fault: CredentialsFault, seen: Fingerprint) -> Ended {
        Ended { result: Err(fault), loaded: self.now(), at: Instant::now(), seen }
    }
}

impl State {
    fn note(&mut self, ended: &Ended) {
        let (at, seen) = (ended.at, ended.seen.clone());
        match &ended.result {
            Ok(credentials) => {
                self.kept = Some(Kept { credentials: credentials.clone(), loaded: ended.loaded, at, seen });
            }
            Err(fault) => self.failed = Some(Failed { fault: fault.clone(), at, seen }),
        }
    }
}

impl Loading {
    fn begin(source: &Source, seen: Fingerprint) -> Self {
        let (source, begun_with) = (source.clone(), seen.clone());
        let task = tokio::spawn(async move {
            let result = source.load().await;
            let after = source.fingerprint().await;
            // A session that was written meanwhile is most likely the work of the chain itself.
            let seen = if after.has_same_profiles(&seen) { after } else { seen };
            Ended { result, loaded: source.now(), at: Instant::now(), seen }
        });
        Self { begun_with, task }
    }
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        let end = self.credentials.expiry().map_or(self.loaded + UNDATED_LIFE, |end| end - LAST_USE);
        now < end
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.current().await.map_err(CredentialsError::provider_error)
        })
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Chain").field("profile", &self.source.files.profile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
