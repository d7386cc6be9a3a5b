//! The AWS credentials in use: kept until shortly before they expire, and loaded again when the files behind them have changed.
//!
//! The SDK reads profile files once per chain, and caches credentials until they expire. A new `aws sso login` would
//! take effect only after a restart. This module checks the files for every connection (a few `stat` calls) and
//! discards chain and credentials when a file changed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::credential_source::CredentialSource;
use super::files::Fingerprint;
use super::load::{Load, Loaded};
use super::no_credentials::NoCredentials;
use crate::aws::login::{Login, Logins, Next};
use crate::catalog::Boxed;
use crate::single_flight::{FlightError, InFlight, SingleFlight};

/// Credentials with less time left than this are loaded again: a token expires with the credentials that signed it.
const MIN_REMAINING: Duration = Duration::from_mins(1);

/// How long credentials without an expiry are kept, as in the SDK's own cache.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(15);

/// How long a connection waits for credentials; a `credential_process` and SSO take seconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(12);

/// The credentials of one identity, for signing and for the SDK's clients.
pub(in crate::aws) struct Chain {
    loader: Arc<dyn Load>,
    /// One load at a time, because a `credential_process` cannot be stopped and may be waiting for a second factor.
    loads: SingleFlight<Loaded>,
    logins: Logins,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// The files when the last load began.
    load_began_with: Fingerprint,
}

/// The credentials of the last successful load.
struct Kept {
    credentials: Credentials,
    loaded_at: SystemTime,
    seen: Fingerprint,
}

enum Found {
    Kept(Credentials),
    Loading(InFlight<Loaded>),
}

impl Chain {
    pub(in crate::aws) fn new(loader: Arc<dyn Load>, logins: Logins) -> Self {
        Self { loader, loads: SingleFlight::default(), logins, state: Arc::default() }
    }

    /// Credentials that are valid now. All connections that need a load share it, and its error.
    pub(in crate::aws) async fn current(&self) -> Loaded {
        let loaded = timeout(LOAD_TIMEOUT, self.kept_or_loaded()).await;
        loaded.unwrap_or_else(|_| Err(NoCredentials::timed_out(&self.credential_source(), LOAD_TIMEOUT)))
    }

    /// When the credentials of the last load end. Absent before the first load, and where they have no end.
    pub(in crate::aws) fn kept_until(&self) -> Option<SystemTime> {
        self.state.lock().kept.as_ref()?.credentials.expiry()
    }

    /// The same for a connection, which waits while a person opens the session that the credentials need, or types a code.
    pub(in crate::aws) async fn for_connection(&self) -> Loaded {
        loop {
            let loaded = self.current().await;
            let Err(error @ NoCredentials { login: Some(login), .. }) = &loaded else { return loaded };
            match self.logins.once(login, self.log_in(login)).await {
                None => return loaded,
                Some(Err(failure)) => return Err(error.clone().after_login(&failure)),
                Some(Ok(Next::LoadOnce)) => return self.current().await,
                Some(Ok(Next::LoadAgain)) => {}
            }
        }
    }

    /// Does the login that an error of this chain names.
    pub(super) fn log_in(&self, login: &Login) -> Boxed<'static, Result<(), String>> {
        self.loader.log_in(login)
    }

    /// Where the credentials come from, for advice.
    pub(in crate::aws) fn credential_source(&self) -> CredentialSource {
        self.loader.credential_source()
    }

    /// The state of the files behind the credentials.
    pub(super) async fn fingerprint(&self) -> Fingerprint {
        self.loader.fingerprint().await
    }

    async fn kept_or_loaded(&self) -> Loaded {
        loop {
            let load = match self.kept_or_load(self.loader.fingerprint().await) {
                Found::Kept(credentials) => return Ok(credentials),
                Found::Loading(load) => load,
            };
            match load.result().await {
                Ok(loaded) => return loaded,
                Err(error @ FlightError::Panicked(_)) => return Err(NoCredentials::crashed(&error)),
                // The profiles changed, and another connection replaced the load.
                Err(FlightError::Aborted) => {}
            }
        }
    }

    /// The kept credentials, or the load that replaces them.
    fn kept_or_load(&self, seen: Fingerprint) -> Found {
        let mut state = self.state.lock();
        if let Some(kept) = &state.kept
            && kept.seen == seen
            && kept.is_fresh(SystemTime::now())
        {
            return Found::Kept(kept.credentials.clone());
        }
        // They are expired or overwritten, and must not be used if the load fails.
        state.kept = None;
        if !state.load_began_with.has_same_profiles(&seen) {
            self.loads.abort();
        }
        // Still under the lock: otherwise a load could end in between and be started a second time.
        Found::Loading(self.loads.join_or_start(|| {
            state.load_began_with = seen.clone();
            tokio::spawn(load(Arc::clone(&self.loader), Arc::clone(&self.state), seen))
        }))
    }
}

async fn load(loader: Arc<dyn Load>, state: Arc<Mutex<State>>, before: Fingerprint) -> Loaded {
    let credentials = loader.load().await?;
    let after = loader.fingerprint().await;
    // The load itself may have written a session file. If the profiles changed, the next connection loads again.
    let seen = if after.has_same_profiles(&before) { after } else { before };
    state.lock().kept = Some(Kept { credentials: credentials.clone(), loaded_at: SystemTime::now(), seen });
    Ok(credentials)
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        let expiry = self.credentials.expiry();
        now < expiry.map_or(self.loaded_at + DEFAULT_LIFETIME, |expiry| expiry - MIN_REMAINING)
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
        formatter.debug_struct("Chain").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
