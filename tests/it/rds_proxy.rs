//! Endpoints of RDS Proxy.
//!
//! The oracle is the AWS CLI: `aws rds describe-db-proxies` lists them, and `aws rds generate-db-auth-token` signs for the
//! endpoint of the proxy and port 5432 (Amazon RDS User Guide, "Connecting to a database through RDS Proxy").

use tokio_postgres::NoTls;

use crate::discovery::{log_in, log_in_at, warnings};
use crate::operations::{ADMIN, until_ready};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::rds_proxy::RdsProxy;

#[tokio::test]
async fn a_proxy_and_its_further_endpoint_are_targets() {
    let world = World::new()
        .with_instance("db-1")
        .with_rds_proxy(RdsProxy::new("pool", "db-1").tag("rds-auth-proxy:db-name", "ledger"))
        .without_client()
        .start()
        .await;
    for mode in [&[][..], &["--direct"]] {
        for (target, database) in [("pool:proxy", "pool/proxy"), ("pool:proxy:readers", "pool/readers")] {
            let client = world.start_client(&[mode, &["--target", target]].concat()).await;
            drop(client.config("alice").connect(NoTls).await.unwrap());
            assert!(client.stdout.text().contains(" -d ledger "), "{}", client.stdout.text());
            let login = world.database(database).logins().pop().unwrap();
            assert_eq!(login.refusal, None);
            let endpoint = world.database(database).endpoint();
            assert!(endpoint.ends_with(":5432") && login.token.unwrap().starts_with(&endpoint));
        }
    }
    world.server().wait_for_log(r#""target":"pool:proxy:readers""#).await;
    world.stop().await;
}

#[tokio::test]
async fn only_the_public_roots_of_amazon_vouch_for_a_proxy() {
    let world = World::new()
        .with_instance("db-1")
        .with_rds_proxy(RdsProxy::new("pool", "db-1"))
        .with_server("rds: {root_certificate: null}")
        .without_client()
        .start()
        .await;
    let refusal = log_in(&world, &world.database("pool/proxy").endpoint()).await.unwrap_err();
    refusal.expect("08001", &["is not among the 5 root certificates of Amazon"]);
    let refusal = log_in(&world, &world.database("db-1").endpoint()).await.unwrap_err();
    refusal.expect("08001", &["root certificates of RDS in us-east-1"]);
    world.stop().await;
}

#[tokio::test]
async fn the_access_list_applies_to_a_proxy_and_to_what_it_leads_to() {
    let world = World::new()
        .with_instance(Instance::new("db-1").tag("team", "blue"))
        .with_instance(Instance::new("frozen").tag("team", "blue").tag("frozen", "true"))
        .with_rds_proxy(RdsProxy::new("pool", "db-1").tag("team", "blue"))
        .with_rds_proxy(RdsProxy::new("untagged", "db-1"))
        .with_rds_proxy(RdsProxy::new("blocked", "db-1").tag("team", "blue").tag("frozen", "true"))
        .with_rds_proxy(RdsProxy::new("side-door", "frozen").tag("team", "blue"))
        .with_rds_proxy(RdsProxy::new("no-iam", "db-1").tag("team", "blue").without_iam())
        .with_server("proxy: {target_acl: {allowed_rds_tags: [{name: team, value: blue}]}}")
        .with_server("proxy: {target_acl: {blocked_rds_tags: [{name: frozen, value: 'true'}]}}")
        .without_client()
        .start()
        .await;
    world.server().wait_for_log("the list of targets changed").await;
    for (proxy, sentence) in [
        ("untagged", "it lacks the RDS tag team=blue of allowed_rds_tags"),
        ("blocked", "its RDS tag frozen=true is in blocked_rds_tags"),
        (
            "side-door",
            "it can lead to the instance \"frozen\", whose RDS tag frozen=true is in blocked_rds_tags",
        ),
        ("no-iam", "is not known"),
    ] {
        for endpoint in ["proxy", "readers"] {
            let database = world.database(&format!("{proxy}/{endpoint}"));
            let refusal = log_in(&world, &database.endpoint()).await.unwrap_err();
            assert!(refusal.message().contains(sentence), "{proxy}: {}", refusal.message());
            assert_eq!(database.connections(), 0);
        }
    }
    log_in(&world, &world.database("pool/readers").endpoint()).await.unwrap();
    let log = world.server().log();
    assert!(log.contains("IAM authentication is off in the settings of the RDS Proxy"), "{log}");
    world.stop().await;
}

/// The policy that the Go program documents has none of these actions for a proxy.
#[tokio::test]
async fn each_call_that_is_not_available_costs_its_endpoints_and_one_warning() {
    for (action, failure, lost) in [
        ("DescribeDBProxies", AwsFailure::AccessDenied, &["pool/proxy", "pool/readers"][..]),
        ("DescribeDBProxies", AwsFailure::Unknown, &["pool/proxy", "pool/readers"]),
        ("DescribeDBProxies", AwsFailure::Throttling, &["pool/proxy", "pool/readers"]),
        ("DescribeDBProxyEndpoints", AwsFailure::AccessDenied, &["pool/readers"]),
        ("DescribeDBProxyTargets", AwsFailure::AccessDenied, &["pool/proxy", "pool/readers"]),
        ("ListTagsForResource", AwsFailure::AccessDenied, &["pool/proxy", "pool/readers"]),
    ] {
        let world = World::new()
            .with_instance("db-1")
            .with_rds_proxy(RdsProxy::new("pool", "db-1"))
            .with_rds_proxy(RdsProxy::new("pool-2", "db-1"))
            .with_server(ADMIN)
            .without_server()
            .without_client()
            .start()
            .await;
        world.aws.fail(Rule::every(failure).of(action));
        let server = world.start_proxy(world.server_launch()).await;
        until_ready(&server, 200).await;
        for name in ["db-1", "pool/proxy", "pool/readers"] {
            let answer = log_in_at(&server, &world.database(name).endpoint()).await;
            let expected = lost.contains(&name).then_some("3D000");
            assert_eq!(
                answer.err().map(|refusal| refusal.sqlstate().to_owned()).as_deref(),
                expected,
                "{action} {name}"
            );
        }
        let warnings = warnings(&server);
        let [warning] = warnings.as_slice() else { panic!("one warning: {warnings:#?}") };
        assert_eq!(warning["action"], format!("rds:{action}"), "{warning}");
        world.stop().await;
    }
}
