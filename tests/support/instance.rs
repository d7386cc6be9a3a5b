//! The databases of a world: each has a fake RDS listener and an entry in the fake AWS answers.

use std::sync::Arc;

use super::certificates::{Authority, Certificate, Validity};
use super::fake_aws::FakeAws;
use super::fake_rds::{Encryption, FakeRds, Options};
use super::identity::Identities;
use super::ports::free_port;
use super::postgres::Postgres;
use super::rds_api::{ACCOUNT, CustomEndpoint, DbCluster, DbInstance};
use super::roles::DATABASE;
use super::token::Service;

/// The default region.
pub const REGION: &str = "us-east-1";

/// A DB instance. `"db-1".into()` has the defaults: at `localhost`, IAM enabled, no tags.
#[derive(Clone)]
pub struct Instance {
    pub(super) name: String,
    account: String,
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
    instance_tags: Vec<(String, String)>,
    custom_members: Vec<String>,
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
    /// An instance with the defaults.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: ACCOUNT.to_owned(),
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

    /// Sets the account. Its name in the world is `ACCOUNT/NAME`, and it accepts only tokens of that account.
    #[must_use]
    pub fn in_account(self, account: &str) -> Self {
        Self { account: account.to_owned(), ..self }
    }

    /// Sets the region, `us-east-1` by default.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    /// Sets the engine, `postgres` by default.
    #[must_use]
    pub fn engine(self, engine: &str) -> Self {
        Self { engine: engine.to_owned(), ..self }
    }

    /// Sets the loopback address, which is also the host name.
    #[must_use]
    pub fn at(self, address: &str) -> Self {
        Self { host: address.to_owned(), address: address.to_owned(), ..self }
    }

    /// Sets the host name in its endpoint, for which certificate and tokens are, and keeps the loopback address.
    #[must_use]
    pub fn called(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// Turns IAM authentication off in the AWS answers.
    #[must_use]
    pub fn without_iam(self) -> Self {
        Self { iam: false, ..self }
    }

    /// Leaves the endpoint out of the AWS answers, as while RDS creates the instance. The listener exists.
    #[must_use]
    pub fn without_endpoint(self) -> Self {
        Self { created: false, ..self }
    }

    /// A further instance of a cluster.
    #[must_use]
    pub fn in_cluster(self, cluster: &str) -> Self {
        Self { cluster: Some(cluster.to_owned()), engine: "aurora-postgresql".to_owned(), iam: false, ..self }
    }

    /// Sets the answer to an `SSLRequest`.
    #[must_use]
    pub fn encryption(self, encryption: Encryption) -> Self {
        Self { encryption, ..self }
    }

    /// Sets the certificate, a valid one by default.
    #[must_use]
    pub fn certificate(self, certificate: Certificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    fn certificate_or_valid(&self) -> Certificate {
        let valid = || Authority::trusted_intermediate().issue(&[&self.host], Validity::Now);
        self.certificate.clone().unwrap_or_else(valid)
    }

    /// Starts the listener and adds the instance to the AWS answers.
    pub(super) async fn start(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Database {
        let certificate = self.certificate_or_valid();
        let options = Options {
            host: self.host.clone(),
            address: self.address.clone(),
            port: self.port,
            region: self.region.clone(),
            encryption: self.encryption,
            certificate: certificate.clone(),
            service: Service::Rds,
        };
        let rds = FakeRds::start(options, postgres.clone(), identities.clone()).await;
        rds.accept_only(&self.account);
        aws.put_instance(DbInstance {
            identifier: self.name.clone(),
            account: self.account.clone(),
            region: self.region.clone(),
            engine: self.engine.clone(),
            endpoint: self.created.then(|| (self.host.clone(), rds.port)),
            database: Some(DATABASE.to_owned()),
            iam: self.iam,
            tags: self.tags.clone(),
            cluster: self.cluster.clone(),
        });
        let own = self.account == ACCOUNT;
        let name = if own { self.name.clone() } else { format!("{}/{}", self.account, self.name) };
        Database { name, rds, certificate }
    }
}

impl Cluster {
    /// A cluster with the defaults.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            region: REGION.to_owned(),
            tags: Vec::new(),
            instance_tags: Vec::new(),
            custom_members: Vec::new(),
            iam: true,
        }
    }

    /// Adds a tag to the cluster and its instance.
    #[must_use]
    pub fn tag(self, key: &str, value: &str) -> Self {
        self.tag_of_cluster(key, value).tag_of_instance(key, value)
    }

    /// Adds a tag to the cluster alone.
    #[must_use]
    pub fn tag_of_cluster(mut self, key: &str, value: &str) -> Self {
        self.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds a tag to the instance alone.
    #[must_use]
    pub fn tag_of_instance(mut self, key: &str, value: &str) -> Self {
        self.instance_tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The custom endpoint leads to this instance only.
    #[must_use]
    pub fn custom_member(mut self, instance: &str) -> Self {
        self.custom_members.push(instance.to_owned());
        self
    }

    /// Sets the region, `us-east-1` by default.
    #[must_use]
    pub fn in_region(self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self }
    }

    /// Turns IAM authentication off.
    #[must_use]
    pub fn without_iam(self) -> Self {
        Self { iam: false, ..self }
    }

    /// Starts the listeners and adds the cluster to the AWS answers. The databases of the world are `NAME-instance-1`,
    /// `NAME/writer`, `NAME/reader` and `NAME/custom`.
    pub(super) async fn start(
        &self,
        postgres: &Arc<Postgres>,
        identities: &Identities,
        aws: &FakeAws,
    ) -> Vec<Database> {
        let member = format!("{}-instance-1", self.name);
        let instance = Instance {
            engine: "aurora-postgresql".to_owned(),
            tags: self.instance_tags.clone(),
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
                service: Service::Rds,
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
            custom: vec![CustomEndpoint {
                identifier: format!("{}-custom", self.name),
                address: custom,
                members: self.custom_members.clone(),
            }],
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
