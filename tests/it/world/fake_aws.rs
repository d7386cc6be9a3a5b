//! The fake AWS endpoint, called with the SDK that the proxies use.

use aws_credential_types::Credentials;
use aws_sdk_rds::error::ProvideErrorMetadata;
use aws_sdk_rds::types::Filter;
use std::time::{Duration, Instant};

use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::fake_aws::FakeAws;
use crate::support::identity::{AccessKey, Identities};
use crate::support::rds_api::{ACCOUNT, CustomEndpoint, DbCluster, DbInstance};

struct Setup {
    aws: FakeAws,
    identities: Identities,
    key: AccessKey,
}

impl Setup {
    async fn new(key: AccessKey) -> Self {
        let identities = Identities::default();
        identities.add(key.clone());
        Self { aws: FakeAws::start(identities.clone()).await, identities, key }
    }

    fn rds(&self, region: &'static str) -> aws_sdk_rds::Client {
        let config = aws_sdk_rds::Config::builder()
            .behavior_version(aws_sdk_rds::config::BehaviorVersion::latest())
            .region(aws_sdk_rds::config::Region::new(region))
            .endpoint_url(&self.aws.url)
            .credentials_provider(self.credentials())
            .build();
        aws_sdk_rds::Client::from_conf(config)
    }

    fn credentials(&self) -> Credentials {
        let key = &self.key;
        Credentials::new(&key.id, &key.secret, key.session_token.clone(), None, "test")
    }

    async fn error_code(&self) -> String {
        let error = self.rds("us-east-1").describe_db_instances().send().await.unwrap_err();
        error.code().map(str::to_owned).unwrap_or(format!("{error:?}"))
    }
}

fn instance(identifier: &str, region: &str, engine: &str) -> DbInstance {
    DbInstance {
        identifier: identifier.into(),
        account: ACCOUNT.into(),
        region: region.into(),
        engine: engine.into(),
        endpoint: Some(("localhost".into(), 5432)),
        database: Some("app".into()),
        iam: true,
        tags: vec![("a&b".into(), "<true>".into())],
        cluster: None,
    }
}

#[tokio::test]
async fn instances_are_listed_page_by_page_and_by_region() {
    let setup = Setup::new(AccessKey::long_lived()).await;
    for number in 0..5 {
        setup.aws.put_instance(instance(&format!("db-{number}"), "us-east-1", "postgres"));
    }
    setup.aws.put_instance(instance("other", "us-east-1", "mysql"));
    setup.aws.put_instance(instance("far", "eu-west-1", "postgres"));
    setup.aws.put_instance(DbInstance { endpoint: None, ..instance("new", "us-east-1", "postgres") });
    setup.aws.set_page_size(2);

    let engines = Filter::builder().name("engine").values("postgres").values("aurora-postgresql").build();
    let pages =
        setup.rds("us-east-1").describe_db_instances().filters(engines).into_paginator().items().send();
    let found = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
    let names: Vec<_> = found.iter().filter_map(|instance| instance.db_instance_identifier()).collect();
    assert_eq!(names, ["db-0", "db-1", "db-2", "db-3", "db-4", "new"]);
    assert_eq!(setup.aws.requests("DescribeDBInstances"), 3);

    let endpoint = found[0].endpoint().unwrap();
    assert_eq!((endpoint.address(), endpoint.port()), (Some("localhost"), Some(5432)));
    assert!(found[5].endpoint().is_none());
    assert_eq!(found[0].iam_database_authentication_enabled(), Some(true));
    assert_eq!(found[0].db_name(), Some("app"));
    assert_eq!(found[0].db_instance_arn(), Some("arn:aws:rds:us-east-1:123456789012:db:db-0"));
    let tag = &found[0].tag_list()[0];
    assert_eq!((tag.key(), tag.value()), (Some("a&b"), Some("<true>")));

    let far = setup.rds("eu-west-1").describe_db_instances().send().await.unwrap();
    assert_eq!(far.db_instances().len(), 1);
    let one =
        setup.rds("us-east-1").describe_db_instances().db_instance_identifier("other").send().await.unwrap();
    assert_eq!(one.db_instances()[0].engine(), Some("mysql"));
}

#[tokio::test]
async fn clusters_have_three_kinds_of_endpoints() {
    let setup = Setup::new(AccessKey::long_lived()).await;
    setup.aws.put_cluster(DbCluster {
        identifier: "aurora".into(),
        region: "us-east-1".into(),
        engine: "aurora-postgresql".into(),
        port: 5432,
        writer: Some("writer".into()),
        reader: Some("reader".into()),
        custom: vec![CustomEndpoint {
            identifier: "reports".into(),
            address: "custom".into(),
            members: vec!["aurora-2".into()],
        }],
        database: Some("app".into()),
        iam: true,
        tags: vec![("k".into(), "v".into())],
        members: vec!["aurora-1".into(), "aurora-2".into()],
    });
    let client = setup.rds("us-east-1");
    let clusters = client.describe_db_clusters().send().await.unwrap();
    let cluster = &clusters.db_clusters()[0];
    assert_eq!((cluster.endpoint(), cluster.reader_endpoint()), (Some("writer"), Some("reader")));
    assert_eq!((cluster.custom_endpoints(), cluster.port()), (["custom".to_owned()].as_slice(), Some(5432)));
    assert_eq!(cluster.iam_database_authentication_enabled(), Some(true));
    assert_eq!(cluster.db_cluster_arn(), Some("arn:aws:rds:us-east-1:123456789012:cluster:aurora"));
    assert_eq!(cluster.tag_list()[0].value(), Some("v"));
    assert_eq!(cluster.db_cluster_members()[0].is_cluster_writer(), Some(true));

    let endpoints =
        client.describe_db_cluster_endpoints().db_cluster_identifier("aurora").send().await.unwrap();
    let kinds: Vec<_> = endpoints
        .db_cluster_endpoints()
        .iter()
        .map(|endpoint| (endpoint.endpoint_type().unwrap(), endpoint.endpoint().unwrap()))
        .collect();
    assert_eq!(kinds, [("WRITER", "writer"), ("READER", "reader"), ("CUSTOM", "custom")]);
    let custom = &endpoints.db_cluster_endpoints()[2];
    assert_eq!(custom.db_cluster_endpoint_identifier(), Some("reports"));
    assert_eq!(custom.static_members(), ["aurora-2"]);
}

#[tokio::test]
async fn sts_names_the_caller() {
    let setup = Setup::new(AccessKey::session(Duration::from_mins(1))).await;
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(aws_sdk_sts::config::Region::new("us-east-1"))
        .endpoint_url(&setup.aws.url)
        .credentials_provider(setup.credentials())
        .build();
    let identity = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.arn(), Some("arn:aws:sts::123456789012:assumed-role/tester/session"));
    assert_eq!(identity.account(), Some("123456789012"));
}

#[tokio::test]
async fn unknown_and_expired_access_keys_are_refused() {
    let setup = Setup::new(AccessKey::session(Duration::from_hours(1))).await;
    assert!(setup.rds("us-east-1").describe_db_instances().send().await.is_ok());
    setup.identities.change(&setup.key.id, |key| key.session_token = Some("another".into()));
    assert_eq!(setup.error_code().await, "InvalidClientTokenId");
    setup
        .identities
        .change(&setup.key.id, |key| *key = AccessKey { expires: key.expires, ..setup.key.clone() });
    setup.identities.change(&setup.key.id, |key| key.expires = Some(std::time::SystemTime::now()));
    assert_eq!(setup.error_code().await, "ExpiredToken");
}

#[tokio::test]
async fn calls_fail_as_the_rules_say() {
    let setup = Setup::new(AccessKey::long_lived()).await;
    let failures = [
        (AwsFailure::AccessDenied, "AccessDenied"),
        (AwsFailure::Expired, "ExpiredToken"),
        (AwsFailure::Internal, "InternalFailure"),
    ];
    for (failure, code) in failures {
        setup.aws.fail(Rule::every(failure).of("DescribeDBInstances"));
        assert_eq!(setup.error_code().await, code);
        assert!(setup.rds("us-east-1").describe_db_clusters().send().await.is_ok());
        setup.aws.recover();
    }
    setup.aws.fail(Rule::every(AwsFailure::Malformed).in_region("us-east-1"));
    assert!(setup.rds("us-east-1").describe_db_instances().send().await.is_err());
    assert!(setup.rds("us-east-2").describe_db_instances().send().await.is_ok());
    setup.aws.recover();
    setup.aws.put_instance(instance("db-1", "us-east-1", "postgres"));
    setup.aws.fail(Rule::every(AwsFailure::Truncated).times(1));
    let truncated = setup.rds("us-east-1").describe_db_instances().send().await.unwrap();
    assert!(
        truncated.db_instances().is_empty(),
        "the SDK no longer reads truncated XML as an empty list: see AwsFailure::Truncated"
    );

    let before = setup.aws.requests("DescribeDBInstances");
    setup.aws.fail(Rule::every(AwsFailure::Throttling).times(1));
    assert!(setup.rds("us-east-1").describe_db_instances().send().await.is_ok());
    assert_eq!(
        setup.aws.requests("DescribeDBInstances"),
        before + 2,
        "the SDK retries the throttled call once"
    );

    setup.aws.fail(Rule::every(AwsFailure::Slow(Duration::from_millis(300))));
    let start = Instant::now();
    assert!(setup.rds("us-east-1").describe_db_instances().send().await.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(300));
}
