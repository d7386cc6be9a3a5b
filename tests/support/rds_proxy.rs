//! The RDS Proxies of a world: each endpoint has a fake RDS listener, and the proxy an entry in the fake AWS answers.

use std::sync::Arc;

use super::certificates::{Authority, Validity};
use super::dsql::loopback;
use super::fake_aws::FakeAws;
use super::fake_rds::{Encryption, FakeRds, Options};
use super::identity::Identities;
use super::instance::{Database, REGION};
use super::postgres::Postgres;
use super::rds_api::DbProxy;
use super::token::Service;

/// The port of every endpoint of an RDS Proxy for PostgreSQL.
const PORT: u16 = 5432;

/// An RDS Proxy with IAM authentication and a further endpoint `readers`, each at a loopback address that no other test uses.
#[derive(Clone)]
pub struct RdsProxy {
    name: String,
    instance: String,
    iam_auth: String,
    tags: Vec<(String, String)>,
}

impl RdsProxy {
    /// A proxy that leads to this instance.
    pub fn new(name: &str, instance: &str) -> Self {
        Self {
            name: name.to_owned(),
            instance: instance.to_owned(),
            iam_auth: "REQUIRED".to_owned(),
            tags: Vec::new(),
        }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Turns IAM authentication off.
    #[must_use]
    pub fn without_iam(self) -> Self {
        Self { iam_auth: "DISABLED".to_owned(), ..self }
    }

    /// Starts the listeners and adds the proxy to the AWS answers. The databases of the world are `NAME/proxy` and
    /// `NAME/readers`.
    pub(super) async fn start(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Vec<Database> {
        let mut databases = Vec::new();
        let addresses = [loopback(), loopback()];
        for (kind, address) in ["proxy", "readers"].into_iter().zip(&addresses) {
            let certificate = Authority::trusted_intermediate().issue(&[address], Validity::Now);
            let options = Options {
                host: address.clone(),
                address: address.clone(),
                port: PORT,
                region: REGION.to_owned(),
                encryption: Encryption::Required,
                certificate: certificate.clone(),
                service: Service::Rds,
            };
            let rds = FakeRds::start(options, postgres.clone(), identities.clone()).await;
            databases.push(Database { name: format!("{}/{kind}", self.name), rds, certificate });
        }
        let [address, readers] = addresses;
        aws.put_proxy(DbProxy {
            name: self.name.clone(),
            region: REGION.to_owned(),
            address,
            iam_auth: self.iam_auth.clone(),
            tags: self.tags.clone(),
            endpoints: vec![("readers".to_owned(), readers)],
            instance: self.instance.clone(),
        });
        databases
    }
}
