//! The cancel keys of the open sessions, for a door that several targets share: a cancel request there names no target.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::wire::CancelRequest;

/// Finds the target of a session by its cancel key. Keeps no key, only its hash: the database verifies the key. Clones share
/// the table.
#[derive(Clone, Default)]
pub(super) struct CancelKeys {
    targets: Arc<Mutex<HashMap<u64, Arc<str>>>>,
    hasher: RandomState,
}

/// The entry of an open session, removed when dropped.
pub(super) struct KeptKey {
    keys: CancelKeys,
    hash: u64,
}

impl CancelKeys {
    /// Adds the session that this request would cancel.
    pub(super) fn keep(&self, cancel: &CancelRequest, target: &str) -> KeptKey {
        let hash = self.hash(cancel);
        self.targets.lock().insert(hash, target.into());
        KeptKey { keys: self.clone(), hash }
    }

    /// The name of the target of the session that this request cancels.
    pub(super) fn target(&self, cancel: &CancelRequest) -> Option<Arc<str>> {
        self.targets.lock().get(&self.hash(cancel)).cloned()
    }

    fn hash(&self, cancel: &CancelRequest) -> u64 {
        self.hasher.hash_one((cancel.process_id, cancel.key.expose()))
    }
}

impl Drop for KeptKey {
    fn drop(&mut self) {
        self.keys.targets.lock().remove(&self.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::CancelKey;

    #[test]
    fn a_key_leads_to_its_target_until_the_session_ends() {
        let keys = CancelKeys::default();
        let request =
            |process_id, key: &[u8]| CancelRequest { process_id, key: CancelKey::new(key).unwrap() };
        let (one, other) = (request(7, b"1234"), request(7, &[b'1'; 32]));
        let kept = keys.keep(&one, "orders");
        let _other = keys.clone().keep(&other, "people");
        assert_eq!(keys.target(&one).as_deref(), Some("orders"));
        assert_eq!(keys.target(&other).as_deref(), Some("people"));
        assert_eq!(keys.target(&request(8, b"1234")), None);
        drop(kept);
        assert_eq!(keys.target(&one), None);
        assert_eq!(keys.targets.lock().len(), 1, "no entry stays behind");
    }
}
