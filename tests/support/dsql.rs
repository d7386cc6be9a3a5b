//! The clusters of Aurora DSQL of a world: each has a listener that verifies their tokens, and an entry in the fake AWS answers.

use std::sync::Arc;

use super::certificates::{Authority, Validity};
use super::dsql_api::DsqlCluster;
use super::fake_aws::FakeAws;
use super::fake_rds::{Encryption, FakeRds, Options};
use super::identity::Identities;
use super::instance::{Database, REGION};
use super::postgres::Postgres;
use super::token::Service;

/// The port of every cluster.
const PORT: u16 = 5432;

/// A cluster of Aurora DSQL at a loopback address that no other test uses.
#[derive(Clone)]
pub struct Dsql {
    identifier: String,
    region: String,
    status: String,
    host: Option<String>,
    address: Option<String>,
    tags: Vec<(String, String)>,
}

impl Dsql {
    /// An active cluster. An identifier has 26 letters and digits.
    pub fn new(identifier: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            region: REGION.to_owned(),
            status: "ACTIVE".to_owned(),
            host: None,
            address: None,
            tags: Vec::new(),
        }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Sets the status, `ACTIVE` by default.
    #[must_use]
    pub fn status(self, status: &str) -> Self {
        Self { status: status.to_owned(), ..self }
    }

    /// Sets the region, `us-east-1` by default.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    /// Sets the host name in its endpoint, for which certificate and tokens are, and the loopback address.
    #[must_use]
    pub fn called(self, host: &str, address: &str) -> Self {
        Self { host: Some(host.to_owned()), address: Some(address.to_owned()), ..self }
    }

    /// Starts the listener and adds the cluster to the AWS answers. The database of the world has its identifier.
    pub(super) async fn start(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Database {
        let address = self.address.clone().unwrap_or_else(loopback);
        let host = self.host.clone().unwrap_or_else(|| address.clone());
        let certificate = Authority::trusted_intermediate().issue(&[&host], Validity::Now);
        let options = Options {
            host: host.clone(),
            address,
            port: PORT,
            region: self.region.clone(),
            encryption: Encryption::Required,
            certificate: certificate.clone(),
            service: Service::Dsql,
        };
        let rds = FakeRds::start(options, postgres.clone(), identities.clone()).await;
        aws.put_dsql(DsqlCluster {
            identifier: self.identifier.clone(),
            region: self.region.clone(),
            status: self.status.clone(),
            endpoint: host,
            tags: self.tags.clone(),
        });
        Database { name: self.identifier.clone(), rds, certificate }
    }
}

/// A loopback address by chance.
pub fn loopback() -> String {
    format!("127.{}.{}.{}", fastrand::u8(64..), fastrand::u8(..), fastrand::u8(1..255))
}
