//! `token`: an IAM token for scripts.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::schema;
use crate::support::aws_failure::{AwsFailure, Rule};
use crate::support::builder::World;
use crate::support::certificates::Authority;
use crate::support::identity::AccessKey;
use crate::support::instance::{Instance, REGION};
use crate::support::output::Output;
use crate::support::proxy::{Finished, Launch};
use crate::support::roles::DATABASE;
use crate::support::token::{Expected, Service, verify};
use crate::support::world::Running;

/// The launch of `token` with the configuration of the world's client.
fn launch(world: &Running, arguments: &[&str]) -> Launch {
    let launch = Launch::mode("token", "token", &world.directory.join("client.yaml"));
    world.launch(launch.with(arguments), &world.key)
}

async fn token(world: &Running, arguments: &[&str]) -> Finished {
    launch(world, arguments).run().await
}

async fn world() -> Running {
    World::new()
        .with_instance("orders-db")
        .without_server()
        .without_client()
        .with_session_credentials()
        .start()
        .await
}

/// Searches the log, which is at its most verbose level, for every part of the token.
fn expect_only_on_stdout(world: &Running, ended: &Finished, token: &str) {
    let mut secrets = crate::support::output::Secrets::default();
    secrets.add_token(token);
    secrets.add("secret access key", &world.key.secret);
    let log = Output::collect("token's log".into(), std::io::Cursor::new(ended.stderr.clone().into_bytes()));
    log.wait_for_end(Duration::from_secs(5));
    assert!(ended.stderr.contains("TRACE") || ended.stderr.contains("DEBUG"), "{}", ended.stderr);
    assert_eq!(secrets.leaks(&log), []);
}

fn verified(world: &Running, token: &str, user: &str) {
    let endpoint = world.rds().endpoint();
    let (service, now) = (Service::Rds, SystemTime::now());
    let expected = Expected { service, endpoint: &endpoint, region: REGION, user, now };
    verify(token, &expected, &world.identities).unwrap();
}

#[tokio::test]
async fn a_script_gets_a_token_and_nothing_else() {
    let world = world().await;
    let ended = token(&world, &["--target", "Orders-DB", "--user", "alice"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let printed = ended.stdout.strip_suffix('\n').unwrap();
    verified(&world, printed, "alice");
    expect_only_on_stdout(&world, &ended, printed);
    let login = Command::new("psql")
        .args(["-X", "-A", "-t", "-w", "-h", "localhost", "-U", "alice", "-d", DATABASE])
        .args(["-p", &world.rds().port.to_string(), "-c", "select current_user"])
        .env("PGPASSWORD", printed)
        .env("PGSSLMODE", "verify-full")
        .env("PGSSLROOTCERT", &Authority::trusted().path)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&login.stdout).trim(), "alice", "{login:?}");
    assert_eq!(
        world.aws.requests("GetCallerIdentity"),
        0,
        "the script waits for no call that it does not need"
    );
    let strange = token(&world, &["--target", &world.rds().endpoint(), "--user", "a b+c%d&e"]).await;
    verified(&world, strange.stdout.trim_end(), "a b+c%d&e");
    world.stop().await;
}

#[tokio::test]
async fn the_json_has_the_end_of_the_token() {
    let world = world().await;
    let arguments = ["--target", "orders-db", "--user", "alice", "--output", "json"];
    let end = |ended: &Finished| {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        schema::check("token", &document);
        verified(&world, document["token"].as_str().unwrap(), "alice");
        expect_only_on_stdout(&world, ended, document["token"].as_str().unwrap());
        humantime::parse_rfc3339(document["expires"].as_str().unwrap()).unwrap()
    };
    let within = |end: SystemTime, minutes: u64| {
        let left = end.duration_since(SystemTime::now()).unwrap();
        assert!(left <= Duration::from_mins(minutes) && left > Duration::from_mins(minutes - 1), "{left:?}");
    };
    within(end(&token(&world, &arguments).await), 15);

    // Credentials that end before the 15 minutes are over end the token too.
    let key = AccessKey::session(Duration::from_mins(5));
    world.identities.add(key.clone());
    let expiration = humantime::format_rfc3339_seconds(key.expires.unwrap()).to_string();
    let keys = json!({
        "Version": 1, "AccessKeyId": key.id, "SecretAccessKey": key.secret, "SessionToken": key.session_token,
        "Expiration": expiration,
    });
    let (file, config) = (world.directory.join("keys.json"), world.directory.join("aws-config"));
    std::fs::write(&file, keys.to_string()).unwrap();
    std::fs::write(&config, format!("[default]\ncredential_process = cat {}\n", file.display())).unwrap();
    let mut launch = launch(&world, &arguments).env("AWS_CONFIG_FILE", config.to_str().unwrap());
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SE"));
    let found = end(&launch.run().await);
    assert_eq!(humantime::format_rfc3339_seconds(found).to_string(), expiration);
    world.stop().await;
}

#[tokio::test]
async fn a_target_without_a_token_is_a_usage_error_with_the_reason() {
    let world = World::new()
        .with_instance("orders-db")
        .with_instance(Instance::new("old-db").without_iam())
        .with_instance(Instance::new("people-db").engine("mysql"))
        .with_instance(Instance::new("secret-db").tag("hidden", "yes"))
        .with_client("proxy: {target_acl: {blocked_rds_tags: [{name: hidden, value: 'yes'}]}}")
        .with_target("plain", "{host: 'postgres.example:5432'}")
        .without_server()
        .without_client()
        .start()
        .await;
    for (target, parts) in [
        ("order-db", &["no target is called \"order-db\"; did you mean \"orders-db\"?", "plain"][..]),
        ("old-db", &["old-db", "us-east-1: IAM database authentication is off"]),
        ("people-db", &["people-db", "its engine is mysql, not PostgreSQL"]),
        ("secret-db", &["secret-db", "its RDS tag hidden=yes is in blocked_rds_tags"]),
        ("plain", &["the target \"plain\" has no IAM authentication", "postgres.example:5432"]),
    ] {
        let ended = token(&world, &["--target", target, "--user", "alice"]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{target}: {ended:?}");
        assert!(parts.iter().all(|part| ended.stderr.contains(part)), "{parts:?} {}", ended.stderr);
    }
    for arguments in
        [&["--target", "orders-db"][..], &["--user", "alice"], &["--target", "orders-db", "--user", ""]]
    {
        let ended = token(&world, arguments).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    }
    world.aws.fail(Rule::every(AwsFailure::AccessDenied).of("DescribeDBInstances"));
    let ended = token(&world, &["--target", "orders-db", "--user", "alice"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("rds:DescribeDBInstances"), "{}", ended.stderr);
    world.stop().await;
}
