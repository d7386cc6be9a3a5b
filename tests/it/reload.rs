//! Changes of configuration, certificates and log level while a proxy runs.

use std::fs;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;

use crate::operations::{ADMIN, get, lines, metric, until_counted};
use crate::support::builder::World;
use crate::support::certificates::{Authority, Certificate, Validity};
use crate::support::instance::Instance;
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::Raw;
use crate::support::scratch;
use crate::support::world::Running;

/// A little more than the interval at which a proxy checks its files.
const INTERVAL: Duration = Duration::from_millis(1200);

const TAKEN_AWAY: &str =
    "target_acl was taken away; every RDS database that is discovered may now be reached";

const FILES: &str = "the limit of open files is too low for max_connections";

#[tokio::test]
async fn a_changed_configuration_applies_to_new_connections() {
    let world = World::new().with_instance(Instance::new("db-1").tag("team", "a")).start().await;
    world.psql("alice", "select 1").await.unwrap();
    let running = world.connect("alice").await.unwrap();
    let server = world.server();
    let path = world.directory.join("server.yaml");
    let good = fs::read_to_string(&path).unwrap();
    let loaded = format!(r#""message":"the configuration was loaded","file":"{}""#, path.display());
    assert!(server.log().contains(&loaded), "{}", server.log());

    let blocked = format!("{good}\n# changed\n")
        .replace("proxy:", "proxy:\n  target_acl: {blocked_rds_tags: [{name: team, value: a}]}");
    fs::write(&path, blocked).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("the configuration was loaded again").await;
    let refused = world.psql("alice", "select 1").await.unwrap_err();
    assert!(refused.contains("its RDS tag team=a is in blocked_rds_tags"), "{refused}");
    running.simple_query("select 1").await.expect("a running session ends");

    for (times, empty) in
        ["", "# all of it commented out\n", "--- # all\nproxy:\n  # target_acl:\n"].iter().enumerate()
    {
        fs::write(&path, empty).unwrap();
        until_logged(server, "the configuration is empty; the previous one stays in use", times + 1).await;
        let refused = world.psql("alice", "select 1").await.unwrap_err();
        assert!(
            refused.contains("is in blocked_rds_tags"),
            "an empty file removes the access list: {refused}"
        );
    }

    fs::write(&path, "proxy: {listen_adr: x}").unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("the configuration cannot be used").await;
    // The error suggests the right name.
    server.wait_for_log("listen_addr").await;

    assert!(!server.log().contains(TAKEN_AWAY), "{}", server.log());
    fs::write(&path, good).unwrap();
    for _ in 0..100 {
        if world.psql("alice", "select 1").await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.psql("alice", "select 1").await.expect("a changed file has no effect without a signal");
    server.wait_for_log(TAKEN_AWAY).await;
    drop(running);
    world.stop().await;
}

#[tokio::test]
async fn metrics_report_whether_the_last_change_was_loaded() {
    const SUCCESSFUL: &str = "rds_auth_proxy_config_last_reload_successful";
    const TIME: &str = "rds_auth_proxy_config_last_reload_success_timestamp_seconds ";
    let world = World::new().with_server(ADMIN).with_client(ADMIN).start().await;
    for (proxy, file) in [(world.server(), "server.yaml"), (world.client(), "client.yaml")] {
        let text = until_counted(proxy, &[&format!("{SUCCESSFUL} 1")]).await;
        let mut loaded = metric(&text, TIME);
        assert!(loaded > 1_700_000_000, "{text}");
        let path = world.directory.join(file);
        let good = fs::read_to_string(&path).unwrap();
        for broken in ["proxy: {listen_adr: x}", "# empty\n"] {
            fs::write(&path, broken).unwrap();
            let text = until_counted(proxy, &[&format!("{SUCCESSFUL} 0")]).await;
            assert_eq!(metric(&text, TIME), loaded, "{text}");
            fs::write(&path, &good).unwrap();
            let text = until_counted(proxy, &[&format!("{SUCCESSFUL} 1")]).await;
            assert!(metric(&text, TIME) > loaded, "{text}");
            loaded = metric(&text, TIME);
        }
    }
    world.stop().await;
}

/// Nix and `OSTree` give every file the same modification time and replace a link.
#[tokio::test]
async fn a_link_that_moves_to_a_configuration_of_equal_size_and_time_counts() {
    let world = World::new()
        .with_instance(Instance::new("db-1").tag("team", "a"))
        .with_server("proxy: {target_acl: {blocked_rds_tags: [{name: team, value: b}]}}")
        .without_server()
        .without_client()
        .start()
        .await;
    let (link, next) = (world.directory.join("server.yaml"), world.directory.join("next"));
    let open = fs::read_to_string(&link).unwrap();
    assert!(open.contains("value: b"), "{open}");
    for (name, text) in [("1.yaml", &open), ("2.yaml", &open.replace("value: b", "value: a"))] {
        let file = world.directory.join(name);
        fs::write(&file, text).unwrap();
        fs::File::options().write(true).open(file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let point_to = |name: &str| {
        std::os::unix::fs::symlink(name, &next).unwrap();
        fs::rename(&next, &link).unwrap();
    };
    point_to("1.yaml");
    let server = world.start_proxy(world.server_launch()).await;
    let host = world.rds().endpoint();
    let parameters = [("user", "by_trust"), ("database", "app"), ("host", &*host)];
    Raw::log_in(server.port(), &parameters).await.unwrap();

    point_to("2.yaml");
    server.wait_for_log("the configuration was loaded again").await;
    let refused = Raw::log_in(server.port(), &parameters).await.map(drop).unwrap_err();
    refused.expect("28000", &["its RDS tag team=a is in blocked_rds_tags"]);
    world.stop().await;
}

#[tokio::test]
async fn a_server_without_target_acl_logs_it_at_its_start() {
    const OPEN: &str = "there is no target_acl; every RDS database that is discovered may be reached";
    for (yaml, open) in [
        ("{}", true),
        ("rds: {enabled: false}", false),
        ("proxy: {target_acl: {allowed_rds_tags: [{name: team, value: a}]}}", false),
    ] {
        let world = World::new().with_server(yaml).without_client().start().await;
        assert_eq!(world.server().log().contains(OPEN), open, "{yaml}: {}", world.server().log());
        world.stop().await;
    }
}

#[tokio::test]
async fn a_changed_limit_applies_to_the_next_connection() {
    let world = World::new().start().await;
    let running = world.connect("alice").await.unwrap();
    change(&world, |yaml| yaml.replace("proxy:", "proxy:\n  max_connections: 1")).await;
    let error = world.refusal("alice").await;
    assert_eq!(error.code(), &SqlState::TOO_MANY_CONNECTIONS);
    assert!(error.message().contains("max_connections of this proxy is 1"), "{error}");
    running.simple_query("select 1").await.expect("a running session ends");
    assert!(!world.server().log().contains(FILES), "{}", world.server().log());

    // More than any system allows.
    change(&world, |yaml| yaml.replace("max_connections: 1", "max_connections: 10000000000")).await;
    world.psql("alice", "select 1").await.unwrap();
    assert!(world.server().log().contains(FILES), "{}", world.server().log());
    drop(running);
    world.stop().await;
}

#[tokio::test]
async fn a_target_can_be_added_and_removed() {
    let world = World::new().without_client().start().await;
    let host = format!("localhost:{}", world.postgres.port);
    let login = async || {
        let parameters = [("user", "by_trust"), ("database", "app"), ("host", &host)];
        Raw::log_in(world.server().port(), &parameters).await.map(drop)
    };
    let unknown = format!("the target \"{host}\" is not known");
    let refused = login().await.unwrap_err();
    assert!(refused.message().contains(&unknown), "{}", refused.message());

    let target = format!("targets: {{added: {{host: '{host}', ssl: {{mode: disable}}}}}}\n");
    change(&world, |yaml| format!("{yaml}{target}")).await;
    login().await.unwrap();

    change(&world, |yaml| yaml.replace(&target, "")).await;
    let refused = login().await.unwrap_err();
    assert!(refused.message().contains(&unknown), "{}", refused.message());
    world.stop().await;
}

#[tokio::test]
async fn keys_that_need_a_restart_are_logged_and_ignored() {
    let world = World::new().start().await;
    let server = world.server();
    let named = || lines(server, "this key changed, which needs a restart");
    change(&world, |yaml| yaml.replace("proxy:", "proxy:\n  log_level: info")).await;
    assert!(named().is_empty(), "{}", server.log());

    let listen = format!("listen_addr: 127.0.0.1:{}", free_port());
    change(&world, |yaml| {
        assert!(yaml.contains("listen_addr: 127.0.0.1:0"), "{yaml}");
        yaml.replace("listen_addr: 127.0.0.1:0", &format!("{listen}\n  drain_timeout: 31s"))
    })
    .await;
    let keys: Vec<_> = named().iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, ["proxy.listen_addr", "proxy.drain_timeout"]);
    world.psql("alice", "select 1").await.expect("the server no longer listens at its address");
    world.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_applies_to_the_next_application_and_a_broken_one_does_not() {
    let files = scratch::new_directory("renewed");
    let renew = |authority: &Authority| {
        let certificate = authority.issue(&["localhost"], Validity::Now);
        fs::write(files.join("key.pem"), certificate.key_pem).unwrap();
        fs::write(files.join("certificate.pem"), certificate.chain_pem).unwrap();
    };
    renew(Authority::trusted());
    let directory = files.display();
    let yaml = format!(
        "proxy: {{ssl: {{enabled: true, certificate: {directory}/certificate.pem, private_key: {directory}/key.pem}}}}"
    );
    let world = World::new().with_client(&yaml).start().await;
    let trusts = async |authority: &Authority| {
        let mut psql = world.psql_command(world.client(), "alice");
        psql.env("PGSSLMODE", "verify-ca").env("PGSSLROOTCERT", &authority.path);
        psql.args(["-c", "select 1"]).output().await.unwrap().status.success()
    };
    assert!(trusts(Authority::trusted()).await);
    let running = world.connect("alice").await.unwrap();

    renew(Authority::foreign());
    tokio::time::sleep(INTERVAL).await;
    assert!(trusts(Authority::foreign()).await, "{}", world.client().log());
    assert!(!trusts(Authority::trusted()).await);

    fs::write(files.join("certificate.pem"), "half a certifica").unwrap();
    tokio::time::sleep(INTERVAL).await;
    assert!(trusts(Authority::foreign()).await, "the previous certificate does not stay");
    world.client().wait_for_log("certificate files changed but cannot be used").await;
    running.simple_query("select 1").await.expect("a running session ends");
    drop(running);
    world.stop().await;
}

#[tokio::test]
async fn the_log_level_can_change_while_it_runs() {
    let world = World::new().with_env("LOG_LEVEL", "").with_server(ADMIN).without_client().start().await;
    let server = world.server();
    let connect_and_close =
        || async { drop(TcpStream::connect(("127.0.0.1", server.port())).await.unwrap()) };
    connect_and_close().await;
    let gone =
        "rds_auth_proxy_refused_total{fault=\"application\",reason=\"application_gone\",target=\"other\"} 1";
    until_counted(server, &[gone]).await;
    change(&world, |yaml| yaml.replace("proxy:", "proxy:\n  log_level: debug")).await;
    connect_and_close().await;
    server.wait_for_log("hung up without a startup packet").await;
    assert_eq!(
        lines(server, "hung up without a startup packet").len(),
        1,
        "the first connection was logged at level debug too"
    );
    world.stop().await;
}

#[tokio::test]
async fn metrics_report_the_expiry_of_each_certificate_in_use() {
    let (first, second) = (certificate(), certificate());
    let ssl = |of: &Certificate| {
        format!(
            "ssl: {{client_certificate: {}, client_private_key: {}}}",
            of.path.display(),
            of.key_path.display()
        )
    };
    let yaml = format!("proxy: {{admin_addr: '127.0.0.1:0', {}}}", ssl(&first));
    let world = World::new().with_server(&yaml).without_client().start().await;
    let line = |of: &Certificate| {
        format!("rds_auth_proxy_certificate_expiry_timestamp_seconds{{file=\"{}\"}} ", of.path.display())
    };
    let (_, text) = get(world.server(), "/metrics").await;
    assert!(metric(&text, &line(&first)) > 1_000_000_000, "{text}");

    let (old, new) = (first.path.display().to_string(), second.path.display().to_string());
    let (old_key, new_key) = (first.key_path.display().to_string(), second.key_path.display().to_string());
    change(&world, |yaml| yaml.replace(&old_key, &new_key).replace(&old, &new)).await;
    let (_, text) = get(world.server(), "/metrics").await;
    assert!(metric(&text, &line(&second)) > 1_000_000_000, "{text}");
    assert!(
        text.contains(&format!("{}NaN", line(&first))),
        "an unused certificate still has an expiry: {text}"
    );
    world.stop().await;
}

fn certificate() -> Certificate {
    Authority::trusted().issue(&["client"], Validity::Now)
}

/// Edits the server's configuration and waits until the server has loaded it.
async fn change(world: &Running, edit: impl FnOnce(String) -> String) {
    const LOADED: &str = "the configuration was loaded again";
    let path = world.directory.join("server.yaml");
    let before = lines(world.server(), LOADED).len();
    let edited = edit(fs::read_to_string(&path).unwrap());
    fs::write(&path, edited).unwrap();
    world.server().signal(Signal::HUP);
    until_logged(world.server(), LOADED, before + 1).await;
}

/// Waits until a proxy has logged a message `times` times.
async fn until_logged(proxy: &Proxy, message: &str, times: usize) {
    let logged = async {
        while lines(proxy, message).len() < times {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), logged).await;
    assert!(waited.is_ok(), "the log does not contain `{message}` {times} times\n{}", proxy.stderr.tail(40));
}
