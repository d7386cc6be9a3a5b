//! A client on a laptop: where it listens, what it logs at its start, and what it does with a changed configuration.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::support::builder::World;
use crate::support::instance::{Cluster, Instance};
use crate::support::ports::free_port;
use crate::support::proxy::{Launch, Proxy};
use crate::support::scratch;
#[cfg(target_os = "linux")]
use crate::support::terminal::{Terminal, line, script};

const UNREACHABLE: &str = "the upstream proxy cannot be reached; connections fail until it can";

const RESTART: &str = "this key changed, which needs a restart";

async fn logs_in(client: &Proxy) {
    drop(client.config("alice").connect(NoTls).await.unwrap());
}

/// A client of a server that does not exist, with this configuration. It needs no AWS.
fn lonely(proxy: &str) -> (Launch, std::path::PathBuf) {
    let path = scratch::new_directory("lonely").join("client.yaml");
    let text = format!(
        "proxy: {proxy}\nrds: {{enabled: false}}\nupstream_proxies: {{default: {{host: '127.0.0.1:1'}}}}\n\
         targets: {{t: {{host: 'h:1'}}}}\n"
    );
    fs::write(&path, text).unwrap();
    (Launch::mode("client", "client", &path).with(&["--target", "t"]), path)
}

#[tokio::test]
async fn a_client_warns_of_an_upstream_proxy_that_cannot_be_reached() {
    let world = World::new().start().await;
    logs_in(world.client()).await;
    assert!(!world.client().log().contains(UNREACHABLE), "{}", world.client().log());
    world.stop().await;

    let (launch, _) = lonely("{listen_addr: '127.0.0.1:0'}");
    let client = launch.start().await.unwrap();
    client.wait_for_log(UNREACHABLE).await;
    let address = "upstream=\"the upstream proxy default at 127.0.0.1:1\"";
    assert!(client.log().contains(address), "{}", client.log());
}

#[tokio::test]
async fn flags_decide_where_a_client_listens() {
    let world = World::new().with_client("targets: {db-1: {local_port: 1}}").without_client().start().await;
    let port = free_port();
    let client = world.start_client(&["--port", &port.to_string()]).await;
    assert_eq!(client.address, format!("127.0.0.1:{port}"));
    let ready = format!("Ready: connections to 127.0.0.1:{port} go to db-1 through");
    let printed = |text: &str| text.contains(&ready).then_some(());
    assert!(client.stdout.wait_for(Duration::from_secs(30), printed).await.is_some());
    logs_in(&client).await;
    let client = world.start_client(&["--listen", "127.0.0.2:0"]).await;
    assert!(client.address.starts_with("127.0.0.2:") && client.port() != 1, "{}", client.address);

    // The address of the configuration is that of a server, and does not count.
    let (launch, _) = lonely("{listen_addr: '0.0.0.0:8000'}");
    let ended = launch.clone().run().await;
    assert!(ended.stderr.contains("proxy.listen_addr: `0.0.0.0:8000` is not a loopback"), "{}", ended.stderr);
    let client = launch.clone().with(&["--listen", "127.0.0.1:0"]).start().await.unwrap();
    assert!(client.port() != 8000);
    let ended = launch.clone().with(&["--listen", ":0"]).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("--listen: 0.0.0.0:0 is not a loopback address"), "{}", ended.stderr);
    // Kubernetes sets this variable where a Service is called rds-auth-proxy (its documentation, "Service").
    let service =
        launch.env("RDS_AUTH_PROXY_PORT", "tcp://10.0.0.1:8000").env("RDS_AUTH_PROXY_LISTEN", "127.0.0.1:0");
    assert!(service.start().await.is_ok(), "the variable of a Service is taken for a flag");
    world.stop().await;
}

/// Go program: an entry of `targets` needs its host, and replaces the discovered database.
#[tokio::test]
async fn a_discovered_target_gets_a_port_without_repeating_its_host() {
    let port = free_port();
    let yaml =
        format!("targets: {{db-1: {{local_port: {port}, database: orders}}, gone: {{local_port: 1}}}}");
    let blocked = "proxy: {target_acl: {blocked_rds_tags: [{name: team, value: a}]}}";
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-2").tag("team", "a"))
        .with_client(&yaml)
        // A server accepts the entries too, and they allow nothing.
        .with_server("targets: {db-2: {local_port: 2}}")
        .with_server(blocked)
        .target("db-1")
        .without_client()
        .start()
        .await;
    let client = world.start_client(&[]).await;
    assert_eq!(client.port(), port);
    let command = format!("psql -h 127.0.0.1 -p {port} -d orders -U YOUR_DATABASE_USER");
    let printed = |text: &str| text.contains(&command).then_some(());
    assert!(
        client.stdout.wait_for(Duration::from_secs(30), printed).await.is_some(),
        "{}",
        client.stdout.text()
    );
    logs_in(&client).await;
    let warning =
        "RDS lists no such database here, and this key has no host; it has no effect key=\"targets.gone\"";
    assert!(client.log().contains(warning), "{}", client.log());

    let other = world.start_client(&["--target", "db-2"]).await;
    let refused = other.config("alice").connect(NoTls).await.err().unwrap();
    let text = format!("{:?}", refused.as_db_error());
    assert!(text.contains("its RDS tag team=a is in blocked_rds_tags"), "{text}");
    world.stop().await;
}

#[tokio::test]
async fn the_list_of_targets_is_a_count_with_names_at_debug_only() {
    let start = async |level: &str| {
        let world = World::new().with_instance("orders-db").with_env("LOG_LEVEL", level).without_client();
        let mut world = world.start().await;
        world.server().wait_for_log("the list of targets changed").await;
        world.add_instance("people-db").await;
        world
    };
    let world = start("info").await;
    let log = world.server().log();
    let line = log.lines().find(|line| line.contains("the list of targets changed")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (&line["targets"], &line["added"], &line["removed"]),
        (&1.into(), &1.into(), &0.into()),
        "{line}"
    );
    assert!(!log.contains("orders-db"), "{log}");
    world.stop().await;

    let world = start("debug").await;
    world.server().wait_for_log(r#""message":"a target was added","name":"orders-db""#).await;
    // An unknown host lists again.
    logs_in(&world.start_client(&["--target", "people-db"]).await).await;
    world.server().wait_for_log(r#""message":"a target was added","name":"people-db""#).await;
    world.stop().await;
}

#[tokio::test]
async fn a_running_client_follows_its_configuration_as_far_as_it_can() {
    let (launch, path) = lonely("{listen_addr: '127.0.0.1:0'}");
    let launch = launch.env("LOG_LEVEL", "");
    let client = launch.start().await.unwrap();
    let text = fs::read_to_string(&path).unwrap();

    fs::write(&path, text.replace("127.0.0.1:1", "127.0.0.1:2").replace("h:1", "h:2")).unwrap();
    client.wait_for_log("the configuration was loaded again").await;
    for key in ["upstream_proxies", "targets"] {
        assert!(client.log().contains(&format!("{RESTART} key=\"{key}\"")), "{}", client.log());
    }
    let refusal = crate::support::world::refusal(&client, "alice").await;
    assert!(refusal.message().contains("at 127.0.0.1:1 cannot be reached"), "{refusal}");

    fs::write(&path, "proxy: {listen_adr: x}").unwrap();
    client.signal(Signal::HUP);
    client.wait_for_log("the configuration cannot be used; the previous one stays in use").await;

    // The level and the limits apply.
    fs::write(&path, text.replace("proxy: {", "proxy: {log_level: debug, max_connections: 1, ")).unwrap();
    client.signal(Signal::HUP);
    let loaded = |log: &str| (log.matches("the configuration was loaded again").count() == 2).then_some(());
    assert!(client.stderr.wait_for(Duration::from_secs(30), loaded).await.is_some(), "{}", client.log());
    // A connection without a startup packet has a line at debug only.
    drop(tokio::net::TcpStream::connect(&client.address).await.unwrap());
    client.wait_for_log("DEBUG").await;
}

/// A shell ends its jobs with SIGHUP when its terminal closes.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_client_ends_with_its_terminal() {
    let (launch, _) = lonely("{listen_addr: '127.0.0.1:0'}");
    let pid = scratch::new_directory("terminal").join("pid");
    let shell = format!("echo $$ > '{}'; exec {}", pid.display(), line(&launch));
    let mut terminal = Terminal::start(script(&shell)).await;
    terminal.expect("Ready:").await;
    let pid: i32 = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    let ended = terminal.ended().await;
    assert_eq!(ended.code(), Some(128 + 1), "{ended}: {}", terminal.text());
}

/// The Go program reads the same keys in both modes, so the wrong file is an easy mistake.
#[tokio::test]
async fn the_configuration_of_a_server_is_named_as_such() {
    let world = World::new()
        .with_server("proxy: {target_acl: {allowed_rds_tags: [{name: team, value: a}]}}")
        .without_server()
        .without_client()
        .start()
        .await;
    let path = world.directory.join("server.yaml");
    let launch = Launch::mode("client", "client", &path).with(&["--target", "db-1"]);
    let ended = world.launch(launch, &world.key).run().await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for part in ["this is the configuration of a server", "--configfile", "proxy.target_acl.allowed_rds_tags"]
    {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

/// A database that is in no list, with the reason in the words of RDS. The Go program lists neither, without a word.
#[tokio::test]
async fn a_database_that_exists_and_is_no_target_has_its_reason() {
    let world = World::new()
        .with_instance("orders-db")
        .with_instance(Instance::new("no-iam").without_iam())
        .with_instance(Instance::new("creating").without_endpoint())
        .with_instance(Instance::new("old-shop").engine("mysql"))
        .with_cluster(Cluster::new("plain").without_iam())
        .with_instance(Instance::new("tagged").tag("team", "a"))
        .with_client("proxy: {target_acl: {blocked_rds_tags: [{name: team, value: a}]}}")
        .without_server()
        .without_client()
        .start()
        .await;
    let refusal = async |name: &str| {
        let ended = world.client_launch(&["--target", name]).run().await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let text = ended.stderr.lines().skip_while(|line| !line.starts_with("error: "));
        text.collect::<Vec<_>>().join("\n")
    };
    for (name, reason) in [
        ("no-iam", "IAM database authentication is off; modify the instance or its cluster to turn it on"),
        ("No-IAM", "IAM database authentication is off; modify the instance or its cluster to turn it on"),
        (
            "plain:writer",
            "IAM database authentication is off; modify the instance or its cluster to turn it on",
        ),
        ("creating", "it has no endpoint yet"),
        ("old-shop", "its engine is mysql, not PostgreSQL"),
    ] {
        let expected =
            format!("error: the target \"{name}\" cannot be used; RDS has it in us-east-1: {reason}");
        assert_eq!(refusal(name).await, expected);
    }
    let tag = "its RDS tag team=a is in blocked_rds_tags";
    let text = refusal("tagged").await;
    assert!(text.starts_with("error: the target \"tagged\" is not allowed") && text.contains(tag), "{text}");
    let text = refusal("nowhere").await;
    assert!(text.starts_with("error: no target is called \"nowhere\""), "{text}");
    let marked = text.lines().find(|line| line.trim_start().starts_with("tagged ")).unwrap();
    assert!(marked.ends_with(&format!("in us-east-1 (not allowed: {tag})")), "{text}");
    assert!(!text.contains("no-iam"), "{text}");
}

/// AWS CLI: `The config profile (typo) could not be found`.
#[tokio::test]
async fn a_mistyped_profile_gets_the_list_of_profiles() {
    let world = World::new().without_server().without_client().start().await;
    let aws = world.directory.join("aws");
    fs::create_dir_all(&aws).unwrap();
    let config =
        "[default]\nregion = us-east-1\n[profile work]\nsso_session = s\n[sso-session s]\nsso_region = x\n";
    fs::write(aws.join("config"), config).unwrap();
    fs::write(
        aws.join("credentials"),
        "[saml]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = x\n",
    )
    .unwrap();
    let mut launch = world
        .client_launch(&[])
        .env("AWS_CONFIG_FILE", aws.join("config").to_str().unwrap())
        .env("AWS_SHARED_CREDENTIALS_FILE", aws.join("credentials").to_str().unwrap())
        .env("AWS_PROFILE", "wrok");
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    launch.environment.retain(|(name, _)| !keys.contains(&name.as_str()));
    let ended = launch.run().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["the AWS profile \"wrok\" is neither in", "use one of these: default, saml, work"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

/// docs/quickstart.md, "In your tool", with libpq: a URL, tools that require TLS, and channel binding.
#[tokio::test]
async fn the_settings_of_tools_work_as_documented() {
    let world = World::new().with_client("proxy: {ssl: {enabled: true}}").without_client().start().await;
    let (tls, plain) = (world.start_client(&[]).await, {
        let path = world.directory.join("plain.yaml");
        let text = fs::read_to_string(world.directory.join("client.yaml")).unwrap();
        fs::write(&path, text.replace("enabled: true", "enabled: false")).unwrap();
        let launch = Launch::mode("client", "client", &path).with(&["--target", "db-1"]);
        world.start_proxy(world.launch(launch, &world.key)).await
    });
    let psql = async |client: &Proxy, settings: &str| {
        let url = format!("postgresql://alice@127.0.0.1:{}/app{settings}", client.port());
        let mut command = Command::new("psql");
        command.args(["-X", "-A", "-t", "-w", "-c", "select current_user", "-d", &url]);
        let output = command.env("HOME", &world.directory).output().await.unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned()
    };
    assert_eq!(psql(&plain, "").await, "alice");
    assert_eq!(psql(&plain, "?sslmode=disable").await, "alice");
    assert_eq!(psql(&tls, "?sslmode=require").await, "alice");
    let refused = psql(&plain, "?sslmode=require").await;
    assert!(refused.contains("server does not support SSL, but SSL was required"), "{refused}");
    for client in [&plain, &tls] {
        let refused = psql(client, "?channel_binding=require").await;
        assert!(refused.contains("channel binding required"), "{refused}");
        assert_eq!(psql(client, "?channel_binding=disable").await, "alice");
    }
    // Some tools insist on a password; it is never requested.
    assert_eq!(psql(&plain, "?password=anything").await, "alice");
    world.stop().await;
}
