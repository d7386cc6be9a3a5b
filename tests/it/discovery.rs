//! Discovery of databases, their names, and failures of the AWS API.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::operations::{ADMIN, get, metric, until_counted, until_ready};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::{Cluster, Instance};
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::{Raw, Refusal};
use crate::support::world::Running;

async fn logs_in(client: &Proxy) {
    drop(client.config("alice").connect(NoTls).await.unwrap());
}

/// Logs in at the world's server as a client with the target `host`.
pub(crate) async fn log_in(world: &Running, host: &str) -> Result<(), Refusal> {
    log_in_at(world.server(), host).await
}

/// Logs in at this server as a client with the target `host`.
pub(crate) async fn log_in_at(server: &Proxy, host: &str) -> Result<(), Refusal> {
    let parameters = [("user", "by_trust"), ("database", "app"), ("host", host)];
    Raw::log_in(server.port(), &parameters).await.map(drop)
}

#[tokio::test]
async fn databases_of_every_page_and_region_are_found() {
    let world = World::new()
        .with_instance(Instance::new("db-west").in_region("eu-west-1"))
        .with_instance("db-1")
        .with_instance("db-2")
        .with_instance("db-3")
        .with_page_size(1)
        .without_client()
        .start()
        .await;
    // An earlier login would cause another refresh.
    world.server().wait_for_log("the list of targets changed").await;
    for name in ["db-west", "db-3"] {
        logs_in(&world.start_client(&["--target", name]).await).await;
        let login = world.database(name).logins().pop().unwrap();
        assert!(login.refusal.is_none(), "{login:?}");
    }
    assert!(world.database("db-west").tokens()[0].contains("%2Feu-west-1%2Frds-db"));
    assert_eq!(world.aws.requests("DescribeDBInstances"), 3 * (1 + 3), "three listings of four pages each");
    world.stop().await;
}

#[tokio::test]
async fn a_cluster_has_a_writer_a_reader_and_custom_endpoints() {
    let world = World::new().with_cluster("aurora").target("aurora:writer").without_client().start().await;
    for (target, database) in [
        ("aurora:writer", "aurora/writer"),
        ("aurora:reader", "aurora/reader"),
        ("aurora:custom:aurora-custom", "aurora/custom"),
        ("aurora-instance-1", "aurora-instance-1"),
    ] {
        let client = world.start_client(&["--target", target]).await;
        logs_in(&client).await;
        let login = world.database(database).logins().pop().unwrap();
        assert_eq!(login.refusal, None);
        assert!(login.token.unwrap().starts_with(&world.database(database).endpoint()));
    }
    world.stop().await;
}

#[tokio::test]
async fn an_unknown_host_refreshes_the_list_at_most_every_ten_seconds() {
    let began = Instant::now();
    let mut world = World::new().without_client().start().await;
    world.server().wait_for_log("the list of targets changed").await;
    world.add_instance("db-2").await;
    logs_in(&world.start_client(&["--target", "db-2"]).await).await;
    let requests = || world.aws.requests("DescribeDBInstances");
    assert_eq!(requests(), 3, "the server at its start, the client, and the server for the new host");
    for port in 1..20 {
        assert_eq!(log_in(&world, &format!("localhost:{port}")).await.unwrap_err().sqlstate(), "3D000");
    }
    let refreshes = usize::try_from(began.elapsed().as_secs() / 10).unwrap();
    assert!(requests() <= 3 + refreshes, "{} requests, more than one refresh in ten seconds", requests());
    world.stop().await;
}

#[tokio::test]
async fn known_databases_stay_when_aws_fails() {
    let world = World::new().start().await;
    world.server().wait_for_log("the list of targets changed").await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    for unknown in ["localhost:1", "localhost:2"] {
        let refusal = log_in(&world, unknown).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "28000", "also without a separate AWS request");
        let message = refusal.message();
        assert!(message.contains("the list of RDS databases may be out of date"), "{message}");
        assert!(
            !message.contains("us-east-1") && !message.contains("rds:"),
            "the application receives the AWS error: {message}"
        );
    }
    world.server().wait_for_log("rds:DescribeDBInstances").await;
    logs_in(world.client()).await;
    world.stop().await;
}

#[tokio::test]
async fn a_login_does_not_wait_for_a_slow_aws_until_handshake_timeout() {
    let world = World::new().start().await;
    world.psql("alice", "select 1").await.unwrap();
    world.aws.fail(Rule::every(AwsFailure::Slow(Duration::from_mins(1))));
    let (first, second) = tokio::join!(log_in(&world, "localhost:1"), log_in(&world, "localhost:2"));
    for refusal in [first.unwrap_err(), second.unwrap_err()] {
        let message = refusal.message();
        assert!(message.contains("the list of RDS databases may be out of date"), "{message}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_region_that_fails_from_the_start_affects_no_other() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-west").in_region("eu-west-1"))
        .with_server(ADMIN)
        .without_server()
        .without_client()
        .start()
        .await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).in_region("eu-west-1"));
    let server = world.start_proxy(world.server_launch()).await;
    until_ready(&server, 200).await;
    server.wait_for_log("discovery failed in a region; its databases are missing").await;
    let log = server.log();
    assert!(log.contains("the RDS databases of eu-west-1 could not be listed"), "{log}");
    let failed = |region: &str, reason: &str, count: u32| {
        let labels = format!("region=\"{region}\",reason=\"{reason}\"");
        format!("rds_auth_proxy_discovery_failures_total{{{labels}}} {count}")
    };
    let expected = [failed("eu-west-1", "denied", 1), failed("us-east-1", "denied", 0)];
    until_counted(&server, &expected.each_ref().map(String::as_str)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let text = get(&server, "/metrics").await.1;
    let age = |region: &str| {
        metric(&text, &format!("rds_auth_proxy_discovery_age_seconds{{region=\"{region}\"}} "))
    };
    assert!(age("eu-west-1") >= 2, "it counts from the start: {text}");
    assert!(age("us-east-1") < 60, "{text}");

    log_in_at(&server, &world.rds().endpoint()).await.unwrap();
    for _ in 0..2 {
        let refusal = log_in_at(&server, &world.database("db-west").endpoint()).await.unwrap_err();
        let message = refusal.message();
        assert!(message.contains("the list of RDS databases may be out of date"), "{message}");
        assert!(!message.contains("rds:"), "the application receives the AWS error: {message}");
    }

    logs_in(&world.start_client(&["--direct", "--target", "db-1"]).await).await;
    let ended = world.client_launch(&["--direct", "--target", "db-west"]).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("the RDS databases of eu-west-1 could not be listed"), "{}", ended.stderr);
    world.stop().await;
}

#[tokio::test]
async fn a_region_that_fails_later_keeps_its_databases() {
    let mut world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-west").in_region("eu-west-1"))
        .without_client()
        .start()
        .await;
    world.server().wait_for_log("the list of targets changed").await;
    let west = world.start_client(&["--target", "db-west"]).await;
    world.add_instance("db-2").await;
    let second = world.start_client(&["--target", "db-2"]).await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).in_region("eu-west-1"));
    logs_in(&second).await;
    logs_in(&west).await;
    world.stop().await;
}

#[tokio::test]
async fn static_targets_work_when_aws_fails_at_the_start() {
    let world = World::new()
        .with_target("fixed", "{host: <postgres>, database: app, ssl: {mode: disable}}")
        .with_client(ADMIN)
        .target("fixed")
        .without_server()
        .without_client()
        .start()
        .await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    let server = world.start_proxy(world.server_launch()).await;
    let client = world.start_client(&["--direct"]).await;
    server.wait_for_log("discovery failed; the last list stays in use").await;
    assert!(client.log().contains("discovery failed; only the targets of the configuration can be used"));
    drop(client.config("by_trust").connect(NoTls).await.unwrap());
    assert_eq!(
        get(&client, "/readyz").await,
        (200, "ready\n".into()),
        "a client with a static target needs no list"
    );

    let ended = world.client_launch(&["--direct", "--target", "db-1"]).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("may be out of date") && ended.stderr.contains("us-east-1"));

    world.aws.recover();
    let host = world.rds().endpoint();
    let parameters = [("user", "by_trust"), ("database", "app"), ("host", &*host)];
    let found = Raw::log_in(server.port(), &parameters).await;
    assert!(found.is_ok(), "the server does not retry: {:?}", found.err());
    world.stop().await;
}

#[tokio::test]
async fn a_list_that_is_too_old_admits_static_targets_only() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance("db-2")
        .with_server("targets: {pinned: {host: <db-2>}}")
        .with_server("targets: {fixed: {host: <postgres>, ssl: {mode: disable}}}")
        .with_server("{rds: {max_age: 3s}, proxy: {admin_addr: '127.0.0.1:0'}}")
        .without_client()
        .start()
        .await;
    let server = world.server();
    server.wait_for_log("the list of targets changed").await;
    let host = world.database("db-1").endpoint();
    log_in(&world, &host).await.unwrap();

    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let before = world.database("db-1").connections();
    for _ in 0..2 {
        let refusal = log_in(&world, &host).await.unwrap_err();
        refusal.expect("28000", &["the target \"db-1\" is refused", "is older than rds.max_age"]);
        let told = refusal.message();
        assert!(!told.contains("us-east-1") && !told.contains("rds:"), "only the log has the reason: {told}");
    }
    assert_eq!(world.database("db-1").connections(), before, "the server dials no refused target");
    server.wait_for_log("the list of RDS databases of us-east-1 is ").await;
    server.wait_for_log("s old, more than rds.max_age (3s)").await;
    server.wait_for_log("may not call rds:DescribeDBInstances").await;
    let refused = "rds_auth_proxy_refused_total{fault=\"proxy\",reason=\"list_too_old\",target=\"db-1\"} 2";
    until_counted(server, &[refused, "rds_auth_proxy_targets 2"]).await;
    for target in [world.database("db-2").endpoint(), format!("localhost:{}", world.postgres.port)] {
        log_in(&world, &target).await.expect("a target of the configuration stays");
    }

    world.aws.recover();
    let again = async {
        while log_in(&world, &host).await.is_err() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.expect("a lookup refreshes the list");
    world.stop().await;
}

#[tokio::test]
async fn a_region_whose_list_is_too_old_affects_no_other() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-west").in_region("eu-west-1"))
        .with_server("rds: {max_age: 3s}")
        .without_client()
        .start()
        .await;
    world.server().wait_for_log("the list of targets changed").await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).in_region("eu-west-1"));
    tokio::time::sleep(Duration::from_millis(3500)).await;
    log_in(&world, &world.database("db-1").endpoint()).await.expect("this lookup refreshes its list");
    let refusal = log_in(&world, &world.database("db-west").endpoint()).await.unwrap_err();
    refusal.expect("28000", &["the target \"db-west\" is refused", "is older than rds.max_age"]);
    world.server().wait_for_log("the list of RDS databases of eu-west-1 is ").await;
    world.stop().await;
}

#[tokio::test]
async fn a_client_without_databases_prints_the_reason() {
    let world = World::new().without_server().without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    let ended = world.client_launch(&[]).run().await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in ["the RDS databases of us-east-1 could not be listed", "rds:DescribeDB"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn disabled_discovery_makes_no_aws_call() {
    let world = World::new()
        .with_target("fixed", "{host: <postgres>, database: app, ssl: {mode: disable}}")
        .target("fixed")
        .with_server("rds: {enabled: false}")
        .with_client("rds: {enabled: false}")
        .start()
        .await;
    assert_eq!(world.psql("by_trust", "select 1").await.unwrap(), "1");
    assert_eq!(log_in(&world, &world.rds().endpoint()).await.unwrap_err().sqlstate(), "3D000");
    assert_eq!(world.aws.all_requests(), 0);
    world.stop().await;
}

#[tokio::test]
async fn databases_without_iam_are_skipped_and_logged_with_the_reason() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("no-iam").without_iam())
        .with_instance(Instance::new("newborn").without_endpoint())
        .with_instance(Instance::new("mysql").engine("mysql"))
        .with_cluster(Cluster::new("dark").without_iam())
        .start()
        .await;
    // Skipped databases are logged before this line.
    world.server().wait_for_log("the list of targets changed").await;
    let log = world.server().log();
    let logged = |name: &str, reason: &str| {
        log.lines().any(|line| {
            line.contains("skipped an RDS database") && line.contains(name) && line.contains(reason)
        })
    };
    assert!(logged("no-iam in us-east-1", "IAM database authentication is off"), "{log}");
    assert!(logged("newborn in us-east-1", "it has no endpoint yet"), "{log}");
    assert!(logged("dark:writer in us-east-1", "IAM database authentication is off"), "{log}");
    for name in ["no-iam", "newborn", "mysql", "dark/writer"] {
        assert_eq!(log_in(&world, &world.database(name).endpoint()).await.unwrap_err().sqlstate(), "3D000");
        assert_eq!(world.database(name).connections(), 0);
    }
    world.stop().await;
}

#[tokio::test]
async fn rds_tags_set_the_database_and_the_local_port() {
    let port = free_port();
    let world = World::new()
        .with_instance(
            Instance::new("db-1")
                .tag("rds-auth-proxy:db-name", "ledger")
                .tag("rds-auth-proxy:local-port", &port.to_string()),
        )
        .with_instance(Instance::new("db-2").tag("rds-auth-proxy:local-port", "many"))
        .start()
        .await;
    assert_eq!(world.client().port(), port);
    let line = format!("psql -h 127.0.0.1 -p {port} -d ledger -U YOUR_DATABASE_USER");
    let printed =
        world.client().stdout.wait_for(Duration::from_secs(30), |text| text.contains(&line).then_some(()));
    assert!(printed.await.is_some(), "{}", world.client().stdout.text());
    logs_in(world.client()).await;
    world.server().wait_for_log("rds-auth-proxy:local-port is \\\"many\\\"").await;
    world.stop().await;
}

/// The policy that the Go program documents: rds:DescribeDBInstances and rds:ListTagsForResource.
#[tokio::test]
async fn a_policy_without_the_cluster_calls_costs_cluster_endpoints_and_one_warning() {
    let denied = "may not call rds:DescribeDBClusters; allow rds:DescribeDBInstances";
    for (failure, reason) in [
        (AwsFailure::AccessDenied, denied),
        (AwsFailure::Unknown, "does not know rds:DescribeDBClusters (status 400)"),
        (AwsFailure::Throttling, "AWS throttles rds:DescribeDBClusters"),
    ] {
        let world = World::new()
            .with_instance("db-1")
            .with_cluster(Cluster::new("aurora").tag_of_cluster("frozen", "true"))
            .with_server("proxy: {target_acl: {blocked_rds_tags: [{name: frozen, value: 'true'}]}}")
            .with_server(ADMIN)
            .without_server()
            .without_client()
            .start()
            .await;
        world.aws.fail(Rule::every(failure).of("DescribeDBClusters"));
        world.aws.fail(Rule::every(failure).of("DescribeDBClusterEndpoints"));
        let server = world.start_proxy(world.server_launch()).await;
        until_ready(&server, 200).await;
        for target in ["db-1", "aurora-instance-1"] {
            log_in_at(&server, &world.database(target).endpoint()).await.unwrap();
            logs_in(&world.start_client(&["--direct", "--target", target]).await).await;
        }
        let refusal = log_in_at(&server, &world.database("aurora/writer").endpoint()).await.unwrap_err();
        refusal.expect("3D000", &["is not known: it is neither in `targets` nor a discovered RDS database"]);

        let warnings: Vec<_> = warnings(&server);
        let [warning] = warnings.as_slice() else { panic!("one warning: {warnings:#?}") };
        assert_eq!(warning["action"], "rds:DescribeDBClusters", "{warning}");
        assert!(warning["reason"].as_str().unwrap().contains(reason), "{warning}");
        let text = get(&server, "/metrics").await.1;
        let failures: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("rds_auth_proxy_discovery_failures_total{"))
            .collect();
        assert!(!failures.is_empty() && failures.iter().all(|line| line.ends_with(" 0")), "{text}");
        assert_eq!(world.aws.requests("DescribeDBClusterEndpoints"), 0, "no cluster needs it");

        // The instance's own tags decide.
        world.aws.change_instance("aurora-instance-1", |instance| {
            instance.tags = vec![("frozen".into(), "true".into())];
        });
        let restarted = world.start_proxy(world.server_launch()).await;
        until_ready(&restarted, 200).await;
        let refusal = log_in_at(&restarted, &world.database("aurora-instance-1").endpoint()).await;
        refusal.unwrap_err().expect("28000", &["its RDS tag frozen=true is in blocked_rds_tags"]);
        world.stop().await;
    }
}

/// The warnings of a server about RDS.
pub(crate) fn warnings(server: &Proxy) -> Vec<serde_json::Value> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let about_rds = |line: &serde_json::Value| {
        line["level"] == "WARN" && line["module"].as_str().unwrap().starts_with("rds_auth_proxy::aws")
            || line["message"].as_str().unwrap().contains("discovery failed")
    };
    lines.filter(about_rds).collect()
}

#[tokio::test]
async fn a_policy_without_the_call_for_custom_endpoints_costs_them_alone() {
    let world = World::new().with_cluster("aurora").without_server().without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBClusterEndpoints"));
    let server = world.start_proxy(world.server_launch()).await;
    server.wait_for_log("the list of targets changed").await;
    for target in ["aurora-instance-1", "aurora/writer", "aurora/reader"] {
        log_in_at(&server, &world.database(target).endpoint()).await.unwrap();
    }
    let refusal = log_in_at(&server, &world.database("aurora/custom").endpoint()).await.unwrap_err();
    assert_eq!(refusal.sqlstate(), "3D000");
    let warnings = warnings(&server);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert_eq!(warnings[0]["action"], "rds:DescribeDBClusterEndpoints");
    world.stop().await;
}

#[tokio::test]
async fn throttled_cluster_calls_are_retried_with_back_off() {
    let world = World::new().with_cluster("aurora").without_server().without_client().start().await;
    for action in ["DescribeDBClusters", "DescribeDBClusterEndpoints"] {
        world.aws.fail(Rule::every(AwsFailure::Throttling).of(action).times(2));
    }
    let client = world.start_client(&["--direct", "--target", "aurora:custom:aurora-custom"]).await;
    logs_in(&client).await;
    for action in ["DescribeDBClusters", "DescribeDBClusterEndpoints"] {
        assert_eq!(world.aws.requests(action), 3, "{action}: twice throttled, then answered");
    }
    assert!(!client.log().contains("an AWS call is not available"), "{}", client.log());
    world.stop().await;
}

#[tokio::test]
async fn throttled_aws_requests_are_retried() {
    let world = World::new().without_server().without_client().start().await;
    world.aws.fail(Rule::every(AwsFailure::Throttling).of("DescribeDBInstances").times(2));
    logs_in(&world.start_client(&["--direct"]).await).await;
    assert_eq!(world.aws.requests("DescribeDBInstances"), 3);
    world.stop().await;
}

/// An opt-in region answers so until the account has enabled it (AWS Account Management Reference Guide).
#[tokio::test]
async fn a_region_that_is_not_enabled_has_its_own_remedy() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-west").in_region("eu-west-1"))
        .without_server()
        .without_client()
        .start()
        .await;
    world.aws.fail(Rule::every(AwsFailure::UnknownCredentials).in_region("eu-west-1"));
    let sentence = "the RDS databases of eu-west-1 could not be listed: the region is not enabled for the account: AWS knows the \
                    credentials in another region; enable eu-west-1 for the account, or remove it from `rds.regions`";
    let server = world.start_proxy(world.server_launch()).await;
    server.wait_for_log(sentence).await;
    let client = world.start_client(&["--direct", "--target", "db-1"]).await;
    assert!(client.log().contains(sentence), "{}", client.log());
    logs_in(&client).await;

    world.aws.fail(Rule::every(AwsFailure::UnknownCredentials));
    let ended = world.client_launch(&["--direct", "--target", "db-1"]).run().await;
    let both = "AWS does not know the credentials of the environment, or the region is not enabled for the account; ";
    assert!(ended.stderr.contains(both) && !ended.stderr.contains("another region"), "{}", ended.stderr);
    world.stop().await;
}

/// It lists the databases once, at its start.
#[tokio::test]
async fn a_client_that_is_throttled_promises_no_refresh() {
    let world = World::new()
        .with_target("fixed", "{host: <postgres>}")
        .with_client("rds: {regions: [eu-west-1, us-east-1]}")
        .without_server()
        .without_client()
        .start()
        .await;
    world.aws.fail(Rule::every(AwsFailure::Throttling).in_region("eu-west-1"));
    let client = world.start_client(&["--direct", "--target", "db-1"]).await;
    let log = client.log();
    assert!(log.contains("discovery failed in a region; its databases are missing"), "{log}");
    assert!(log.contains("a client when it is started again"), "{log}");
    world.aws.fail(Rule::every(AwsFailure::Throttling));
    let ended = world.client_launch(&["--direct", "--target", "db-1"]).run().await;
    for text in [&log, &ended.stderr] {
        for promise in ["next refresh", "stays in use", " in a minute"] {
            assert!(!text.contains(promise), "{promise}: {text}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_name_in_two_regions_is_selected_by_its_address() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-1").in_region("eu-west-1"))
        .with_instance(Instance::new("db-2").in_region("eu-west-1"))
        .without_server()
        .without_client()
        .start()
        .await;
    let endpoint = world.rds().endpoint();
    let ended = world.client_launch(&["--direct", "--target", "db-1"]).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("the target \"db-1\" is not unique"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&endpoint), "{}", ended.stderr);
    logs_in(&world.start_client(&["--direct", "--target", &endpoint]).await).await;
    assert_eq!(world.rds().logins().len(), 1);
    world.stop().await;
}
