//! `proxy.ssl.client_ca`, `proxy.ssl.client_auth` and `allowed_client_names`.

use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio_rustls::TlsConnector;

use crate::cancel::{expect_cancelled, request_cancel, wait_for_queries};
use crate::front_door::{orders, psql, run, target};
use crate::operations::lines;
use crate::support::builder::World;
use crate::support::certificates::{Authority, Certificate, Validity};
use crate::support::postgres::Postgres;
use crate::support::proxy::Launch;
use crate::support::raw::{Raw, Refusal, V3_0, login, packet, query, startup, tls_with};
use crate::support::roles::DATABASE;
use crate::support::scratch::{new_directory, unique};
use crate::support::world::Running;

const HOST: &str = "orders.db.example";

const MISSING: &str =
    "FATAL:  rds-auth-proxy: this proxy requires a client certificate, and the application sent none";

/// A client certificate of the trusted authority.
fn client(common_name: &str, names: &[&str]) -> Certificate {
    Authority::trusted().issue_client(common_name, names, Validity::Now)
}

/// The front door's world with this `client_auth`. The CA is the trusted one.
async fn world(client_auth: &str) -> World {
    orders().await.with_server(&format!("proxy: {{ssl: {{client_auth: {client_auth}, client_ca: '<ca>'}}}}"))
}

/// psql as `by_scram` for [`HOST`] with this certificate.
fn psql_with(world: &Running, certificate: Option<&Certificate>) -> Command {
    with_certificate(psql(world, world.server(), HOST, "by_scram"), certificate)
}

fn with_certificate(mut command: Command, certificate: Option<&Certificate>) -> Command {
    if let Some(Certificate { path, key_path, .. }) = certificate {
        command.env("PGSSLCERT", path).env("PGSSLKEY", key_path);
    }
    command
}

async fn answer(world: &Running, certificate: Option<&Certificate>) -> Result<String, String> {
    run(psql_with(world, certificate), "select 'let in'").await
}

/// A session by the default target. The same connector resumes its TLS session.
async fn log_in(world: &Running, connector: &TlsConnector) -> Result<Raw, Refusal> {
    let mut raw = Raw::connect(world.server().port()).await.request(connector).await.unwrap();
    raw.send(&login("by_trust")).await;
    raw.ready().await.map(|_| raw)
}

/// Any peer can send such a certificate, because it is not verified yet.
#[tokio::test]
async fn a_certificate_with_a_long_name_makes_no_long_error() {
    let world = world("require").await.start().await;
    let long = Authority::foreign().issue_client(&"x".repeat(20_000), &[], Validity::Now);
    let error = answer(&world, Some(&long)).await.unwrap_err();
    assert!(error.contains("is not accepted: its issuer is") && error.len() < 2000, "{}", error.len());
    world.server().wait_for_log("\"reason\":\"client_certificate\"").await;
    assert!(world.server().log().len() < 10_000);
    world.stop().await;
}

/// Expects a refusal with 28000 and these texts, and a log line with this reason.
async fn expect_refused(world: &Running, answer: Result<String, String>, reason: &str, texts: &[&str]) {
    let error = answer.expect_err(reason);
    for text in texts {
        assert!(error.contains(text), "{text}: {error}");
    }
    world.server().wait_for_log(&format!("\"reason\":\"{reason}\"")).await;
}

#[tokio::test]
async fn a_required_certificate_is_verified_and_its_subject_is_in_the_audit_lines() {
    let world = world("require").await.start().await;
    expect_refused(&world, answer(&world, None).await, "client_certificate", &[MISSING, "HINT:", "sslcert"])
        .await;
    for (certificate, reason) in [
        (
            Authority::foreign().issue_client("orders", &[], Validity::Now),
            "the client certificate of CN=orders is not accepted: its issuer is \"CN=Foreign CA\", which is no CA in client_ca",
        ),
        (
            Authority::trusted().issue_client("orders", &[], Validity::Expired),
            "the client certificate of CN=orders is not accepted: it expired on Jan  1 00:00:00 2021",
        ),
        (
            Authority::trusted().issue_client("orders", &[], Validity::NotYet),
            "the client certificate of CN=orders is not accepted: it is not valid before Jan  1 00:00:00 2090",
        ),
    ] {
        let error = answer(&world, Some(&certificate)).await.unwrap_err();
        assert!(error.contains(reason) && error.contains("FATAL"), "{error}");
    }
    for certificate in
        [client("orders", &[]), Authority::trusted_intermediate().issue_client("orders", &[], Validity::Now)]
    {
        assert_eq!(answer(&world, Some(&certificate)).await.as_deref(), Ok("let in"));
    }
    for message in ["session began", "session ended"] {
        world.server().wait_for_log(message).await;
        let line = lines(world.server(), message).pop().unwrap();
        assert_eq!(line["client_subject"], "CN=orders", "{line}");
    }
    // Without TLS there is no certificate.
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(&login("by_trust")).await;
    raw.refused().await.expect("28000", &["this proxy requires TLS"]);
    world.stop().await;
}

/// A certificate for servers only.
#[tokio::test]
async fn a_certificate_of_the_ca_for_another_purpose_is_refused() {
    let world = world("require").await.start().await;
    let server_only = Authority::trusted().issue_server("localhost");
    let error = answer(&world, Some(&server_only)).await.unwrap_err();
    assert!(error.contains("is not accepted: "), "{error}");
    world.stop().await;
}

#[tokio::test]
async fn a_requested_certificate_may_be_missing_but_not_wrong() {
    let world = world("request").await.start().await;
    assert_eq!(answer(&world, None).await.as_deref(), Ok("let in"));
    assert_eq!(answer(&world, Some(&client("orders", &[]))).await.as_deref(), Ok("let in"));
    let foreign = Authority::foreign().issue_client("orders", &[], Validity::Now);
    let texts = ["is not accepted", "Foreign CA"];
    expect_refused(&world, answer(&world, Some(&foreign)).await, "client_certificate", &texts).await;
    world.stop().await;
}

/// A directory of CAs, and a certificate that is trusted itself and vouches for no other.
#[tokio::test]
async fn a_directory_may_hold_cas_and_single_certificates() {
    let directory = new_directory("client-ca");
    let (single, below) = Authority::self_signed_with_one_below("laptop");
    std::fs::copy(&Authority::foreign().path, directory.join("foreign.pem")).unwrap();
    std::fs::copy(&single.path, directory.join("laptop.pem")).unwrap();
    std::fs::write(directory.join("README"), "no certificate").unwrap();
    let ca = format!("proxy: {{ssl: {{client_auth: require, client_ca: {}}}}}", directory.display());
    let world = orders().await.with_server(&ca).start().await;
    let foreign = Authority::foreign().issue_client("orders", &[], Validity::Now);
    for certificate in [&foreign, &single] {
        assert_eq!(answer(&world, Some(certificate)).await.as_deref(), Ok("let in"));
    }
    for certificate in [client("orders", &[]), below] {
        let error = answer(&world, Some(&certificate)).await.unwrap_err();
        assert!(error.contains("which is no CA in client_ca of this proxy"), "{error}");
    }
    world.stop().await;
}

/// No file changes here, so the ticket of the first session is still good.
#[tokio::test]
async fn a_resumed_session_does_not_outlive_the_certificate() {
    let world = world("require").await.with_server("proxy: {default_target: orders}").start().await;
    let lifetime = Duration::from_secs(4);
    let short = Authority::trusted().issue_client("short", &[], Validity::Until(lifetime));
    let connector = tls_with(&short);
    drop(log_in(&world, &connector).await.unwrap());
    // It is valid until the end of its last second.
    tokio::time::sleep(lifetime + Duration::from_secs(1)).await;
    log_in(&world, &connector)
        .await
        .err()
        .unwrap()
        .expect("28000", &["CN=short is not accepted: it expired on"]);
    world.stop().await;
}

/// The file is read again when it changes, and a TLS session from before does not lead around it.
#[tokio::test]
async fn a_revoked_certificate_is_refused_from_the_next_connection_on() {
    let (kept, lost) = (client("kept", &[]), client("lost", &[]));
    let intermediate = Authority::trusted_intermediate().issue_client("below", &[], Validity::Now);
    let file = new_directory("client-crl").join("crl.pem");
    let write = |pem: String| std::fs::write(&file, pem).unwrap();
    write(Authority::trusted().revocation_list(&[], 2090));
    let crl = format!("proxy: {{ssl: {{client_crl: {}}}}}", file.display());
    let world = world("require").await.with_server(&crl).with_server("proxy: {default_target: orders}");
    let world = world.start().await;
    let connector = tls_with(&lost);
    let log_in = async || log_in(&world, &connector).await;
    let mut session = log_in().await.unwrap();
    drop(log_in().await.unwrap());
    let error = answer(&world, Some(&intermediate)).await.unwrap_err();
    assert!(error.contains("client_crl has no revocation list of a CA in its chain"), "{error}");

    write(Authority::trusted().revocation_list(&[&lost], 2090));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    log_in().await.err().unwrap().expect("28000", &["CN=lost is not accepted: its CA has revoked it"]);
    assert_eq!(answer(&world, Some(&kept)).await.as_deref(), Ok("let in"));
    assert_eq!(session.query("select 1").await.unwrap(), "1", "a session that runs is not touched");

    write(Authority::trusted().revocation_list(&[], 2021));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = answer(&world, Some(&kept)).await.unwrap_err();
    assert!(error.contains("the revocation list of a CA in its chain has expired"), "{error}");

    // A list that cannot be read leaves the old one in use.
    write("no list".into());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = answer(&world, Some(&kept)).await.unwrap_err();
    assert!(error.contains("has expired"), "{error}");
    world.server().wait_for_log("certificate files changed but cannot be used").await;
    drop(session);
    world.stop().await;
}

/// Whatever leads to a database, the same applications may reach it.
#[tokio::test]
async fn the_allowed_names_hold_for_every_way_to_an_address() {
    let port = Postgres::shared().await.port;
    let allowed = "targets: {orders: {allowed_client_names: [orders.example, '*.jobs.example', 'spiffe://shop.example/orders', Alice]}}";
    // Another name for the same address, without a list.
    let alias = target("alias", port, "server_names: [any.shop.example]");
    let world = world("request").await.with_server(allowed).with_server(&alias);
    let world = world.with_server("targets: {orders: {server_names: [orders.db.example]}}");
    let world = world.with_server("proxy: {default_target: alias}").start().await;
    let ways = async |certificate: Option<&Certificate>| {
        let mut answers = Vec::new();
        // Server names of the target and of the alias, and the default.
        for host in [HOST, "any.shop.example", "other.example"] {
            let command = with_certificate(psql(&world, world.server(), host, "by_trust"), certificate);
            answers.push(run(command, "select 'let in'").await);
        }
        answers.push(by_host(&world, port, certificate).await);
        answers
    };
    for (common_name, names) in [
        ("x", &["orders.example"][..]),
        ("x", &["a.jobs.example"]),
        ("", &["spiffe://shop.example/orders"]),
        ("Alice", &[]),
    ] {
        for answer in ways(Some(&client(common_name, names))).await {
            assert_eq!(answer.as_deref(), Ok("let in"), "{common_name} {names:?}");
        }
    }
    for (common_name, names, shown) in [
        ("orders.example", &["other.example"][..], "(other.example)"),
        ("x", &["a.b.jobs.example"], "(a.b.jobs.example)"),
        ("x", &["spiffe://shop.example/other"], "(spiffe://shop.example/other)"),
        ("alice", &[], "(alice)"),
    ] {
        for answer in ways(Some(&client(common_name, names))).await {
            let error = answer.unwrap_err();
            let sentence = format!(
                "does not allow this client certificate: allowed_client_names has none of its names {shown}"
            );
            assert!(error.contains(&sentence), "{error}");
        }
    }
    for answer in ways(None).await {
        let error = answer.unwrap_err();
        assert!(
            error.contains("is for certain client certificates, and the application sent none"),
            "{error}"
        );
    }
    world.server().wait_for_log("\"reason\":\"client_not_allowed\"").await;
    world.stop().await;
}

/// The answer to a packet with the parameter `host`, as of a client of this program.
async fn by_host(world: &Running, port: u16, certificate: Option<&Certificate>) -> Result<String, String> {
    let raw = Raw::connect(world.server().port()).await;
    let mut raw = match certificate {
        Some(certificate) => raw.request(&tls_with(certificate)).await.unwrap(),
        None => raw.request_tls().await,
    };
    let host = format!("localhost:{port}");
    raw.send(&startup(V3_0, &[("user", "by_trust"), ("database", DATABASE), ("host", &host)])).await;
    match raw.ready().await {
        Ok(_) => Ok(raw.query("select 'let in'").await.unwrap()),
        Err(refusal) => Err(format!("{refusal:?}")),
    }
}

/// The entry has no host, so it is about a discovered database, which clients reach by its address.
#[tokio::test]
async fn the_allowed_names_hold_for_a_discovered_database() {
    let allowed = "targets: {db-1: {allowed_client_names: [orders.example]}}";
    let world = world("request").await.with_server(allowed).with_client("proxy: {}").start().await;
    let port = world.rds().port;
    let error = by_host(&world, port, None).await.unwrap_err();
    assert!(error.contains("is for certain client certificates"), "{error}");
    let error = by_host(&world, port, Some(&client("x", &["other.example"]))).await.unwrap_err();
    assert!(error.contains("allowed_client_names has none of its names"), "{error}");
    assert_eq!(world.rds().connections(), 0);
    let answer = by_host(&world, port, Some(&client("x", &["orders.example"]))).await;
    assert_eq!(answer.as_deref(), Ok("let in"));
    world.stop().await;
}

#[tokio::test]
async fn a_cancel_request_needs_the_certificate_too() {
    let allowed = "targets: {orders: {allowed_client_names: [orders.example], server_names: [localhost]}}";
    let world = world("request").await.with_server(allowed);
    let world = world.with_server("proxy: {default_target: orders}").start().await;
    let (allowed, other) = (client("x", &["orders.example"]), client("x", &["other.example"]));
    let connect = async |certificate: &Certificate| {
        Raw::connect(world.server().port()).await.request(&tls_with(certificate)).await.unwrap()
    };
    let mut session = connect(&allowed).await;
    session.send(&login("by_trust")).await;
    let messages = session.until_ready().await;
    let key = messages.iter().find(|message| message.tag == b'K').expect("no key").body.clone();
    let sql = format!("select pg_sleep(300) as {}", unique("certificates"));
    session.send(&query(&sql)).await;
    wait_for_queries(&world, &sql, 1).await;
    let cancel = packet(&[&[4, 210, 22, 46], key.as_slice()].concat());
    // In clear text, without a certificate, and with one of another name.
    request_cancel(world.server(), &key).await;
    let mut raw = Raw::connect(world.server().port()).await.request_tls().await;
    raw.send(&cancel).await;
    assert_eq!(raw.byte().await, None);
    let mut raw = connect(&other).await;
    raw.send(&cancel).await;
    assert_eq!(raw.byte().await, None);
    session.expect_silence(Duration::from_millis(300)).await;
    let mut raw = connect(&allowed).await;
    raw.send(&cancel).await;
    assert_eq!(raw.byte().await, None);
    expect_cancelled(&mut session).await;
    drop(session);
    world.stop().await;
}

/// The client is on a laptop, and its certificate says whose.
#[tokio::test]
async fn a_client_of_this_program_sends_its_certificate_and_cancels_with_it() {
    let alice = client("alice", &["alice.laptops.example"]);
    let ssl = |certificate: &Certificate| {
        let (path, key) = (certificate.path.display(), certificate.key_path.display());
        format!(
            "upstream_proxies: {{default: {{ssl: {{client_certificate: {path}, client_private_key: {key}}}}}}}"
        )
    };
    let world = World::new()
        .with_server_tls()
        .with_server("proxy: {ssl: {client_auth: require, client_ca: '<ca>'}}")
        .with_server("targets: {db-1: {allowed_client_names: ['*.laptops.example']}}")
        .with_client(&ssl(&alice))
        .start()
        .await;
    let (mut session, key) = crate::cancel::sleeper(&world, world.client()).await;
    request_cancel(world.client(), &key).await;
    expect_cancelled(&mut session).await;
    world.server().wait_for_log("\"client_subject\":\"CN=alice\"").await;
    drop(session);
    world.stop().await;

    // The generated certificate of a client without one is not sent, because the server names its CA.
    let world = World::new()
        .with_server_tls()
        .with_server("proxy: {ssl: {client_auth: require, client_ca: '<ca>'}}")
        .start()
        .await;
    let error = world.refusal("alice").await;
    assert_eq!(error.code().code(), "28000");
    assert!(error.message().contains("requires a client certificate"), "{error}");
    assert!(error.hint().unwrap().contains("ssl.client_certificate"), "{error:?}");
    world.stop().await;
}

/// Required client certificates are what `allow_remote` asks for.
#[tokio::test]
async fn a_client_listens_beyond_loopback_for_applications_with_a_certificate() {
    let listen = "proxy: {listen_addr: '0.0.0.0:0', ssl: {client_auth: require, client_ca: '<ca>'}}";
    let world = World::new().with_client_tls().with_client(listen).start().await;
    let command = |certificate: Option<&Certificate>| {
        let mut command = world.psql_command(world.client(), "alice");
        command.env("PGSSLMODE", "require");
        with_certificate(command, certificate)
    };
    let error = run(command(None), "select 1").await.unwrap_err();
    assert!(error.contains(MISSING), "{error}");
    let log = world.client().log();
    assert!(log.contains("other machines can connect to this client with a client certificate"), "{log}");
    assert!(!log.contains("log in with your AWS identity"), "{log}");
    assert_eq!(run(command(Some(&client("alice", &[]))), "select 1").await.as_deref(), Ok("1"));
    world.stop().await;
}

#[tokio::test]
async fn a_changed_ca_and_changed_names_count_for_the_next_connection_and_no_session() {
    let directory = new_directory("client-ca");
    let ca = directory.join("ca.pem");
    std::fs::copy(&Authority::trusted().path, &ca).unwrap();
    let keys = format!("proxy: {{ssl: {{client_auth: require, client_ca: {}}}}}", ca.display());
    let world =
        orders().await.with_server(&keys).with_server("proxy: {default_target: orders}").start().await;
    let trusted = client("orders", &[]);
    let connector = tls_with(&trusted);
    let log_in = async || log_in(&world, &connector).await;
    let mut session = log_in().await.unwrap();
    drop(log_in().await.unwrap());

    let path = world.directory.join("server.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let (head, tail) = yaml.split_once("  orders:\n").unwrap();
    std::fs::write(&path, format!("{head}  orders:\n    allowed_client_names: [other]\n{tail}")).unwrap();
    world.server().signal(Signal::HUP);
    world.server().wait_for_log("the configuration was loaded again").await;
    log_in().await.err().unwrap().expect("28000", &["allowed_client_names has none of its names (orders)"]);

    // A file is looked at once a second.
    std::fs::copy(&Authority::foreign().path, &ca).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    log_in().await.err().unwrap().expect("28000", &["which is no CA in client_ca of this proxy"]);
    world.server().wait_for_log("certificate files changed and were loaded again").await;
    assert_eq!(session.query("select 1").await.unwrap(), "1");
    drop(session);
    world.stop().await;
}

/// `gen-cert --ca` makes all files that mutual TLS needs, and prints the command that uses them.
#[tokio::test]
async fn the_files_of_gen_cert_work_as_its_output_says() {
    let directory = new_directory("gen-cert").join("mutual tls");
    let path = directory.to_str().unwrap();
    let ended = Launch::new("gen-cert", &["gen-cert", "--ca", path, "--clients", "orders,alice"]).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (ssl, rest) =
        ended.stdout.split_once("configuration:\n").unwrap().1.split_once("\nBelow a target").unwrap();
    let allowed = "targets: {orders: {allowed_client_names: [alice]}}";
    let world = orders().await.with_server(ssl).with_server(allowed);
    let world = world.with_server("proxy: {default_target: orders}").start().await;
    let line = rest.lines().find(|line| line.starts_with("psql ")).unwrap();
    let shell = async |line: String| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{line} -XAtc \"select 'let in'\"")).env_remove("PGSSLMODE");
        let output = command.kill_on_drop(true).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    };
    let line = line
        .replace("port=8000", &format!("port={}", world.server().port()))
        .replace("user=USER", "user=by_trust")
        .replace("dbname=DATABASE", &format!("dbname={DATABASE}"));
    assert!(line.contains("alice.pem"), "{line}");
    assert_eq!(shell(line.clone()).await.as_deref(), Ok("let in"));
    let error = shell(line.replace("alice.", "orders.")).await.unwrap_err();
    assert!(error.contains("allowed_client_names has none of its names (orders)"), "{error}");
    world.stop().await;
}
