//! Commands without a configuration file: identity and region come from AWS.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::builder::World;
use crate::support::instance::Instance;
use crate::support::proxy::Launch;
use crate::support::world::{Running, refusal};

/// The line of the log.
const DEFAULTS: &str = "no configuration file was found; the defaults apply";

async fn world() -> Running {
    World::new()
        .with_instance(Instance::new("orders-db").tag("rds-auth-proxy:local-port", "54001"))
        .without_server()
        .without_client()
        .start()
        .await
}

/// A command line in an empty home and working directory.
fn launch(world: &Running, line: &str) -> Launch {
    let words: Vec<_> = line.split(' ').collect();
    world.launch(Launch::new(words[0], &words), &world.key)
}

#[tokio::test]
async fn a_direct_client_needs_no_file() {
    let world = world().await;
    for flags in ["--target orders-db", "--all"] {
        let line = format!("client --direct {flags} --listen 127.0.0.1:0");
        let client = world.start_proxy(launch(&world, &line)).await;
        let ready = |text: &str| text.contains("psql -h 127.0.0.1 -p").then_some(());
        client.stdout.wait_for(Duration::from_secs(30), ready).await.expect("nothing is printed");
        client.wait_for_log(DEFAULTS).await;
        assert_eq!(client.log().matches(DEFAULTS).count(), 1, "{}", client.log());
        assert!(client.log().contains("INFO"), "{}", client.log());
        client.signal(Signal::HUP);
        if flags == "--all" {
            continue;
        }
        // The embedded roots of RDS do not know the CA of the test.
        let refusal = refusal(&client, "alice").await;
        assert_eq!(refusal.code().code(), "08001", "{refusal:?}");
        assert!(refusal.message().contains("is not trusted"), "{refusal:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn targets_export_and_token_need_no_file() {
    let world = world().await;
    let endpoint = world.rds().endpoint();
    let printed = async |line: &str| {
        let ended = launch(&world, line).env("LOG_LEVEL", "").run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{line}: {ended:?}");
        let ended = launch(&world, line).env("LOG_LEVEL", "info").run().await;
        assert_eq!(ended.stderr.matches(DEFAULTS).count(), 1, "{line}: {ended:?}");
        ended.stdout
    };
    let list: Value = serde_json::from_str(&printed("targets --output json").await).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["local_port"]), (&"orders-db".into(), &54001.into()));
    let service = printed("export --format service --target orders-db").await;
    assert!(service.contains("port=54001"), "{service}");
    let token = printed("token --target orders-db --user alice").await;
    assert!(token.starts_with(&format!("{endpoint}/?Action=connect")), "{token}");
    world.stop().await;
}

/// A file that is named must exist, and a region must come from somewhere.
#[tokio::test]
async fn the_defaults_replace_no_named_file_and_no_region() {
    let world = world().await;
    for line in
        ["client --direct --target orders-db", "targets", "export --format url", "token --target a --user b"]
    {
        let ended = launch(&world, line).with(&["--configfile", "nowhere.yaml"]).run().await;
        assert_eq!(ended.code, Some(2), "{line}: {ended:?}");
        assert!(
            ended.stderr.contains("the configuration file nowhere.yaml does not exist; correct --configfile"),
            "{line}: {}",
            ended.stderr
        );
        let mut without_region = launch(&world, line);
        without_region.environment.retain(|(name, _)| name != "AWS_REGION");
        let ended = without_region.run().await;
        assert_eq!(ended.code, Some(2), "{line}: {ended:?}");
        assert!(ended.stderr.contains("AWS_REGION"), "{line}: {}", ended.stderr);
    }
    world.stop().await;
}

/// The working directory is often that of another program.
#[tokio::test]
async fn a_file_of_another_format_in_the_working_directory_is_not_read() {
    let world = world().await;
    let ended =
        launch(&world, "targets").env("LOG_LEVEL", "").in_shell("echo '[a]' > config.toml").run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let warning = "this file of the working directory is neither YAML nor JSON by its name, and is not read";
    assert!(ended.stderr.contains(warning) && ended.stderr.contains("config.toml"), "{}", ended.stderr);
    let own = "mkdir -p .config/rds-auth-proxy; echo '[a]' > .config/rds-auth-proxy/config.toml";
    let ended = launch(&world, "targets").in_shell(own).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("is TOML by its name"), "{}", ended.stderr);
    world.stop().await;
}

#[tokio::test]
async fn a_client_without_a_file_reads_what_to_do_next() {
    let world = world().await;
    let ended = launch(&world, "client --target orders-db").run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for part in [
        "no configuration file was found; looked for ",
        "/.config/rds-auth-proxy/config.yaml, ",
        ", ./config.yaml, ",
        "write one of them, for example `",
        "with --direct, which needs no file",
    ] {
        assert!(ended.stderr.contains(part), "`{part}`: {}", ended.stderr);
    }
    let example = ended.stderr.split('`').nth(1).unwrap();
    let path = world.directory.join("example.yaml");
    std::fs::write(&path, example).unwrap();
    let line = format!("client --target orders-db --listen 127.0.0.1:0 --configfile {}", path.display());
    let client = world.start_proxy(launch(&world, &line)).await;
    assert!(client.port() > 0);
    let ended = launch(&world, "server").run().await;
    assert!(!ended.stderr.contains("--direct"), "{}", ended.stderr);
    world.stop().await;
}
