//! IAM logins that the database refuses: its error passes unchanged, and a HINT names the likely causes.

use std::time::{Duration, SystemTime};

use tokio_postgres::error::SqlState;

use crate::operations::{ADMIN, until_counted};
use crate::support::builder::World;
use crate::support::instance::{Instance, REGION};
use crate::support::raw::{Raw, Refusal};
use crate::support::roles::DATABASE;
use crate::support::token::sign;
use crate::support::world::{Running, refusal};

/// Logs in at the server like a client, with any password.
async fn log_in(world: &Running, user: &str, password: &str) -> Result<String, Refusal> {
    let endpoint = world.rds().endpoint();
    let parameters =
        [("user", user), ("database", DATABASE), ("host", endpoint.as_str()), ("password", password)];
    let (mut raw, _) = Raw::log_in(world.server().port(), &parameters).await?;
    raw.query("select current_user").await
}

#[tokio::test]
async fn the_hint_of_a_refused_token_names_grant_policy_and_identity() {
    let world = World::new().start().await;
    world.identities.change(&world.key.id, |key| key.may_connect = false);
    let error = world.refusal("alice").await;
    assert_eq!(*error.code(), SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert_eq!(error.severity(), "FATAL");
    assert_eq!(error.message(), r#"PAM authentication failed for user "alice""#);
    let hint = error.hint().unwrap();
    for part in [r#"GRANT rds_iam TO "alice""#, "rds-db:connect", &format!("access key {}", world.key.id)] {
        assert!(hint.contains(part), "{part} is not in: {hint}");
    }
    assert_eq!(
        hint.matches("rds-db:connect").count(),
        1,
        "only one of client and server adds the HINT: {hint}"
    );
    // The client requests its ARN from STS at the start, in the background.
    let direct = world.start_client(&["--direct"]).await;
    let identity = format!(
        "and the AWS identity arn:aws:iam::123456789012:user/tester (access key {}) needs a policy",
        world.key.id
    );
    for client in [world.client(), &direct] {
        let mut hint = String::new();
        for _ in 0..100 {
            refusal(client, "alice").await.hint().unwrap_or_default().clone_into(&mut hint);
            if hint.contains("arn:") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(hint.contains(&identity), "{hint}");
        assert_eq!(hint.matches("AWS identity").count(), 1, "{hint}");
        assert_eq!(hint.matches(&world.key.id).count(), 1, "{hint}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_refused_and_the_next_one_is_not() {
    let world = World::new().start().await;
    world.rds().set_clock_ahead(Duration::from_secs(901));
    let error = world.refusal("alice").await;
    assert_eq!(*error.code(), SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert!(error.hint().unwrap().contains("rds-db:connect"));
    assert!(world.rds().logins().pop().unwrap().refusal.unwrap().contains("expired"));
    world.rds().set_clock_ahead(Duration::ZERO);
    assert_eq!(world.psql("alice", "select 1").await.unwrap(), "1");
    world.stop().await;
}

#[tokio::test]
async fn the_server_forwards_the_clients_token_and_never_signs_one() {
    let world = World::new().without_client().start().await;
    let token = |user: &str, age: u64| {
        let signed = SystemTime::now() - Duration::from_secs(age);
        sign(&world.rds().endpoint(), REGION, user, &world.key, signed)
    };
    assert_eq!(log_in(&world, "alice", &token("alice", 0)).await.unwrap(), "alice");

    let good = token("alice", 0);
    let last = if good.ends_with('0') { '1' } else { '0' };
    let tampered = format!("{}{last}", &good[..good.len() - 1]);
    let of_the_server = sign(&world.rds().endpoint(), REGION, "alice", &world.server_key, SystemTime::now());
    let expired = token("alice", 1000);
    for (password, reason) in
        [(&tampered, "signature does not match"), (&expired, "expired"), (&of_the_server, "no policy grants")]
    {
        let refusal = log_in(&world, "alice", password).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "28000");
        assert_eq!(refusal.message(), r#"PAM authentication failed for user "alice""#);
        assert!(refusal.hint().unwrap().contains("rds-db:connect"), "{refusal:?}");
        let login = world.rds().logins().pop().unwrap();
        assert_eq!(login.token.as_ref(), Some(password));
        assert!(login.refusal.as_ref().unwrap().contains(reason), "{login:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn errors_unrelated_to_iam_pass_unchanged() {
    let world = World::new().start().await;
    let error = world.client().config("alice").dbname("no such").connect(tokio_postgres::NoTls).await;
    let error = error.err().unwrap();
    let error = error.as_db_error().unwrap();
    assert_eq!(*error.code(), SqlState::INVALID_CATALOG_NAME);
    assert_eq!(error.message(), r#"database "no such" does not exist"#);
    assert_eq!((error.hint(), error.severity()), (None, "FATAL"));
    world.stop().await;
}

/// A sentence of our own server is no refusal of an IAM login.
#[tokio::test]
async fn a_refusal_by_the_server_itself_gets_no_hint_about_iam() {
    let acl =
        "proxy: {admin_addr: '127.0.0.1:0', target_acl: {blocked_rds_tags: [{name: closed, value: 'yes'}]}}";
    let world = World::new().with_instance(Instance::new("db-1").tag("closed", "yes")).with_server(acl);
    let world = world.with_client(ADMIN).start().await;
    let error = world.refusal("alice").await;
    assert_eq!(*error.code(), SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
    assert!(error.message().starts_with("rds-auth-proxy: the target \"db-1\" is not allowed"), "{error}");
    assert!(error.hint().is_none(), "{:?}", error.hint());
    let counted = "rds_auth_proxy_refused_total{fault=\"hop\",reason=\"upstream_refused\",target=\"db-1\"} 1";
    until_counted(world.client(), &[counted]).await;
    world.stop().await;
}

/// RDS allows five minutes; a laptop whose clock is wrong by more than one is worth a word.
#[tokio::test]
async fn a_token_of_a_wrong_clock_names_the_difference() {
    let world = World::new().start().await;
    let signed = SystemTime::now() - Duration::from_secs(200);
    let endpoint = world.rds().endpoint();
    let token = sign(&endpoint, REGION, "no-such-user", &world.key, signed);
    let refusal = log_in(&world, "no-such-user", &token).await.unwrap_err();
    let text = "the IAM token was signed 3 minutes ago";
    assert!(refusal.hint().unwrap().contains(text), "{refusal:?}");
    world.server().wait_for_log(text).await;
    world.stop().await;
}

/// The Date of AWS shows it where the token is made, and where it is checked.
#[tokio::test]
async fn a_clock_that_differs_from_that_of_aws_is_named() {
    let world = World::new().without_server().without_client().start().await;
    world.aws.set_clock_ahead(Duration::from_secs(750));
    world.identities.change(&world.key.id, |key| key.may_connect = false);
    let direct = world.start_client(&["--direct"]).await;
    let hint = refusal(&direct, "alice").await.hint().unwrap().to_owned();
    let own = "The clock of this machine is 12 minutes behind that of AWS; set it.";
    assert!(hint.contains("GRANT rds_iam") && hint.ends_with(own), "{hint}");

    let server = world.start_proxy(world.server_launch()).await;
    server.wait_for_log("the list of targets changed").await;
    let endpoint = world.rds().endpoint();
    let log_in = async |signed| {
        let token = sign(&endpoint, REGION, "alice", &world.key, signed);
        let parameters = [("user", "alice"), ("host", endpoint.as_str()), ("password", token.as_str())];
        Raw::log_in(server.port(), &parameters).await.err().unwrap()
    };
    let refusal = log_in(SystemTime::now()).await;
    let of_signer = "By the clock of AWS, the IAM token was signed 12 minutes ago; set the clock of the machine that signed it.";
    assert!(refusal.hint().unwrap().ends_with(of_signer), "{refusal:?}");
    world.stop().await;
}
