//! The fake RDS: TLS, IAM logins, password logins, cancel requests, and the failures that a test can cause.
//!
//! The client is psql (libpq).

use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::process::Command;

use crate::support::certificates::{Authority, Validity};
use crate::support::fake_rds::{Encryption, FakeRds, Options};
use crate::support::identity::{AccessKey, Identities};
use crate::support::postgres::Postgres;
use crate::support::roles::DATABASE;
use crate::support::token::{Service, sign};

const REGION: &str = "eu-central-1";

struct Setup {
    postgres: Arc<Postgres>,
    rds: FakeRds,
    identities: Identities,
    key: AccessKey,
}

impl Setup {
    async fn new(encryption: Encryption) -> Self {
        let postgres = Postgres::shared().await;
        let (identities, key) = (Identities::default(), AccessKey::long_lived());
        identities.add(key.clone());
        let options = Options {
            host: "localhost".into(),
            address: "127.0.0.1".into(),
            port: 0,
            region: REGION.into(),
            encryption,
            certificate: Authority::trusted_intermediate().issue(&["localhost"], Validity::Now),
            service: Service::Rds,
        };
        let rds = FakeRds::start(options, postgres.clone(), identities.clone()).await;
        Self { postgres, rds, identities, key }
    }

    fn token(&self, user: &str) -> String {
        sign(&self.rds.endpoint(), REGION, user, &self.key, SystemTime::now())
    }

    fn psql(&self, user: &str, password: &str, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .args(["-X", "-A", "-t", "-h", "localhost", "-U", user, "-d", DATABASE, "-c", sql])
            .args(["-p", &self.rds.port.to_string()])
            .env("PGPASSWORD", password)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", &Authority::trusted().path)
            .kill_on_drop(true);
        command
    }

    async fn run(&self, user: &str, password: &str, sql: &str) -> Result<String, String> {
        let Output { status, stdout, stderr } = self.psql(user, password, sql).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        if status.success() { Ok(text(stdout)) } else { Err(text(stderr)) }
    }
}

#[tokio::test]
async fn an_iam_user_logs_in_with_a_token() {
    let setup = Setup::new(Encryption::Required).await;
    assert_eq!(setup.run("alice", &setup.token("alice"), "SELECT current_user").await.unwrap(), "alice");
    let login = setup.rds.logins().pop().unwrap();
    assert_eq!(login.tls.as_deref(), Some("TLSv1_3"));
    assert_eq!(login.server_name.as_deref(), Some("localhost"));
    assert_eq!(login.refusal, None);
    assert!(login.parameters.contains(&("application_name".into(), "psql".into())));
    assert_eq!(setup.rds.tokens().len(), 1);
}

#[tokio::test]
async fn a_wrong_token_is_refused_as_rds_does() {
    let setup = Setup::new(Encryption::Required).await;
    for token in [setup.token("by_scram"), "secret".into(), String::from("x").repeat(20_000)] {
        let error = setup.run("alice", &token, "SELECT 1").await.unwrap_err();
        assert!(error.contains(r#"FATAL:  PAM authentication failed for user "alice""#), "{error}");
    }
    assert!(setup.rds.logins()[0].refusal.as_deref().unwrap().contains("DBUser is `by_scram`"));
    setup.identities.change(&setup.key.id, |key| key.may_connect = false);
    assert!(setup.run("alice", &setup.token("alice"), "SELECT 1").await.is_err());
    setup.identities.change(&setup.key.id, |key| key.may_connect = true);
    setup.rds.set_clock_ahead(Duration::from_secs(901));
    assert!(setup.run("alice", &setup.token("alice"), "SELECT 1").await.is_err());
    assert!(setup.rds.logins().pop().unwrap().refusal.unwrap().contains("has expired"));
}

#[tokio::test]
async fn other_users_log_in_at_the_database() {
    let setup = Setup::new(Encryption::Required).await;
    for role in ["by_scram", "by_md5", "by_password"] {
        let password = setup.postgres.password(role);
        assert_eq!(setup.run(role, &password, "SELECT current_user").await.unwrap(), role);
        assert!(
            setup
                .run(role, "wrong", "SELECT 1")
                .await
                .unwrap_err()
                .contains("password authentication failed")
        );
    }
    assert!(setup.rds.tokens().is_empty());
}

#[tokio::test]
async fn tls_is_required_or_off() {
    let setup = Setup::new(Encryption::Required).await;
    let mut command = setup.psql("by_trust", "", "SELECT 1");
    let output = command.env("PGSSLMODE", "disable").output().await.unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no encryption"), "{output:?}");

    let setup = Setup::new(Encryption::Off).await;
    let error = setup.run("by_trust", "", "SELECT 1").await.unwrap_err();
    assert!(error.contains("server does not support SSL"), "{error}");
    let mut command = setup.psql("by_trust", "", "SELECT 1");
    assert!(command.env("PGSSLMODE", "prefer").output().await.unwrap().status.success());
    assert_eq!(setup.rds.logins().pop().unwrap().tls, None);

    let setup = Setup::new(Encryption::Answer(b'?')).await;
    let error = setup.run("by_trust", "", "SELECT 1").await.unwrap_err();
    assert!(error.contains("invalid response to SSL negotiation"), "{error}");
    assert_eq!(setup.rds.connections(), 1);
    assert!(setup.rds.logins().is_empty());
}

#[tokio::test]
async fn a_cancel_request_reaches_the_database() {
    let setup = Setup::new(Encryption::Required).await;
    let mut sleeper = setup.psql("alice", &setup.token("alice"), "SELECT pg_sleep(60)");
    let sleeper = sleeper.stderr(std::process::Stdio::piped()).spawn().unwrap();
    until("the query runs", || async {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND usename = 'alice'";
        setup.postgres.value(sql).await.is_some()
    })
    .await;
    let pid = i32::try_from(sleeper.id().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = sleeper.wait_with_output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("canceling statement due to user request"), "{error}");
    assert_eq!(setup.rds.cancels(), 1);
}

#[tokio::test]
async fn large_rows_pass_both_ways() {
    let setup = Setup::new(Encryption::Required).await;
    let sql = "SELECT length(repeat('x', 50000000)), repeat('x', 20000000)";
    let answer = setup.run("alice", &setup.token("alice"), sql).await.unwrap();
    assert_eq!(answer.len(), "50000000|".len() + 20_000_000);
}

#[tokio::test]
async fn it_stalls_drops_connections_and_shuts_down() {
    let setup = Setup::new(Encryption::Required).await;
    setup.rds.stall();
    let password = setup.token("alice");
    let stalled = setup.run("alice", &password, "SELECT 1");
    tokio::pin!(stalled);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut stalled).await.is_err());
    setup.rds.resume();
    assert_eq!(stalled.await.unwrap(), "1");

    let mut sleeper = setup.psql("by_trust", "", "SELECT pg_sleep(60)");
    let sleeper = sleeper.stderr(std::process::Stdio::piped()).spawn().unwrap();
    until("the login arrives", || async { setup.rds.logins().len() == 2 }).await;
    setup.rds.drop_connections();
    let output = sleeper.wait_with_output().await.unwrap();
    assert!(!output.status.success());
    assert_eq!(setup.run("by_trust", "", "SELECT 1").await.unwrap(), "1");

    setup.rds.shut_down().await;
    let error = setup.run("by_trust", "", "SELECT 1").await.unwrap_err();
    assert!(error.contains("Connection refused"), "{error}");
}

async fn until<F: Future<Output = bool>>(description: &str, condition: impl Fn() -> F) {
    for _ in 0..600 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("timeout while waiting until {description}");
}
