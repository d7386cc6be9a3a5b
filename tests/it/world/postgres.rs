//! PostgreSQL authenticates each role by its method.

use tokio_postgres::{Config, NoTls};

use crate::support::postgres::Postgres;
use crate::support::roles::{AuthMethod, DATABASE};
use crate::support::scratch::unique;

fn config(postgres: &Postgres, user: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(postgres.port).user(user).dbname(DATABASE);
    config
}

async fn log_in(config: &Config) -> Result<(), String> {
    match config.connect(NoTls).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.as_db_error().map_or(error.to_string(), |error| error.message().to_owned())),
    }
}

#[tokio::test]
async fn each_role_authenticates_by_its_method() {
    let postgres = Postgres::shared().await;
    for role in ["by_scram", "by_md5", "by_password"] {
        let mut config = config(&postgres, role);
        assert!(log_in(&config).await.is_err(), "{role} without a password");
        assert_eq!(log_in(config.password(postgres.password(role))).await, Ok(()), "{role}");
        assert!(
            log_in(config.password("wrong")).await.unwrap_err().contains("authentication failed"),
            "{role}"
        );
    }
    assert_eq!(log_in(&config(&postgres, "by_trust")).await, Ok(()));
    assert!(log_in(&config(&postgres, "alice")).await.unwrap_err().contains("pg_hba.conf"));
    let kind = |role| format!("SELECT left(rolpassword, 3) FROM pg_authid WHERE rolname = '{role}'");
    assert_eq!(postgres.value(&kind("by_md5")).await.as_deref(), Some("md5"));
    assert_eq!(postgres.value(&kind("by_scram")).await.as_deref(), Some("SCR"));
}

#[tokio::test]
async fn roles_and_databases_can_be_created() {
    let postgres = Postgres::shared().await;
    let (role, database) = (unique("a \"b\" 日本"), unique("own"));
    let password = postgres.create_role(&role, AuthMethod::Scram).await;
    postgres.create_database(&database).await;
    let mut config = config(&postgres, &role);
    let (client, connection) = config.password(password).dbname(&database).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("CREATE TABLE t (x int); DROP TABLE t").await.unwrap();
    assert!(!postgres.uses_iam(&role).await);
    assert!(!postgres.uses_iam("postgres").await);
    assert!(!postgres.uses_iam("no such user").await);
    assert!(postgres.uses_iam("alice").await);
}

#[tokio::test]
async fn a_separate_cluster_can_be_killed() {
    let postgres = Postgres::start().await;
    let config = config(&postgres, "by_trust");
    assert_eq!(log_in(&config).await, Ok(()));
    postgres.stop();
    assert!(log_in(&config).await.is_err());
    assert!(postgres.log().contains("immediate shutdown"));
}
