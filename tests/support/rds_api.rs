//! The databases that the fake AWS endpoint lists, and their XML in the RDS API.
//!
//! Element names and their order are those of the Amazon RDS API reference, version 2014-10-31 (`DBInstance`,
//! `DBCluster`, `DBClusterEndpoint`, `DBProxy`, `DBProxyEndpoint`, `DBProxyTarget`). Elements that the proxies do not read are left out.

use std::fmt::Write;

/// The AWS account of all resources but instances with another one.
pub const ACCOUNT: &str = "123456789012";

/// A DB instance.
#[derive(Clone, Debug)]
pub struct DbInstance {
    pub identifier: String,
    pub account: String,
    pub region: String,
    /// `postgres`, `aurora-postgresql`, `mysql`, …
    pub engine: String,
    /// Address and port; none while RDS creates the instance.
    pub endpoint: Option<(String, u16)>,
    /// The name of the initial database.
    pub database: Option<String>,
    pub iam: bool,
    pub tags: Vec<(String, String)>,
    /// The identifier of its cluster.
    pub cluster: Option<String>,
}

/// An Aurora cluster.
#[derive(Clone, Debug)]
pub struct DbCluster {
    pub identifier: String,
    pub region: String,
    pub engine: String,
    pub port: u16,
    /// The address of the writer endpoint, without port.
    pub writer: Option<String>,
    pub reader: Option<String>,
    pub custom: Vec<CustomEndpoint>,
    pub database: Option<String>,
    pub iam: bool,
    pub tags: Vec<(String, String)>,
    /// Identifiers of its instances, the writer first.
    pub members: Vec<String>,
}

/// A custom endpoint of a cluster.
#[derive(Clone, Debug)]
pub struct CustomEndpoint {
    pub identifier: String,
    pub address: String,
    /// The instances in it; empty: all of the cluster.
    pub members: Vec<String>,
}

/// An RDS Proxy.
#[derive(Clone, Debug)]
pub struct DbProxy {
    pub name: String,
    pub region: String,
    /// The address of the default endpoint, without port.
    pub address: String,
    /// `DISABLED`, `REQUIRED` or `ENABLED`.
    pub iam_auth: String,
    pub tags: Vec<(String, String)>,
    /// Names and addresses of the further endpoints.
    pub endpoints: Vec<(String, String)>,
    /// The instance that it leads to.
    pub instance: String,
}

/// An entry of a paged list in the RDS API.
pub trait Listed: Clone {
    fn region(&self) -> &str;
    fn identifier(&self) -> &str;
    fn account(&self) -> &str {
        ACCOUNT
    }
    fn engine(&self) -> &str;
    fn xml(&self) -> String;
}

impl Listed for DbInstance {
    fn region(&self) -> &str {
        &self.region
    }

    fn identifier(&self) -> &str {
        &self.identifier
    }

    fn account(&self) -> &str {
        &self.account
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn xml(&self) -> String {
        let status = if self.endpoint.is_some() { "available" } else { "creating" };
        let mut xml = element("DBInstanceIdentifier", &self.identifier)
            + &element("DBInstanceClass", "db.t4g.micro")
            + &element("Engine", &self.engine)
            + &element("DBInstanceStatus", status)
            + &element("MasterUsername", "postgres")
            + &optional("DBName", self.database.as_deref());
        if let Some((address, port)) = &self.endpoint {
            let endpoint = element("Address", address)
                + &element("Port", &port.to_string())
                + &element("HostedZoneId", "Z2R2ITUGPM61AM");
            xml += &wrap("Endpoint", &endpoint);
        }
        xml += &element("AvailabilityZone", &format!("{}a", self.region));
        xml += &element("EngineVersion", "15.8");
        xml += &optional("DBClusterIdentifier", self.cluster.as_deref());
        xml += &element("DbiResourceId", &format!("db-{}", resource_id(&self.identifier)));
        xml += &element("CACertificateIdentifier", "rds-ca-rsa2048-g1");
        xml += &element("DBInstanceArn", &arn(&self.account, &self.region, "db", &self.identifier));
        xml += &element("IAMDatabaseAuthenticationEnabled", &self.iam.to_string());
        wrap("DBInstance", &(xml + &tag_list(&self.tags)))
    }
}

impl Listed for DbCluster {
    fn region(&self) -> &str {
        &self.region
    }

    fn identifier(&self) -> &str {
        &self.identifier
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn xml(&self) -> String {
        let mut xml = optional("DatabaseName", self.database.as_deref())
            + &element("DBClusterIdentifier", &self.identifier)
            + &element("Status", if self.writer.is_some() { "available" } else { "creating" })
            + &optional("Endpoint", self.writer.as_deref())
            + &optional("ReaderEndpoint", self.reader.as_deref());
        if !self.custom.is_empty() {
            let addresses: String =
                self.custom.iter().map(|endpoint| element("member", &endpoint.address)).collect();
            xml += &wrap("CustomEndpoints", &addresses);
        }
        xml += &element("Engine", &self.engine);
        xml += &element("EngineVersion", "15.8");
        xml += &element("Port", &self.port.to_string());
        xml += &element("MasterUsername", "postgres");
        xml += &wrap("DBClusterMembers", &self.members_xml());
        xml += &element("DbClusterResourceId", &format!("cluster-{}", resource_id(&self.identifier)));
        xml += &element("DBClusterArn", &arn(ACCOUNT, &self.region, "cluster", &self.identifier));
        xml += &element("IAMDatabaseAuthenticationEnabled", &self.iam.to_string());
        wrap("DBCluster", &(xml + &tag_list(&self.tags)))
    }
}

impl DbCluster {
    /// All endpoints, as `DescribeDBClusterEndpoints` lists them.
    pub fn endpoints(&self) -> Vec<DbClusterEndpoint> {
        let builtin = [("WRITER", &self.writer), ("READER", &self.reader)];
        let builtin = builtin
            .into_iter()
            .filter_map(|(kind, address)| Some(DbClusterEndpoint::new(self, kind, address.as_deref()?)));
        let custom = self.custom.iter().map(|endpoint| DbClusterEndpoint {
            identifier: Some(endpoint.identifier.clone()),
            members: endpoint.members.clone(),
            ..DbClusterEndpoint::new(self, "CUSTOM", &endpoint.address)
        });
        builtin.chain(custom).collect()
    }

    fn members_xml(&self) -> String {
        let member = |(index, identifier): (usize, &String)| {
            let xml = element("DBInstanceIdentifier", identifier)
                + &element("IsClusterWriter", &(index == 0).to_string())
                + &element("DBClusterParameterGroupStatus", "in-sync")
                + &element("PromotionTier", "1");
            wrap("DBClusterMember", &xml)
        };
        self.members.iter().enumerate().map(member).collect()
    }
}

/// One endpoint of a cluster.
#[derive(Clone, Debug)]
pub struct DbClusterEndpoint {
    cluster: String,
    region: String,
    engine: String,
    kind: &'static str,
    identifier: Option<String>,
    address: String,
    members: Vec<String>,
}

impl DbClusterEndpoint {
    fn new(cluster: &DbCluster, kind: &'static str, address: &str) -> Self {
        Self {
            cluster: cluster.identifier.clone(),
            region: cluster.region.clone(),
            engine: cluster.engine.clone(),
            kind,
            identifier: None,
            address: address.to_owned(),
            members: Vec::new(),
        }
    }

    /// Whether its type is one of these, in lower case as in filters. An empty list matches every type.
    pub fn is_one_of(&self, kinds: &[&str]) -> bool {
        kinds.is_empty() || kinds.iter().any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }
}

impl Listed for DbClusterEndpoint {
    fn region(&self) -> &str {
        &self.region
    }

    /// The identifier of its cluster, which requests name.
    fn identifier(&self) -> &str {
        &self.cluster
    }

    fn engine(&self) -> &str {
        &self.engine
    }

    fn xml(&self) -> String {
        let mut xml = element("DBClusterIdentifier", &self.cluster)
            + &element("Endpoint", &self.address)
            + &element("EndpointType", self.kind)
            + &element("Status", "available");
        if let Some(identifier) = &self.identifier {
            xml += &element("DBClusterEndpointIdentifier", identifier);
            xml += &element("CustomEndpointType", "ANY");
            let members: String = self.members.iter().map(|member| element("member", member)).collect();
            xml += &wrap("StaticMembers", &members);
            xml +=
                &element("DBClusterEndpointArn", &arn(ACCOUNT, &self.region, "cluster-endpoint", identifier));
        }
        wrap("DBClusterEndpointList", &xml)
    }
}

impl DbProxy {
    pub fn arn(&self) -> String {
        arn(ACCOUNT, &self.region, "db-proxy", &format!("prx-{}", self.name))
    }

    /// All endpoints, as `DescribeDBProxyEndpoints` lists them.
    pub fn all_endpoints(&self) -> Vec<DbProxyEntry> {
        let default = [("default", self.address.as_str(), true)];
        let further = self.endpoints.iter().map(|(name, address)| (name.as_str(), address.as_str(), false));
        let xml = |(name, address, is_default): (&str, &str, bool)| {
            element("DBProxyEndpointName", name)
                + &element("DBProxyName", &self.name)
                + &element("Status", "available")
                + &element("Endpoint", address)
                + &element("TargetRole", if is_default { "READ_WRITE" } else { "READ_ONLY" })
                + &element("IsDefault", &is_default.to_string())
        };
        default.into_iter().chain(further).map(|endpoint| self.entry(xml(endpoint))).collect()
    }

    /// Its databases, as `DescribeDBProxyTargets` lists them.
    pub fn targets(&self) -> Vec<DbProxyEntry> {
        vec![self.entry(element("RdsResourceId", &self.instance) + &element("Type", "RDS_INSTANCE"))]
    }

    /// The answer to `ListTagsForResource`.
    pub fn tag_list(&self) -> String {
        tag_list(&self.tags)
    }

    fn entry(&self, xml: String) -> DbProxyEntry {
        DbProxyEntry { proxy: self.name.clone(), region: self.region.clone(), xml }
    }
}

impl Listed for DbProxy {
    fn region(&self) -> &str {
        &self.region
    }

    fn identifier(&self) -> &str {
        &self.name
    }

    /// Requests for proxies have no filter.
    fn engine(&self) -> &'static str {
        ""
    }

    fn xml(&self) -> String {
        let auth = element("AuthScheme", "SECRETS") + &element("IAMAuth", &self.iam_auth);
        let xml = element("DBProxyName", &self.name)
            + &element("DBProxyArn", &self.arn())
            + &element("Status", "available")
            + &element("EngineFamily", "POSTGRESQL")
            + &wrap("Auth", &wrap("member", &auth))
            + &element("Endpoint", &self.address)
            + &element("RequireTLS", "true");
        wrap("member", &xml)
    }
}

/// An endpoint or a target of a proxy.
#[derive(Clone, Debug)]
pub struct DbProxyEntry {
    proxy: String,
    region: String,
    xml: String,
}

impl Listed for DbProxyEntry {
    fn region(&self) -> &str {
        &self.region
    }

    /// The name of its proxy, which requests name.
    fn identifier(&self) -> &str {
        &self.proxy
    }

    fn engine(&self) -> &'static str {
        ""
    }

    fn xml(&self) -> String {
        wrap("member", &self.xml)
    }
}

/// `<name>text</name>` with the text escaped.
pub fn element(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    wrap(name, &text)
}

/// `<name>xml</name>`
pub fn wrap(name: &str, xml: &str) -> String {
    format!("<{name}>{xml}</{name}>")
}

fn optional(name: &str, text: Option<&str>) -> String {
    text.map(|text| element(name, text)).unwrap_or_default()
}

fn tag_list(tags: &[(String, String)]) -> String {
    let tag =
        |(key, value): &(String, String)| wrap("Tag", &(element("Key", key) + &element("Value", value)));
    wrap("TagList", &tags.iter().map(tag).collect::<String>())
}

fn arn(account: &str, region: &str, kind: &str, identifier: &str) -> String {
    format!("arn:aws:rds:{region}:{account}:{kind}:{identifier}")
}

/// A resource id: 26 characters derived from the name.
fn resource_id(identifier: &str) -> String {
    let mut id = String::new();
    for byte in identifier.bytes().cycle().take(13) {
        write!(id, "{byte:02X}").unwrap();
    }
    id
}
