//! IAM logins through client and server.

use std::time::Duration;

use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::roles::AuthMethod;
use crate::support::scratch::{random_text, unique};

#[tokio::test]
async fn an_iam_user_logs_in_without_a_password() {
    let world = World::new().start().await;
    let answer = world.psql("alice", "select current_user || '@' || current_database()").await.unwrap();
    assert_eq!(answer, "alice@app");
    world.stop().await;
}

/// Go program: `if pass != ""` in `cmd/proxy_client.go`.
#[tokio::test]
async fn an_empty_password_is_not_given() {
    let world = World::new().without_client().start().await;
    for flags in [&["--password", ""][..], &["--password="], &["--password", "wrong", "--password", ""]] {
        let client = world.start_client(flags).await;
        let output = world.psql_command(&client, "alice").args(["-c", "select current_user"]).output();
        let output = output.await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "alice\n", "{flags:?}: {output:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_database_receives_the_clients_token_and_only_the_applications_parameters() {
    let world = World::new().start().await;
    let mut psql = world.psql_command(world.client(), "alice");
    psql.env("PGOPTIONS", "-c work_mem=4242kB").env("PGAPPNAME", "ledger").env("PGHOSTADDR", "127.0.0.1");
    let output = psql.args(["-c", "show work_mem; show application_name"]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "4242kB\nledger\n", "{output:?}");

    let login = world.rds().logins().pop().unwrap();
    let parameters: Vec<_> = login.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        parameters,
        [
            ("user", "alice"),
            ("database", "app"),
            ("options", "-c work_mem=4242kB"),
            ("application_name", "ledger")
        ]
    );
    assert_eq!((login.tls.as_deref(), login.server_name.as_deref()), (Some("TLSv1_3"), Some("localhost")));
    let token = login.token.unwrap();
    assert!(token.contains(&world.key.id), "the token is signed with the client's key");
    assert!(!token.contains(&world.server_key.id));
    world.stop().await;
}

#[tokio::test]
async fn session_credentials_make_tokens_of_more_than_2_kb_and_log_in() {
    let session_token = Some(format!("IQoJ+/{}==", random_text(2500)));
    let key = AccessKey { session_token, ..AccessKey::session(Duration::from_hours(1)) };
    let world = World::new().with_key(key).start().await;
    assert_eq!(world.psql("alice", "select current_user").await.unwrap(), "alice");
    let token = world.rds().tokens().pop().unwrap();
    assert!(token.len() > 2048 && token.contains("X-Amz-Security-Token="), "{}", token.len());
    world.stop().await;
}

#[tokio::test]
async fn every_token_is_signed_for_the_user_of_the_connection() {
    let world = World::new().start().await;
    for name in ["o'brien", "Maria da Silva", "a+b&c=d%20#?", "bjørn@müller.example", "x\"y\\z/:,"] {
        let user = unique(name);
        world.postgres.create_role(&user, AuthMethod::Iam).await;
        assert_eq!(world.psql(&user, "select current_user").await.unwrap(), user);
    }
    let logins = world.rds().logins();
    assert_eq!(logins.len(), 5);
    assert!(logins.iter().all(|login| login.iam && login.refusal.is_none()), "{logins:?}");
    world.stop().await;
}
