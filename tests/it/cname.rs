//! `targets.NAME.rds`, with a CNAME as `host`.
//!
//! The oracle is RDS: it accepts a token for its own endpoint only, and its certificate has no other name ("Connecting to your DB
//! instance using IAM authentication" in the Amazon RDS user guide: no custom Route 53 record in place of the endpoint).

use tokio_postgres::NoTls;

use crate::discovery::{log_in, log_in_at};
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::proxy::Proxy;
use crate::support::world::{Running, refusal};

/// A name that no resolver finds, so that only the other address leads to the database.
const ENDPOINT: &str = "orders-db.invalid";
const TARGET: &str = "{host: '127.0.0.1:<port of orders-db>', rds: Orders-DB, database: ledger}";

fn world() -> World {
    World::new().with_instance(Instance::new("orders-db").called(ENDPOINT)).without_client()
}

async fn logs_in(world: &Running, client: &Proxy) {
    drop(client.config("alice").connect(NoTls).await.unwrap());
    let login = world.rds().logins().pop().unwrap();
    assert_eq!(login.refusal, None);
    assert!(login.token.unwrap().starts_with(&world.rds().endpoint()), "the token is for the endpoint");
    assert_eq!(login.server_name.as_deref(), Some(ENDPOINT), "the certificate has to have this name");
}

#[tokio::test]
async fn a_database_is_dialled_by_another_address_and_verified_as_its_endpoint() {
    let world = world().with_target("orders", TARGET).start().await;
    world.server().wait_for_log("the list of targets changed").await;
    for flags in
        [&["--target", "orders"][..], &["--target", "orders", "--direct"], &["--target", "orders-db"]]
    {
        logs_in(&world, &world.start_client(flags).await).await;
    }
    // The name in RDS has no other address.
    let direct = world.start_client(&["--target", "orders-db", "--direct"]).await;
    let error = refusal(&direct, "alice").await;
    assert!(error.message().contains(ENDPOINT), "{error}");
    // Of a client without the target, such as the Go program.
    for host in [world.rds().endpoint(), format!("127.0.0.1:{}", world.rds().port)] {
        log_in(&world, &host).await.unwrap();
    }
    world.stop().await;
}

#[tokio::test]
async fn the_list_of_the_server_decides_about_the_address() {
    let targets = format!("targets: {{orders: {TARGET}}}");
    let server_has_it = world().with_server(&targets).start().await;
    logs_in(&server_has_it, &server_has_it.start_client(&["--target", "orders-db"]).await).await;
    server_has_it.stop().await;

    let client_has_it = world().with_client(&targets).start().await;
    let error = refusal(&client_has_it.start_client(&["--target", "orders"]).await, "alice").await;
    let endpoint = client_has_it.rds().endpoint();
    assert!(error.message().contains(&format!("the database orders-db at {endpoint}")), "{error}");
    client_has_it.stop().await;
}

#[tokio::test]
async fn a_target_may_have_a_name_in_rds_alone() {
    let world = World::new()
        .with_instance("db-1")
        .with_target("ledger", "{rds: db-1, database: ledger}")
        .without_client()
        .start()
        .await;
    for mode in [&[][..], &["--direct"]] {
        let client = world.start_client(&[mode, &["--target", "ledger"]].concat()).await;
        drop(client.config("alice").connect(NoTls).await.unwrap());
        assert!(client.stdout.text().contains(" -d ledger "), "{}", client.stdout.text());
    }
    world.server().wait_for_log(r#""target":"ledger""#).await;
    world.stop().await;
}

#[tokio::test]
async fn a_name_that_rds_does_not_list_is_reported() {
    let world = World::new()
        .with_instance("db-1")
        .with_target("orders", "{host: 'localhost:1', rds: no-db}")
        .without_client()
        .start()
        .await;
    let sentence = "the target \"orders\" needs the RDS database \"no-db\": RDS does not list it";
    let ended = world.client_launch(&["--target", "orders"]).run().await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
    log_in(&world, "localhost:1").await.unwrap_err().expect("28000", &[sentence]);
    log_in(&world, &world.rds().endpoint()).await.unwrap();
    world.stop().await;
}

/// Without the list the endpoint is unknown: nothing is sent to the other address unverified.
#[tokio::test]
async fn no_weaker_login_replaces_a_list_that_fails() {
    let world = world().with_target("orders", TARGET).without_server().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    let server = world.start_proxy(world.server_launch()).await;
    let refusal = log_in_at(&server, &format!("127.0.0.1:{}", world.rds().port)).await.unwrap_err();
    refusal.expect(
        "28000",
        &["the target \"orders\" needs the RDS database \"Orders-DB\": RDS does not list it"],
    );
    assert!(!refusal.message().contains("rds:"), "only the log has the reason: {}", refusal.message());
    server.wait_for_log("may not call rds:DescribeDBInstances").await;
    assert_eq!(world.rds().connections(), 0);
    world.stop().await;
}

/// The oracle is RDS: a token for another name than the endpoint is refused, so none is made.
#[tokio::test]
async fn another_name_of_a_database_as_host_gets_the_key_to_set() {
    for (ssl, text) in [
        ("{mode: verify-ca, root_certificate: '<ca>'}", "PAM authentication failed for user \"alice\""),
        ("{mode: require}", "uses the login method password, which is not allowed where TLS does not verify"),
    ] {
        let target = format!("{{host: '127.0.0.1:<port of orders-db>', ssl: {ssl}}}");
        let world = world().with_target("orders", &target).start().await;
        world.server().wait_for_log("the list of targets changed").await;
        for mode in [&[][..], &["--direct"]] {
            let client = world.start_client(&[mode, &["--target", "orders"]].concat()).await;
            let error = client.config("alice").password("typed").connect(NoTls).await.err().unwrap();
            let error = error.as_db_error().unwrap();
            assert!(error.message().contains(text), "{error}");
            let hint = error.hint().unwrap();
            let host =
                format!("No IAM token is made for 127.0.0.1:{}, because RDS does not", world.rds().port);
            for part in [&host, "set targets.orders.rds to the name in RDS"] {
                assert_eq!(hint.matches(part).count(), 1, "{mode:?}: {hint}");
            }
            assert!(!hint.contains("rds_iam"), "{hint}");
        }
        world.stop().await;
    }
}

/// A password that the client was given is no token that it did not make.
#[tokio::test]
async fn a_configured_password_gets_no_hint_about_tokens() {
    let target = "{host: '127.0.0.1:<port of orders-db>', ssl: {mode: verify-ca, root_certificate: '<ca>'}}";
    let world = world().with_target("orders", target).start().await;
    world.server().wait_for_log("the list of targets changed").await;
    for mode in [&[][..], &["--direct"]] {
        let flags = [mode, &["--target", "orders", "--password", "other"]].concat();
        let error = refusal(&world.start_client(&flags).await, "alice").await;
        assert!(error.hint().is_none(), "{error:?}");
    }
    world.stop().await;
}

/// A client that could not list the databases does not know that RDS lists no such host.
#[tokio::test]
async fn a_client_without_a_list_says_so_in_place_of_the_key() {
    let target = "{host: '127.0.0.1:<port of orders-db>', ssl: {mode: verify-ca, root_certificate: '<ca>'}}";
    let world = world().with_target("orders", target).without_server().start().await;
    world.aws.fail(Rule::every(AwsFailure::AccessDenied));
    let client = world.start_client(&["--target", "orders", "--direct"]).await;
    let error = client.config("alice").password("typed").connect(NoTls).await.err().unwrap();
    let hint = error.as_db_error().unwrap().hint().unwrap_or_default().to_owned();
    assert!(hint.contains("because RDS had not listed its databases when the client started"), "{hint}");
    assert!(!hint.contains("targets.orders.rds"), "{hint}");
    world.stop().await;
}
