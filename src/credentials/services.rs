//! The services that are served now, and which of them a token names.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use parking_lot::{Mutex, RwLock};

use super::metrics;
use super::running::Running;
use crate::services::{RoleSources, Service, Timing};

/// The services. Clones share them.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

struct Inner {
    sources: Arc<dyn RoleSources>,
    table: RwLock<Arc<[Entry]>>,
    /// Held while the table is replaced.
    replacing: Mutex<()>,
}

struct Entry {
    /// Of the token. Digests have one size, so a comparison tells nothing about the length of a token.
    digest: [u8; SHA256_OUTPUT_LEN],
    running: Arc<Running>,
}

impl Services {
    /// No services yet.
    #[must_use]
    pub fn new(sources: Arc<dyn RoleSources>) -> Self {
        let table = RwLock::new(Arc::from([]));
        Self(Arc::new(Inner { sources, table, replacing: Mutex::default() }))
    }

    /// Serves these and no others. A service whose role and source credentials are unchanged keeps its credentials.
    pub fn replace(&self, services: &[Service], timing: Timing) {
        let _only_one = self.0.replacing.lock();
        let before = self.table();
        let running = |service: &Service| {
            let known = before.iter().find(|entry| entry.running.serves(service, timing));
            known.map_or_else(
                || Arc::new(Running::start(service, self.0.sources.source(service), timing)),
                |entry| Arc::clone(&entry.running),
            )
        };
        let table: Arc<[Entry]> = services
            .iter()
            .map(|service| Entry { digest: digest_of(service.token.expose()), running: running(service) })
            .collect();
        for gone in
            before.iter().filter(|entry| services.iter().all(|known| known.name != entry.running.name))
        {
            metrics::forget_service(&gone.running.name);
        }
        metrics::active_services(table.len());
        *self.0.table.write() = table;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().len()
    }

    /// The service with this token. Compares with every token, and takes the same time whichever fits.
    pub(super) fn find(&self, token: &[u8]) -> Option<Arc<Running>> {
        let wanted = digest_of(token);
        let table = self.table();
        let mut found = None;
        for entry in table.iter() {
            if verify_slices_are_equal(&wanted, &entry.digest).is_ok() {
                found = Some(Arc::clone(&entry.running));
            }
        }
        found
    }

    fn table(&self) -> Arc<[Entry]> {
        Arc::clone(&self.0.table.read())
    }
}

fn digest_of(token: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    // Both have this length.
    bytes.copy_from_slice(digest(&SHA256, token).as_ref());
    bytes
}
