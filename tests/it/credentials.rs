//! AWS credentials that change or expire while the client runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio_postgres::NoTls;

use crate::support::builder::World;
use crate::support::identity::AccessKey;
use crate::support::proxy::Proxy;
use crate::support::world::{Running, refusal};

/// Starts a client with its credentials in a file. Returns the client and the file.
pub(crate) async fn client_with_file(world: &Running) -> (Proxy, PathBuf) {
    let path = world.directory.join("credentials");
    write(&path, &world.key, "");
    let mut launch = world.client_launch(&[]);
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SEC"));
    let launch = launch.env("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap());
    (world.start_proxy(launch).await, path)
}

/// Writes the file like `saml2aws login`.
fn write(path: &PathBuf, key: &AccessKey, more: &str) {
    let AccessKey { id, secret, .. } = key;
    let text = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n{more}");
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn changed_credentials_on_disk_sign_the_next_token() {
    let world = World::new().without_client().start().await;
    let (client, path) = client_with_file(&world).await;
    drop(client.config("alice").connect(NoTls).await.unwrap());
    assert!(world.rds().tokens()[0].contains(&world.key.id));

    let next = AccessKey::long_lived();
    world.identities.add(next.clone());
    world.identities.change(&world.key.id, |key| key.may_connect = false);
    write(&path, &next, "# rotated\n");
    drop(client.config("alice").connect(NoTls).await.unwrap());
    assert!(world.rds().tokens()[1].contains(&next.id));
    world.stop().await;
}

#[tokio::test]
async fn expired_credentials_name_the_command_that_renews_them() {
    let world = World::new().without_client().start().await;
    let (client, path) = client_with_file(&world).await;
    write(&path, &world.key, "x_security_token_expires = 2020-01-01T00:00:00+00:00\n");
    let error = refusal(&client, "alice").await;
    assert_eq!(error.code().code(), "28000");
    assert!(error.message().contains("expired at 2020-01-01T00:00:00Z"), "{error}");
    assert_eq!(error.hint(), Some("run `saml2aws login --profile default`"));
    assert_eq!(world.rds().connections(), 0);

    write(&path, &world.key, "x_security_token_expires = 2090-01-01T00:00:00+00:00\n");
    drop(client.config("alice").connect(NoTls).await.unwrap());

    fs::remove_file(&path).unwrap();
    let error = refusal(&client, "alice").await;
    assert!(error.message().contains("no AWS credentials were found"), "{error}");
    assert!(error.hint().unwrap().contains("aws sso login"), "{error}");
    world.stop().await;
}

/// Starts a client whose `credential_process` prints this file.
async fn client_with_process(world: &Running, printed: &Path) -> Proxy {
    let config = world.directory.join("aws-config");
    let text = format!("[default]\nregion = us-east-1\ncredential_process = cat {}\n", printed.display());
    fs::write(&config, text).unwrap();
    let mut launch = world.client_launch(&[]);
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SEC"));
    world.start_proxy(launch.env("AWS_CONFIG_FILE", config.to_str().unwrap())).await
}

/// Writes what a `credential_process` prints, and returns the key.
fn print(world: &Running, printed: &Path, lifetime: Duration) -> AccessKey {
    let key = AccessKey::session(lifetime);
    world.identities.add(key.clone());
    let answer = json!({
        "Version": 1, "AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": key.session_token,
        "Expiration": humantime::format_rfc3339_seconds(SystemTime::now() + lifetime).to_string(),
    });
    fs::write(printed, answer.to_string()).unwrap();
    key
}

#[tokio::test]
async fn credentials_that_end_within_a_minute_are_renewed_before_they_sign() {
    let world = World::new().without_client().start().await;
    let printed = world.directory.join("printed");
    let signed_by = |key: &AccessKey| world.rds().tokens().last().unwrap().contains(&key.id);
    let ending = print(&world, &printed, Duration::from_secs(55));
    let client = client_with_process(&world, &printed).await;
    // The process has nothing better yet.
    drop(client.config("alice").connect(NoTls).await.unwrap());
    assert!(signed_by(&ending));

    let renewed = print(&world, &printed, Duration::from_hours(1));
    drop(client.config("alice").connect(NoTls).await.unwrap());
    assert!(signed_by(&renewed), "the old ones have most of a minute left");

    print(&world, &printed, Duration::from_hours(2));
    drop(client.config("alice").connect(NoTls).await.unwrap());
    assert!(signed_by(&renewed), "these have an hour left, so the process does not run again");
    world.stop().await;
}
