//! Connectors by their settings.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{Connector, Settings};

/// The connectors in use, one for each settings. A list of targets that is merged again gets the connectors that it had, with
/// their loaded files.
#[derive(Default)]
pub struct ConnectorCache(Mutex<HashMap<Settings, Weak<Connector>>>);

impl ConnectorCache {
    /// The connector with these settings. Reads no file.
    #[must_use]
    pub fn connector(&self, settings: Settings) -> Arc<Connector> {
        let mut known = self.0.lock();
        if let Some(connector) = known.get(&settings).and_then(Weak::upgrade) {
            return connector;
        }
        known.retain(|_, connector| connector.strong_count() > 0);
        let connector = Arc::new(Connector::new(settings.clone()));
        known.insert(settings, Arc::downgrade(&connector));
        connector
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ClientIdentity, Roots, SelfSigned, SslMode};

    #[test]
    fn equal_settings_share_a_connector_and_unused_ones_go() {
        let identity = ClientIdentity::Generated(Arc::new(SelfSigned::generate(&[]).unwrap()));
        let settings = |region: &str| Settings {
            roots: Some(Roots::Rds { region: region.into() }),
            ..Settings::new(SslMode::VerifyFull, identity.clone())
        };
        let cache = ConnectorCache::default();
        let first = cache.connector(settings("us-east-1"));
        let other = cache.connector(settings("eu-west-1"));
        assert!(Arc::ptr_eq(&first, &cache.connector(settings("us-east-1"))));
        assert!(!Arc::ptr_eq(&first, &other));
        drop(other);
        let _third = cache.connector(settings("eu-west-2"));
        assert_eq!(cache.0.lock().len(), 2);
    }
}
