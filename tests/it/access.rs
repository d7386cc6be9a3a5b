//! Access control: RDS tags, `target_acl` and static targets.

use tokio::net::TcpListener;

use crate::support::builder::World;
use crate::support::instance::{Cluster, Instance};
use crate::support::raw::{Raw, Refusal};
use crate::support::world::Running;

const ACL: &str = "proxy: {target_acl: {
    allowed_rds_tags: [{name: team, value: shop}, {name: proxied, value: 'true'}],
    blocked_rds_tags: [{name: frozen, value: 'true'}, {name: frozen, value: 'yes'}]}}";

fn instance(name: &str) -> Instance {
    Instance::new(name).tag("team", "shop").tag("proxied", "true")
}

/// Logs in at the server as a client with the target `host`.
async fn log_in(world: &Running, host: &str) -> Result<(), Refusal> {
    let parameters = [("user", "by_trust"), ("database", "app"), ("host", host)];
    Raw::log_in(world.server().port(), &parameters).await.map(drop)
}

#[tokio::test]
async fn rds_tags_decide_which_databases_the_server_allows() {
    let world = World::new()
        .with_instance(instance("open"))
        .with_instance(Instance::new("half").tag("team", "shop"))
        .with_instance(Instance::new("other").tag("team", "hr").tag("proxied", "true"))
        .with_instance(instance("frozen").tag("frozen", "yes"))
        .with_instance(instance("thawed").tag("frozen", "no"))
        .with_server(ACL)
        .start()
        .await;
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    log_in(&world, &world.database("thawed").endpoint()).await.unwrap();
    for (name, reason) in [
        ("half", "it lacks the RDS tag proxied=true of allowed_rds_tags"),
        ("other", "it lacks the RDS tag team=shop of allowed_rds_tags"),
        ("frozen", "its RDS tag frozen=yes is in blocked_rds_tags"),
    ] {
        let rds = world.database(name);
        let refusal = log_in(&world, &rds.endpoint()).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "28000");
        let sentence = format!(
            "rds-auth-proxy: the target \"{name}\" is not allowed by the target_acl of this proxy: {reason}"
        );
        assert_eq!(refusal.message(), sentence);
        assert_eq!(rds.connections(), 0, "the server connected to {name}");
    }
    world.server().wait_for_log("skipped an RDS database that the target_acl refuses").await;
    world.stop().await;
}

const BLOCKED: &str = "proxy: {target_acl: {blocked_rds_tags: [{name: frozen, value: 'true'}]}}";

/// The server refuses this database without a connection to it, and names the resource with the tag.
async fn expect_refused(world: &Running, database: &str, reason: &str) {
    let rds = world.database(database);
    let refusal =
        log_in(world, &rds.endpoint()).await.map(|()| panic!("{database} was reached")).unwrap_err();
    refusal.expect("28000", &["is not allowed by the target_acl of this proxy", reason]);
    world.server().wait_for_log(&reason.replace('"', r#"\""#)).await;
    assert_eq!(rds.connections(), 0, "the server dialled {database}");
}

#[tokio::test]
async fn a_blocked_tag_of_a_cluster_blocks_its_instances_too() {
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("aurora-instance-2").in_cluster("aurora"))
        .with_cluster(Cluster::new("aurora").tag_of_cluster("frozen", "true"))
        .with_server(BLOCKED)
        .without_client()
        .start()
        .await;
    let of_cluster = r#"the RDS tag frozen=true of its cluster "aurora" is in blocked_rds_tags"#;
    for instance in ["aurora-instance-1", "aurora-instance-2"] {
        expect_refused(&world, instance, of_cluster).await;
    }
    for endpoint in ["aurora/writer", "aurora/reader", "aurora/custom"] {
        expect_refused(&world, endpoint, "its RDS tag frozen=true is in blocked_rds_tags").await;
    }
    log_in(&world, &world.database("db-1").endpoint()).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_blocked_tag_of_an_instance_blocks_the_endpoints_that_can_lead_to_it() {
    let world = World::new()
        .with_instance(Instance::new("aurora-instance-2").in_cluster("aurora").tag("frozen", "true"))
        .with_cluster(Cluster::new("aurora").custom_member("aurora-instance-1"))
        .with_server(BLOCKED)
        .without_client()
        .start()
        .await;
    expect_refused(&world, "aurora-instance-2", "its RDS tag frozen=true is in blocked_rds_tags").await;
    let leads_there = r#"it can lead to the instance "aurora-instance-2", whose RDS tag frozen=true is in blocked_rds_tags"#;
    for endpoint in ["aurora/writer", "aurora/reader"] {
        expect_refused(&world, endpoint, leads_there).await;
    }
    for other in ["aurora-instance-1", "aurora/custom"] {
        log_in(&world, &world.database(other).endpoint()).await.unwrap();
    }
    world.stop().await;
}

#[tokio::test]
async fn the_application_receives_the_reason_of_the_refusal() {
    let world = World::new().with_instance(instance("db-1").tag("frozen", "true")).with_server(ACL);
    let world = world.start().await;
    let error = world.refusal("alice").await;
    assert_eq!(error.code().code(), "28000");
    assert!(error.message().contains("frozen=true is in blocked_rds_tags"), "{error}");
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_client_with_a_target_that_its_own_acl_refuses_does_not_start() {
    let world = World::new().with_client(ACL).without_server().without_client().start().await;
    let ended = world.client_launch(&[]).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"db-1\" is not allowed by the target_acl"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_server_does_not_connect_to_unknown_hosts() {
    let world = World::new().without_client().start().await;
    let unknown = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = unknown.local_addr().unwrap().port();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}")] {
        let refusal = log_in(&world, &host).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "3D000");
        assert!(refusal.message().contains(&format!("the target \"{host}\" is not known")), "{refusal:?}");
        assert!(refusal.hint().unwrap().contains("target_acl"), "{refusal:?}");
    }
    // Another name of a known database is unknown too: tokens are signed for the name in RDS.
    let alias = format!("127.0.0.1:{}", world.rds().port);
    assert_eq!(log_in(&world, &alias).await.unwrap_err().sqlstate(), "3D000");
    for nonsense in ["", "localhost", "localhost:x", "a b:5432"] {
        let refusal = log_in(&world, nonsense).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "28000", "{nonsense}: {refusal:?}");
    }
    let accepted = tokio::time::timeout(std::time::Duration::from_millis(50), unknown.accept()).await;
    assert!(accepted.is_err(), "the server connected to an unknown host");
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

#[tokio::test]
async fn a_static_target_for_a_discovered_database_uses_iam_and_ignores_the_acl() {
    let world = World::new()
        .with_instance(Instance::new("db-1").tag("frozen", "true"))
        .with_target("orders", "{host: <db-1>, database: app}")
        .target("orders")
        .with_server(ACL)
        .start()
        .await;
    assert_eq!(world.psql("alice", "select current_user").await.unwrap(), "alice");
    let login = world.rds().logins().pop().unwrap();
    assert!(login.token.is_some() && login.tls.is_some(), "{login:?}");
    world.stop().await;
}
