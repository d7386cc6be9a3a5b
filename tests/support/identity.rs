//! The access keys that the fake AWS endpoint and the fake RDS instances accept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::rds_api::ACCOUNT;
use super::scratch::random_text;

/// An access key of IAM (`AKIA…`) or STS (`ASIA…`, with a session token).
#[derive(Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
    pub session_token: Option<String>,
    /// When it expires.
    pub expires: Option<SystemTime>,
    /// Whether a policy grants `rds-db:connect`.
    pub may_connect: bool,
    /// Its owner; absent: the user `tester`, or the session `session` of the role `tester`.
    pub arn: Option<String>,
}

/// The known access keys. Clones share them.
#[derive(Clone, Default)]
pub struct Identities(Arc<Mutex<HashMap<String, AccessKey>>>);

impl AccessKey {
    /// A long-lived key of an IAM user.
    pub fn long_lived() -> Self {
        Self::new("AKIA", None, None)
    }

    /// A key of an assumed role. Its session token has 900 characters, a usual length.
    pub fn session(lifetime: Duration) -> Self {
        Self::new("ASIA", Some(format!("IQoJ+/{}==", random_text(892))), Some(SystemTime::now() + lifetime))
    }

    fn new(kind: &str, session_token: Option<String>, expires: Option<SystemTime>) -> Self {
        let id = format!("{kind}{}", random_text(16).to_ascii_uppercase());
        Self { id, secret: random_text(40), session_token, expires, may_connect: true, arn: None }
    }

    /// The ARN of its owner.
    pub fn owner(&self) -> String {
        match (&self.arn, &self.session_token) {
            (Some(arn), _) => arn.clone(),
            (None, None) => format!("arn:aws:iam::{ACCOUNT}:user/tester"),
            (None, Some(_)) => format!("arn:aws:sts::{ACCOUNT}:assumed-role/tester/session"),
        }
    }

    /// The AWS account of its owner.
    pub fn account(&self) -> String {
        self.owner().split(':').nth(4).unwrap_or_default().to_owned()
    }

    /// Whether it has expired at `now`.
    pub fn expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl Identities {
    /// Adds a key, or replaces the one with the same id.
    pub fn add(&self, key: AccessKey) {
        self.0.lock().unwrap().insert(key.id.clone(), key);
    }

    /// The key with this id.
    pub fn find(&self, id: &str) -> Option<AccessKey> {
        self.0.lock().unwrap().get(id).cloned()
    }

    /// Changes the key with this id.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut AccessKey)) {
        change(self.0.lock().unwrap().get_mut(id).unwrap());
    }

    /// All keys, for the search for secrets.
    pub fn all(&self) -> Vec<AccessKey> {
        self.0.lock().unwrap().values().cloned().collect()
    }
}
