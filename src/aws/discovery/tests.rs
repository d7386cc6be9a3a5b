//! Discovery against a fake RDS API.

use std::fmt::Write as _;
use std::time::Duration;

use super::skipped::Remark;
use super::*;
use crate::aws::fake_aws::{Call, FakeAws, Response, aws, aws_with};
use crate::catalog::{EndpointKind, GuardRails, IamService, Resource, Tag};
use crate::net::HostPort;
use crate::tls::Roots;

/// Clusters and their endpoints.
mod clusters;
/// Aurora DSQL.
#[cfg(feature = "dsql")]
mod dsql;
/// Calls that fail.
mod failures;
/// RDS Proxy.
mod proxies;

struct Instance<'a> {
    id: &'a str,
    region: &'a str,
    iam: bool,
    endpoint: bool,
    cluster: Option<&'a str>,
    tags: &'a [(&'a str, &'a str)],
}

const PLAIN: Instance<'static> =
    Instance { id: "db-1", region: "us-east-1", iam: true, endpoint: true, cluster: None, tags: &[] };

fn tag_list(tags: &[(&str, &str)]) -> String {
    let mut xml = String::new();
    for (name, value) in tags {
        write!(xml, "<Tag><Key>{name}</Key><Value>{value}</Value></Tag>").unwrap();
    }
    format!("<TagList>{xml}</TagList>")
}

fn instance(instance: &Instance<'_>) -> String {
    let Instance { id, region, iam, endpoint, cluster, tags } = instance;
    let endpoint = if *endpoint {
        format!(
            "<Endpoint><Address>{id}.ABC.{region}.rds.amazonaws.com</Address><Port>5433</Port></Endpoint>"
        )
    } else {
        String::new()
    };
    let cluster =
        cluster.map(|name| format!("<DBClusterIdentifier>{name}</DBClusterIdentifier>")).unwrap_or_default();
    format!(
        "<DBInstance><DBInstanceIdentifier>{id}</DBInstanceIdentifier><Engine>postgres</Engine><DBName>app</DBName>\
         <DbiResourceId>db-ABC</DbiResourceId>{endpoint}{cluster}{}<IAMDatabaseAuthenticationEnabled>{iam}</IAMDatabaseAuthenticationEnabled>\
         <DBInstanceArn>arn:aws:rds:{region}:111122223333:db:{id}</DBInstanceArn></DBInstance>",
        tag_list(tags)
    )
}

fn cluster(id: &str, engine: &str, iam: bool, reader: bool) -> String {
    let reader = if reader {
        format!("<ReaderEndpoint>{id}.cluster-ro-abc.us-east-1.rds.amazonaws.com</ReaderEndpoint>")
    } else {
        String::new()
    };
    format!(
        "<DBCluster><DBClusterIdentifier>{id}</DBClusterIdentifier><Engine>{engine}</Engine><Port>5432</Port>\
         <DatabaseName>orders</DatabaseName><Endpoint>{id}.cluster-abc.us-east-1.rds.amazonaws.com</Endpoint>{reader}{}\
         <IAMDatabaseAuthenticationEnabled>{iam}</IAMDatabaseAuthenticationEnabled>\
         <DBClusterArn>arn:aws:rds:us-east-1:111122223333:cluster:{id}</DBClusterArn></DBCluster>",
        tag_list(&[
            ("team", "blue"),
            ("rds-auth-proxy:local-port", "54010"),
            ("rds-auth-proxy:read-only", "true")
        ])
    )
}

fn custom(cluster: &str, name: &str) -> String {
    format!(
        "<DBClusterEndpointList><DBClusterEndpointIdentifier>{name}</DBClusterEndpointIdentifier>\
         <DBClusterIdentifier>{cluster}</DBClusterIdentifier><EndpointType>CUSTOM</EndpointType><Status>available</Status>\
         <Endpoint>{name}.cluster-custom-abc.us-east-1.rds.amazonaws.com</Endpoint></DBClusterEndpointList>"
    )
}

fn response(action: &str, list: &str, entries: &str, marker: &str) -> Response {
    let marker = if marker.is_empty() { String::new() } else { format!("<Marker>{marker}</Marker>") };
    let xml = format!(
        "<{action}Response xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><{action}Result>{marker}\
         <{list}>{entries}</{list}></{action}Result></{action}Response>"
    );
    (200, xml)
}

fn failure(status: u16, code: &str, message: &str) -> Response {
    let xml = format!(
        "<ErrorResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    (status, xml)
}

/// An account with these instances, clusters and custom endpoints, each on one page.
fn account(call: &Call, instances: &str, clusters: &str, custom: &str) -> Response {
    match call.action() {
        "DescribeDBInstances" => response(call.action(), "DBInstances", instances, ""),
        "DescribeDBClusters" => response(call.action(), "DBClusters", clusters, ""),
        "DescribeDBClusterEndpoints" => response(call.action(), "DBClusterEndpoints", custom, ""),
        "DescribeDBProxies" => response(call.action(), "DBProxies", "", ""),
        other => panic!("unexpected call {other}"),
    }
}

async fn discover(
    fake_aws: &FakeAws,
    regions: &[&str],
) -> (Result<Vec<Discovered>, DiscoverError>, Discovery) {
    let regions: Vec<_> = regions.iter().map(ToString::to_string).collect();
    let discovery = fake_aws.aws(Some("us-east-1")).await.discovery(&regions, None).unwrap();
    let found = discovery.discover().await.map(|found| {
        assert!(found.failed.is_empty(), "{:?}", found.failed);
        found.databases
    });
    (found, discovery)
}

fn names(found: &[Discovered]) -> Vec<&str> {
    found.iter().map(|database| database.name.as_str()).collect()
}

#[tokio::test]
async fn an_instance_is_listed_with_all_its_properties() {
    let tags = [
        ("rds-auth-proxy:db-name", "reports"),
        ("rds-auth-proxy:local-port", "54001"),
        ("rds_proxy_enabled", "true"),
    ];
    let fake_aws = FakeAws::start(move |call| {
        account(call, &instance(&Instance { region: "eu-west-1", tags: &tags, ..PLAIN }), "", "")
    })
    .await;
    let found = discover(&fake_aws, &["eu-west-1"]).await.0.unwrap();
    let tags = tags.map(|(name, value)| Tag { name: name.into(), value: value.into() });
    let expected = Discovered {
        name: "db-1".into(),
        identifier: None,
        service: IamService::Rds,
        account: None,
        address: HostPort::new("db-1.abc.eu-west-1.rds.amazonaws.com", 5433),
        region: "eu-west-1".into(),
        resource: Resource {
            kind: EndpointKind::Instance,
            engine: Some("postgres".into()),
            version: None,
            account: Some("111122223333".into()),
            login_arn: Some("arn:aws:rds-db:eu-west-1:111122223333:dbuser:db-ABC".into()),
        },
        roots: Roots::Rds { region: "eu-west-1".into() },
        database: Some("reports".into()),
        local_port: Some(54001),
        guard_rails: GuardRails::default(),
        tags: tags.to_vec(),
        related: Vec::new(),
        listed_at: found[0].listed_at,
    };
    assert_eq!(found, [expected], "the host is in lower case");
    let calls = fake_aws.calls();
    let actions: Vec<_> = calls.iter().map(Call::action).collect();
    assert!(!actions.contains(&"DescribeDBClusterEndpoints"), "no Aurora cluster needs it: {actions:?}");
    assert_eq!(
        actions.iter().filter(|action| action.contains("Prox")).count(),
        1,
        "there is no proxy: {actions:?}"
    );
    for call in calls.iter().filter(|call| call.action() != "DescribeDBProxies") {
        assert_eq!(call.parameter("Filters.Filter.1.Name"), "engine");
        assert_eq!(call.parameter("Filters.Filter.1.Values.Value.1"), "postgres");
        assert_eq!(call.parameter("Filters.Filter.1.Values.Value.2"), "aurora-postgresql");
        assert_eq!(call.parameter("MaxRecords"), "100");
    }
}

#[tokio::test]
async fn all_pages_of_all_regions_are_read() {
    let fake_aws = FakeAws::start(|call| {
        let region = &call.region;
        let one = |id: &str| instance(&Instance { id, region, ..PLAIN });
        match (call.action(), call.parameter("Marker")) {
            ("DescribeDBInstances", "") => {
                response(call.action(), "DBInstances", &(one("a") + &one("b")), "x/1==")
            }
            ("DescribeDBInstances", "x/1==") => response(call.action(), "DBInstances", &one("c"), "x2"),
            ("DescribeDBInstances", "x2") => response(call.action(), "DBInstances", &one("d"), ""),
            _ => account(call, "", "", ""),
        }
    })
    .await;
    let found = discover(&fake_aws, &["eu-west-1", "us-east-1", "eu-west-1"]).await.0.unwrap();
    assert_eq!(names(&found), ["a", "a", "b", "b", "c", "c", "d", "d"]);
    assert_eq!(found[0].region, "eu-west-1");
    assert_eq!(found[1].region, "us-east-1");
    assert_eq!(fake_aws.calls().len(), 10, "a duplicate region is queried once");
}

#[tokio::test]
async fn unusable_databases_are_skipped_with_a_remark() {
    let fake_aws = FakeAws::start(|call| {
        let instances = [
            instance(&PLAIN),
            instance(&Instance { id: "creating", endpoint: false, ..PLAIN }),
            instance(&Instance { id: "no-iam", iam: false, ..PLAIN }),
            instance(&Instance { id: "odd-port", tags: &[("rds-auth-proxy:local-port", "0")], ..PLAIN }),
            instance(&Instance { id: "no host", ..PLAIN }),
            instance(&Instance { id: "", ..PLAIN }),
            instance(&Instance { id: "elsewhere", region: "eu-west-1", ..PLAIN }),
            instance(&PLAIN).replace("db-1", "no-arn").replace("arn:aws:rds:us-east-1:", ""),
        ];
        let foreign = cluster("foreign", "postgres", true, false).replace("rds:us-east-1", "rds:eu-west-1");
        account(call, &instances.concat(), &foreign, "")
    })
    .await;
    let (found, discovery) = discover(&fake_aws, &[]).await;
    let found = found.unwrap();
    assert_eq!(names(&found), ["db-1", "no-arn", "odd-port"]);
    assert!(found.iter().all(|database| database.region == "us-east-1"));
    assert_eq!(found[0].database.as_deref(), Some("app"), "without the tag it is DBName");
    assert_eq!(found[2].local_port, None);
    let remarks = discovery.reported.remarks();
    let remark = |id: &str| remarks[&format!("{id} in us-east-1")].clone();
    assert_eq!(remark("creating"), Remark::NoEndpoint);
    assert_eq!(remark("no-iam"), Remark::IamOff);
    assert_eq!(
        remark("odd-port"),
        Remark::Tags(vec![
            "rds-auth-proxy:local-port is \"0\", which is not a port between 1 and 65535".into()
        ])
    );
    assert_eq!(remark("no host"), Remark::Incomplete("endpoint"));
    assert_eq!(remark(""), Remark::Incomplete("identifier"));
    assert_eq!(remark("elsewhere"), Remark::OtherRegion("eu-west-1".into()));
    assert_eq!(remark("foreign:writer"), Remark::OtherRegion("eu-west-1".into()));
}

#[tokio::test]
async fn a_failed_region_keeps_its_last_list_and_the_others_are_updated() {
    // 0: eu-west-1 is denied; 1: both regions succeed; 2: eu-west-1 fails on its second page, us-east-1 has changed;
    // 3: both regions fail.
    let stage = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let now = Arc::clone(&stage);
    let fake_aws = FakeAws::start(move |call| {
        let west = call.region == "eu-west-1";
        let instance = |id| instance(&Instance { id, region: &call.region, ..PLAIN });
        match now.load(std::sync::atomic::Ordering::SeqCst) {
            0 if west => failure(403, "AccessDenied", "not authorized"),
            0 | 1 => account(call, &instance(if west { "west" } else { "east" }), "", ""),
            2 if west && call.action() == "DescribeDBInstances" && call.parameter("Marker").is_empty() => {
                response(call.action(), "DBInstances", &instance("half"), "2")
            }
            2 if !west => account(call, &instance("moved"), "", ""),
            _ => failure(500, "InternalFailure", "sorry"),
        }
    })
    .await;
    let regions = ["us-east-1".to_owned(), "eu-west-1".to_owned()];
    let discovery = fake_aws.aws(Some("us-east-1")).await.discovery(&regions, None).unwrap();
    let mut west_listed_at = None;
    for (number, found, failed) in [
        (0, &["east"][..], &["eu-west-1"][..]),
        (1, &["east", "west"], &[]),
        (2, &["moved", "west"], &["eu-west-1"]),
    ] {
        stage.store(number, std::sync::atomic::Ordering::SeqCst);
        let inventory = discovery.discover().await.unwrap();
        assert_eq!(names(&inventory.databases), found, "stage {number}");
        let regions: Vec<_> = inventory.failed.iter().map(|error| &error.region).collect();
        assert_eq!(regions, failed, "stage {number}");
        if let [east, west] = inventory.databases.as_slice() {
            let before = west_listed_at.replace(west.listed_at);
            assert_eq!(
                before.is_some_and(|before| before == west.listed_at),
                number == 2,
                "it keeps its time"
            );
            assert_ne!(east.listed_at, west.listed_at);
            if number == 2 {
                assert_eq!(inventory.listed_at, west.listed_at, "the oldest list counts");
            }
        }
    }
    stage.store(3, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(discovery.discover().await.unwrap_err().region, "eu-west-1", "the first by name");
}

#[tokio::test]
async fn regions_are_checked_before_any_call() {
    let aws = aws("http://127.0.0.1:1", None).await;
    let Err(error) = aws.discovery(&[], None) else { panic!("no region is set") };
    let text = error.to_string();
    assert!(
        text.contains("rds.regions") && text.contains("AWS_REGION") && text.contains("\"dev\""),
        "{text}"
    );
    let Err(error) = aws.discovery(&["evil.example.com/".into()], None) else {
        panic!("the region is invalid")
    };
    assert!(error.to_string().contains("not an AWS region"), "{error}");
}
