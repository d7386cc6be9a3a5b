//! Clusters of Aurora DSQL.
//!
//! The oracles are the AWS CLI, whose `aws dsql generate-db-connect-auth-token` and `generate-db-connect-admin-auth-token` sign for
//! the host of the cluster, and the Amazon Aurora DSQL User Guide ("Generating an authentication token", "Authentication and
//! authorization": the user `admin` needs `dsql:DbConnectAdmin`, the others `dsql:DbConnect`).

use std::time::{Duration, Instant, SystemTime};

use tokio_postgres::NoTls;

use crate::discovery::{log_in, log_in_at, warnings};
use crate::operations::{ADMIN, until_ready};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::dsql::{Dsql, loopback};
use crate::support::identity::AccessKey;
use crate::support::instance::REGION;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, Refusal};
use crate::support::roles::DATABASE;
use crate::support::token::{Service, sign, sign_for};
use crate::support::world::Running;

const LEDGER: &str = "ledger7890abcdefghijklmnop";
const ORDERS: &str = "orders7890abcdefghijklmnop";

async fn logs_in(world: &Running, cluster: &str, client: &Proxy, user: &str) {
    drop(client.config(user).connect(NoTls).await.unwrap());
    let login = world.database(cluster).logins().pop().unwrap();
    assert_eq!((login.refusal, login.user.as_str()), (None, user));
    let action = if user == "admin" { "DbConnectAdmin" } else { "DbConnect" };
    let begin = format!("{}/?Action={action}&X-Amz-Algorithm=", world.database(cluster).host);
    let token = login.token.unwrap();
    assert!(token.starts_with(&begin), "the token is for the host and the action of the user: {token}");
}

#[tokio::test]
async fn a_cluster_is_a_target_under_its_name_and_its_identifier() {
    let world = World::new()
        .with_instance("db-1")
        .with_dsql(Dsql::new(LEDGER).tag("Name", "ledger"))
        .with_dsql(Dsql::new(ORDERS).in_region("eu-west-1"))
        .with_server("rds: {regions: [us-east-1, eu-west-1]}")
        .with_client("rds: {regions: [us-east-1, eu-west-1]}")
        .with_page_size(1)
        .without_client()
        .start()
        .await;
    for mode in [&[][..], &["--direct"]] {
        for (target, cluster) in [("ledger", LEDGER), ("LEDGER", LEDGER), (LEDGER, LEDGER), (ORDERS, ORDERS)]
        {
            let client = world.start_client(&[mode, &["--target", target]].concat()).await;
            for user in ["admin", "alice"] {
                logs_in(&world, cluster, &client, user).await;
            }
            assert!(client.stdout.text().contains(" -d postgres "), "{}", client.stdout.text());
        }
    }
    world.server().wait_for_log(r#""target":"ledger""#).await;
    world.stop().await;
}

#[tokio::test]
async fn a_cluster_is_verified_as_its_endpoint_and_may_be_dialled_elsewhere() {
    let (host, address) = (format!("{LEDGER}.dsql.us-east-1.on.aws"), loopback());
    let world = World::new()
        .with_instance("db-1")
        .with_dsql(Dsql::new(LEDGER).called(&host, &address))
        .with_target("near", &format!("{{rds: {LEDGER}, host: '{address}:5432'}}"))
        .without_client()
        .start()
        .await;
    for mode in [&[][..], &["--direct"]] {
        let client = world.start_client(&[mode, &["--target", "near"]].concat()).await;
        logs_in(&world, LEDGER, &client, "alice").await;
        let login = world.database(LEDGER).logins().pop().unwrap();
        assert_eq!(login.server_name.as_deref(), Some(host.as_str()), "SNI selects the cluster");
    }
    world.stop().await;
}

#[tokio::test]
async fn only_the_public_roots_of_amazon_vouch_for_a_cluster() {
    let world = World::new()
        .with_dsql(Dsql::new(LEDGER))
        .with_server("rds: {root_certificate: null}")
        .without_client()
        .start()
        .await;
    let refusal = log_in(&world, &world.database(LEDGER).endpoint()).await.unwrap_err();
    refusal.expect("08001", &["is not among the 5 root certificates of Amazon"]);
    world.stop().await;
}

#[tokio::test]
async fn the_access_list_applies_to_clusters() {
    let world = World::new()
        .with_dsql(Dsql::new(LEDGER).tag("Name", "ledger").tag("team", "blue"))
        .with_dsql(Dsql::new(ORDERS).tag("Name", "orders"))
        .with_dsql(Dsql::new("frozen7890abcdefghijklmnop").tag("team", "blue").tag("frozen", "true"))
        .with_dsql(Dsql::new("new45678901234567890123456").tag("team", "blue").status("CREATING"))
        .with_server("proxy: {target_acl: {allowed_rds_tags: [{name: team, value: blue}]}}")
        .with_server("proxy: {target_acl: {blocked_rds_tags: [{name: frozen, value: 'true'}]}}")
        .without_client()
        .start()
        .await;
    world.server().wait_for_log("the list of targets changed").await;
    for (cluster, sqlstate, text) in [
        (ORDERS, "28000", "\"orders\" is not allowed by the target_acl"),
        ("frozen7890abcdefghijklmnop", "28000", "its RDS tag frozen=true is in blocked_rds_tags"),
        ("new45678901234567890123456", "3D000", "is not known"),
    ] {
        let refusal = log_in(&world, &world.database(cluster).endpoint()).await.unwrap_err();
        refusal.expect(sqlstate, &[text]);
        assert_eq!(world.database(cluster).connections(), 0);
    }
    log_in(&world, &world.database(LEDGER).endpoint()).await.unwrap();
    let ended = world.client_launch(&["--target", "new45678901234567890123456"]).run().await;
    assert!(ended.stderr.contains("its status is CREATING"), "{}", ended.stderr);
    world.stop().await;
}

/// No policy for RDS has these actions.
#[tokio::test]
async fn a_call_that_is_not_available_costs_the_clusters_and_one_warning() {
    for (action, failure, reason) in [
        (
            "ListClusters",
            AwsFailure::AccessDenied,
            "allow dsql:ListClusters and dsql:GetCluster in its IAM policy",
        ),
        ("ListClusters", AwsFailure::Unknown, "does not know dsql:ListClusters"),
        ("ListClusters", AwsFailure::Throttling, "AWS throttles dsql:ListClusters"),
        ("ListClusters", AwsFailure::Truncated, "is not a complete Aurora DSQL document"),
        ("ListClusters", AwsFailure::Slow(Duration::from_mins(1)), "was not answered within 5 s"),
        (
            "GetCluster",
            AwsFailure::AccessDenied,
            "allow dsql:ListClusters and dsql:GetCluster in its IAM policy",
        ),
    ] {
        let world = World::new()
            .with_instance("db-1")
            .with_dsql(Dsql::new(LEDGER))
            .with_dsql(Dsql::new(ORDERS))
            .with_server(ADMIN)
            .without_server()
            .without_client()
            .start()
            .await;
        world.aws.fail(Rule::every(failure).of(action));
        let started = Instant::now();
        let server = world.start_proxy(world.server_launch()).await;
        until_ready(&server, 200).await;
        log_in_at(&server, &world.database("db-1").endpoint()).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        let refusal = log_in_at(&server, &world.database(LEDGER).endpoint()).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "3D000", "{action}");
        let warnings = warnings(&server);
        let [warning] = warnings.as_slice() else { panic!("one warning: {warnings:#?}") };
        assert_eq!(warning["action"], format!("dsql:{action}"), "{warning}");
        assert!(warning["reason"].as_str().unwrap().contains(reason), "{warning}");
        world.stop().await;
    }
}

/// Logs in at the server as a client does.
async fn log_in_with(world: &Running, user: &str, token: &str) -> Result<(), Refusal> {
    let endpoint = world.database(LEDGER).endpoint();
    let parameters =
        [("user", user), ("database", DATABASE), ("host", endpoint.as_str()), ("password", token)];
    Raw::log_in(world.server().port(), &parameters).await.map(drop)
}

#[tokio::test]
async fn a_token_for_another_login_is_refused_before_the_cluster_is_dialled() {
    let world = World::new()
        .with_dsql(Dsql::new(LEDGER))
        .with_server("rds: {require_iam: true}")
        .without_client()
        .start()
        .await;
    let (now, ledger) = (SystemTime::now(), world.database(LEDGER));
    let token = |host: &str, region: &str, user: &str, at: SystemTime| {
        sign_for(Service::Dsql, host, region, user, &world.key, at)
    };
    let for_alice = token(&ledger.host, REGION, "alice", now);
    let for_admin = token(&ledger.host, REGION, "admin", now);
    for (user, token, reason) in [
        (
            "admin",
            for_alice.clone(),
            "is for the action DbConnect, and the user \"admin\" needs DbConnectAdmin",
        ),
        (
            "alice",
            for_admin.clone(),
            "is for the action DbConnectAdmin, and the user \"alice\" needs DbConnect",
        ),
        ("alice", token("elsewhere.example", REGION, "alice", now), "is for elsewhere.example, not for"),
        ("alice", token(&ledger.endpoint(), REGION, "alice", now), "not for"),
        ("alice", token(&ledger.host, "eu-west-1", "alice", now), "is for the region \"eu-west-1\", not for"),
        ("alice", token(&ledger.host, REGION, "alice", now - Duration::from_secs(1300)), "expired"),
        (
            "alice",
            sign(&ledger.endpoint(), REGION, "alice", &world.key, now),
            "is for RDS, not for Aurora DSQL",
        ),
        ("alice", "no token".to_owned(), "the password is no IAM token"),
    ] {
        world.add_secret(&token);
        log_in_with(&world, user, &token)
            .await
            .unwrap_err()
            .expect("28000", &["the login is refused", reason]);
    }
    assert_eq!(ledger.connections(), 0, "the cluster was not dialled");
    log_in_with(&world, "alice", &for_alice).await.unwrap();
    log_in_with(&world, "admin", &for_admin).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_refused_login_names_the_action_and_the_grant_of_aurora_dsql() {
    let key = AccessKey { may_connect: false, ..AccessKey::long_lived() };
    let world = World::new().with_dsql(Dsql::new(LEDGER)).with_key(key).target(LEDGER).start().await;
    for (user, texts) in [
        ("admin", &["dsql:DbConnectAdmin on this cluster"][..]),
        ("alice", &["AWS IAM GRANT \"alice\" TO the ARN of the IAM role", "dsql:DbConnect on this cluster"]),
    ] {
        let refusal = world.refusal(user).await;
        let hint = refusal.hint().unwrap();
        assert!(texts.iter().all(|text| hint.contains(text)) && !hint.contains("rds_iam"), "{hint}");
    }
    world.stop().await;
}

/// Where the policy lacks the actions, a target of the configuration can lead to a cluster. Its token is checked too.
#[tokio::test]
async fn a_token_for_a_static_target_is_checked() {
    let (host, address) = (format!("{LEDGER}.dsql.us-east-1.on.aws"), loopback());
    let world = World::new()
        .with_dsql(Dsql::new(LEDGER).called("localhost", &address))
        .with_target("ledger", &format!("{{host: '{address}:5432', require_auth: password}}"))
        .without_server()
        .without_client()
        .start()
        .await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("ListClusters"));
    let server = world.start_proxy(world.server_launch()).await;
    let now = SystemTime::now();
    let token = |host: &str| sign_for(Service::Dsql, host, REGION, "alice", &world.key, now);
    let log_in = async |token: &str| {
        let endpoint = format!("{address}:5432");
        let parameters = [("user", "alice"), ("host", endpoint.as_str()), ("password", token)];
        Raw::log_in(server.port(), &parameters).await.map(drop)
    };
    log_in(&token(&host)).await.unwrap_err().expect("28000", &["the login is refused", "not for"]);
    assert_eq!(world.database(LEDGER).connections(), 0);
    // This cluster accepts only tokens for its name.
    log_in(&token(&address)).await.unwrap_err().expect("28000", &["PAM authentication failed"]);
    world.stop().await;
}
