//! Static targets at hosts that discovery finds too: they keep the TLS of discovered databases, key by key.

use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::instance::Instance;
use crate::support::raw::{Raw, Refusal};
use crate::support::scratch::random_text;
use crate::support::world::Running;

const CLIENT_CERTIFICATE: &str = "client_certificate: '<certificate>', client_private_key: '<key>'";

/// A server with a static target at the host of `db-1`, which has a certificate of a foreign CA. `require_auth` lets the
/// password go out wherever TLS does not prevent it.
async fn impostor(ssl: &str) -> Running {
    let certificate = Authority::foreign().issue(&["localhost"], Validity::Now);
    World::new()
        .with_instance(Instance::new("db-1").certificate(certificate))
        .with_server(&format!("targets: {{mine: {{host: <db-1>, require_auth: password, ssl: {ssl}}}}}"))
        .without_client()
        .start()
        .await
}

async fn log_in(world: &Running, password: &str) -> Result<(), Refusal> {
    let host = world.database("db-1").endpoint();
    let parameters = [("user", "alice"), ("database", "app"), ("host", &host), ("password", password)];
    Raw::log_in(world.server().port(), &parameters).await.map(drop)
}

#[tokio::test]
async fn an_impostor_receives_no_password_through_a_section_without_a_mode() {
    for ssl in [
        "{}",
        &format!("{{{CLIENT_CERTIFICATE}}}"),
        "{mode: verify-full}",
        "{mode: verify-ca}",
        "{root_certificate: '<ca>'}",
    ] {
        let world = impostor(ssl).await;
        let password = random_text(24);
        world.add_secret(&password);
        let Err(refusal) = log_in(&world, &password).await else { panic!("{ssl}: the impostor is trusted") };
        refusal.expect("08001", &["its issuer is \"CN=Foreign CA\""]);
        assert!(world.database("db-1").tokens().is_empty(), "{ssl}");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_weaker_mode_is_obeyed_and_reported() {
    for mode in ["require", "prefer"] {
        let world = impostor(&format!("{{mode: {mode}}}")).await;
        world.server().wait_for_log("the configuration weakens the TLS to an RDS database").await;
        world.server().wait_for_log("\"key\":\"targets.mine.ssl.mode\"").await;
        let password = random_text(24);
        world.add_secret(&password);
        // The password is wrong, but the impostor has it.
        assert!(log_in(&world, &password).await.is_err());
        assert_eq!(world.database("db-1").tokens(), [password]);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_client_certificate_leaves_verification_and_iam_as_discovered() {
    let world = World::new()
        .with_target("mine", &format!("{{host: <db-1>, ssl: {{{CLIENT_CERTIFICATE}}}}}"))
        .with_instance("db-1")
        .target("mine")
        .start()
        .await;
    assert_eq!(world.psql("alice", "select current_user").await.unwrap(), "alice");
    let login = world.rds().logins().pop().unwrap();
    assert!(login.certificate && login.token.is_some(), "{login:?}");
    assert!(!world.server().log().contains("weakens the TLS"));
    world.stop().await;
}

#[tokio::test]
async fn tls_that_cannot_be_set_up_costs_one_target() {
    let world = World::new()
        .with_instance("db-1")
        .with_server("targets: {odd: {host: <postgres>, ssl: {mode: verify-ca}}}")
        .start()
        .await;
    let line = "connections to this target fail: its TLS cannot be set up";
    world.server().wait_for_log(line).await;
    let host = format!("localhost:{}", world.postgres.port);
    let parameters = [("user", "by_password"), ("database", "app"), ("host", &host), ("password", "pw")];
    let Err(refusal) = Raw::log_in(world.server().port(), &parameters).await else { panic!("let in") };
    refusal.expect("08001", &["the TLS mode verify-ca needs a root_certificate"]);
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    assert_eq!(world.server().log().matches(line).count(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_region_without_embedded_roots_is_named() {
    let world = World::new()
        .with_instance(Instance::new("db-1").in_region("il-central-1"))
        .with_server("rds: {root_certificate: null}")
        .with_client("rds: {root_certificate: null}")
        .start()
        .await;
    let refusal = world.refusal("alice").await;
    let sentence = "no root certificates of RDS in the region il-central-1; set rds.root_certificate";
    assert!(refusal.message().contains(sentence), "{refusal:?}");
    assert!(world.rds().tokens().is_empty());
    world.stop().await;
}
