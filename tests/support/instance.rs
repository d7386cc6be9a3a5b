//! What a database of the world is like: the plan from which its listener and its entry in the AWS answers are made.

use std::sync::Arc;

use super::certificates::{Authority, Certificate, Validity};
use super::fake_aws::FakeAws;
use super::fake_rds::{Encryption, FakeRds, Options};
use super::identity::Identities;
use super::ports::free_port;
use super::postgres::Postgres;
use super::rds_api::{CustomEndpoint, DbCluster, DbInstance};
use super::roles::DATABASE;

/// The region of everything that does not say otherwise.
pub const REGION: &str = "us-east-1";

/// A DB instance. `"db-1".into()` is an ordinary one: reachable at `localhost`, IAM on, no tags.
#[derive(Clone)]
pub struct Instance {
    pub(super) name: String,
    pub(super) region: String,
    host: String,
    address: String,
    port: u16,
    engine: String,
    tags: Vec<(String, String)>,
    iam: bool,
    created: bool,
    encryption: Encryption,
    certificate: Option<Certificate>,
    cluster: Option<String>,
}

/// An Aurora cluster: its writer at 127.0.0.2, its reader at 127.0.0.3 and its custom endpoint `NAME-custom` at
/// 127.0.0.4, all on one port, and one instance `NAME-instance-1` at `localhost`.
#[derive(Clone)]
pub struct Cluster {
    pub(super) name: String,
    pub(super) region: String,
    tags: Vec<(String, String)>,
    iam: bool,
}

impl From<&str> for Instance {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&str> for Cluster {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl Instance {
    /// An ordinary one.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: REGION.to_owned(),
            host: "localhost".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: 0,
            engine: "postgres".to_owned(),
            tags: Vec::new(),
            iam: true,
            created: true,
            encryption: Encryption::Required,
            certificate: None,
            cluster: None,
        }
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Not in `us-east-1`.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    /// Not `postgres`.
    #[must_use]
    pub fn engine(self, engine: &str) -> Self {
        Self { engine: engine.to_owned(), ..self }
    }

    /// At this loopback address, which is also its name.
    #[must_use]
    pub fn at(self, address: &str) -> Self {
        Self { host: address.to_owned(), address: address.to_owned(), ..self }
    }

    /// IAM authentication is off, says AWS.
    #[must_use]
    pub fn without_iam(self) -> Self {
        Self { iam: false, ..self }
    }

    /// It is still being created: AWS knows no endpoint. (The listener is there all the same.)
    #[must_use]
    pub fn without_endpoint(self) -> Self {
        Self { created: false, ..self }
    }

    /// What it answers to an `SSLRequest`.
    #[must_use]
    pub fn encryption(self, encryption: Encryption) -> Self {
        Self { encryption, ..self }
    }

    /// Shows this certificate instead of a good one.
    #[must_use]
    pub fn certificate(self, certificate: Certificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// The certificate it will show, made now if none was given.
    fn certificate_to_show(&self) -> Certificate {
        let good = || Authority::trusted_intermediate().issue(&[&self.host], Validity::Now);
        self.certificate.clone().unwrap_or_else(good)
    }

    /// Starts the listener and tells AWS of it.
    pub(super) async fn start(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Database {
        let certificate = self.certificate_to_show();
        let options = Options {
            host: self.host.clone(),
            address: self.address.clone(),
            port: self.port,
            region: self.region.clone(),
            encryption: self.encryption,
            certificate: certificate.clone(),
        };
        let rds = FakeRds::start(options, postgres.clone(), identities.clone()).await;
        aws.put_instance(DbInstance {
            identifier: self.name.clone(),
            region: self.region.clone(),
            engine: self.engine.clone(),
            endpoint: self.created.then(|| (self.host.clone(), rds.port)),
            database: Some(DATABASE.to_owned()),
            iam: self.iam,
            tags: self.tags.clone(),
            cluster: self.cluster.clone(),
        });
        Database { name: self.name.clone(), rds, certificate }
    }
}

impl Cluster {
    /// An ordinary one.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), region: REGION.to_owned(), tags: Vec::new(), iam: true }
    }

    /// Adds a tag to the cluster and its instance.
    #[must_use]
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Not in `us-east-1`.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    /// IAM authentication is off.
    #[must_use]
    pub fn without_iam(self) -> Self {
        Self { iam: false, ..self }
    }

    /// Starts the listeners, named `NAME-instance-1`, `NAME/writer`, `NAME/reader` and `NAME/custom` in the world.
    pub(super) async fn start(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Vec<Database> {
        let member = format!("{}-instance-1", self.name);
        let instance = Instance {
            engine: "aurora-postgresql".to_owned(),
            tags: self.tags.clone(),
            iam: false,
            cluster: Some(self.name.clone()),
            ..Instance::new(&member).in_region(&self.region)
        };
        let mut databases = vec![instance.start(postgres, identities, aws).await];
        let port = free_port();
        let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
        for (kind, address) in ["writer", "reader", "custom"].into_iter().zip(addresses) {
            let certificate = Authority::trusted_intermediate().issue(&[address], Validity::Now);
            let options = Options {
                host: address.to_owned(),
                address: address.to_owned(),
                port,
                region: self.region.clone(),
                encryption: Encryption::Required,
                certificate: certificate.clone(),
            };
            let rds = FakeRds::start(options, postgres.clone(), identities.clone()).await;
            databases.push(Database { name: format!("{}/{kind}", self.name), rds, certificate });
        }
        let [writer, reader, custom] = addresses.map(str::to_owned);
        aws.put_cluster(DbCluster {
            identifier: self.name.clone(),
            region: self.region.clone(),
            engine: "aurora-postgresql".to_owned(),
            port,
            writer: Some(writer),
            reader: Some(reader),
            custom: vec![CustomEndpoint { identifier: format!("{}-custom", self.name), address: custom }],
            database: Some(DATABASE.to_owned()),
            iam: self.iam,
            tags: self.tags.clone(),
            members: vec![member],
        });
        databases
    }
}

/// A running database.
pub(super) struct Database {
    pub(super) name: String,
    pub(super) rds: FakeRds,
    pub(super) certificate: Certificate,
}
