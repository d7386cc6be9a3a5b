//! `init`: a first configuration.

use std::fs;
use std::path::Path;

use crate::support::builder::World;
use crate::support::certificates::Authority;
use crate::support::instance::Instance;
use crate::support::proxy::{Finished, Launch};
use crate::support::scratch;
use crate::support::terminal::Terminal;
use crate::support::world::Running;
use crate::tunnel::cluster::Cluster;

/// The launch of `init` with this home.
fn launch(world: &Running, home: &Path, arguments: &[&str]) -> Launch {
    let launch = Launch::new("init", &[&["init"], arguments].concat());
    world.launch(launch, &world.key).env("LOG_LEVEL", "").env("HOME", home.to_str().unwrap())
}

fn expect_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[tokio::test]
async fn a_client_works_with_the_printed_configuration() {
    let world = World::new().with_server_tls().without_client().start().await;
    let home = scratch::new_directory("home");
    let address = format!("localhost:{}", world.server().port());
    let ca = Authority::trusted().path.display().to_string();
    let flags = [
        "--print",
        "--region",
        "us-east-1",
        "--upstream",
        address.as_str(),
        "--root-certificate",
        ca.as_str(),
    ];
    let Finished { code, stdout, stderr } = launch(&world, &home, &flags).run().await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let config = home.join("printed.yaml");
    fs::write(&config, &stdout).unwrap();
    let client =
        Launch::mode("client", "client", &config).with(&["--target", "db-1", "--listen", "127.0.0.1:0"]);
    let client = world.start_proxy(world.launch(client, &world.key)).await;
    let output =
        world.psql_command(&client, "alice").args(["-c", "select current_user"]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "alice", "{output:?}\n{stdout}");
    assert!(!home.join(".config").exists(), "--print writes nothing");
    world.stop().await;
}

#[tokio::test]
async fn flags_write_it_once_and_examine_the_way() {
    let world = World::new().with_server_tls().without_client().start().await;
    let home = scratch::new_directory("home");
    let address = format!("localhost:{}", world.server().port());
    let ca = Authority::trusted().path.display().to_string();
    let flags = ["--region", "us-east-1", "--upstream", address.as_str(), "--root-certificate", ca.as_str()];
    let written = launch(&world, &home, &flags).run().await;
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""), "{written:?}");
    let path = home.join(".config/rds-auth-proxy/config.yaml");
    expect_parts(
        &written.stdout,
        &[path.to_str().unwrap(), "a server of this program", "Next, ", "    rds-auth-proxy client\n"],
    );
    let text = fs::read_to_string(&path).unwrap();
    expect_parts(&text, &["\n# The server beside the databases.\n", "mode: verify-full"]);
    let again = launch(&world, &home, &flags).run().await;
    assert_eq!((again.code, again.stdout.as_str()), (Some(2), ""), "{again:?}");
    expect_parts(&again.stderr, &["there is a configuration already", path.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    world.stop().await;
}

#[tokio::test]
async fn without_a_terminal_the_way_has_to_be_named() {
    let world = World::new().without_server().without_client().start().await;
    let home = scratch::new_directory("home");
    for arguments in [&[][..], &["--print"]] {
        let ended = launch(&world, &home, arguments).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        expect_parts(
            &ended.stderr,
            &["on a terminal, and there is none", "--upstream HOST:PORT", "--direct"],
        );
    }
    let ended = launch(&world, &home, &["--direct", "--upstream", "a:1"]).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let ended = launch(&world, &home, &["--print", "--upstream", "nowhere"]).run().await;
    expect_parts(&ended.stderr, &["--upstream is not usable"]);
    assert!(!home.join(".config").exists());
    world.stop().await;
}

#[tokio::test]
async fn a_terminal_asks_for_what_is_not_clear() {
    let cluster = Cluster::start().await;
    let world = World::new()
        .with_instance("orders-db")
        .with_instance(Instance::new("people-db").in_region("eu-west-1"))
        .without_client()
        .start()
        .await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    let (home, key) = (scratch::new_directory("home"), &world.key);
    let keys = format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", key.id, key.secret);
    let credentials = home.join("credentials");
    fs::write(&credentials, format!("[other]\n{keys}[work]\n{keys}")).unwrap();
    let mut launch = launch(&world, &home, &[])
        .env("AWS_SHARED_CREDENTIALS_FILE", credentials.to_str().unwrap())
        .env("KUBECONFIG", cluster.path().to_str().unwrap());
    launch.environment.retain(|(name, _)| !name.starts_with("AWS_ACCESS") && !name.starts_with("AWS_SE"));
    let mut terminal = Terminal::launch(&launch).await;
    for (question, keys) in [
        ("Which AWS profile?", "\u{1b}[B\r"),
        ("Which region?", "\r"),
        ("How does a client reach the databases?", "\r"),
    ] {
        terminal.expect(question).await;
        terminal.press(keys).await;
    }
    terminal.expect("rds-auth-proxy client").await;
    assert!(terminal.ended().await.success(), "{}", terminal.text());
    expect_parts(&terminal.text(), &["Which AWS profile? work", "Which region? all of them", "ready: pod-1"]);
    let text = fs::read_to_string(home.join(".config/rds-auth-proxy/config.yaml")).unwrap();
    expect_parts(
        &text,
        &[
            "profile: \"work\"",
            "regions: [\"eu-west-1\", \"us-east-1\"]",
            "context: \"here\"",
            "deployment: \"rds-auth-proxy\"",
        ],
    );
    world.stop().await;
}

#[tokio::test]
async fn a_missing_certificate_and_an_unknown_region_are_named() {
    let world = World::new().without_client().start().await;
    let home = scratch::new_directory("home");
    let flags = ["--region", "us-est-1", "--upstream", "proxy.example:8000", "--root-certificate", "no.pem"];
    let Finished { code, stderr, .. } = launch(&world, &home, &flags).run().await;
    assert_eq!(code, Some(2));
    expect_parts(
        &stderr,
        &[
            "warning: --region us-est-1: this version has no certificate of RDS for this region; did you mean us-east-1?",
            "--root-certificate: the file no.pem cannot be read: No such file or directory",
        ],
    );
    assert!(!home.join(".config").exists(), "nothing is written");
    world.stop().await;
}
