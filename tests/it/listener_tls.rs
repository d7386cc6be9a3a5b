//! TLS towards applications: `proxy.ssl.certificates`, `proxy.ssl.min_version`, resumed sessions, and the reload of all of it.

use std::sync::Arc;

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::front_door::{orders, psql, run};
use crate::support::certificates::{Authority, Certificate, Validity, roots};
use crate::support::raw::{Raw, SSL_REQUEST, login};
use crate::support::world::Running;

/// Like `sslmode=verify-full` with the trusted authority.
fn connector(versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots(&Authority::trusted().path))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A TLS connection to the server of this world under this name.
async fn connect(
    world: &Running,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut tcp = TcpStream::connect(("127.0.0.1", world.server().port())).await.unwrap();
    tcp.write_all(SSL_REQUEST).await.unwrap();
    assert_eq!(tcp.read_u8().await.unwrap(), b'S');
    connector.connect(ServerName::try_from(name.to_owned()).unwrap(), tcp).await
}

/// Whether the session was resumed, after a login, with which the tickets arrive.
async fn handshake(world: &Running, connector: &TlsConnector) -> Option<HandshakeKind> {
    let tls = connect(world, connector, "orders.db.example").await.unwrap();
    let kind = tls.get_ref().1.handshake_kind();
    let mut raw = Raw::over(tls);
    raw.send(&login("by_trust")).await;
    raw.until_ready().await;
    kind
}

fn files(certificate: &Certificate) -> String {
    format!("certificate: {}, private_key: {}", certificate.path.display(), certificate.key_path.display())
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate() {
    let issue = |names: &[&str]| Authority::trusted().issue(names, Validity::Now);
    let (exact, wildcard) = (issue(&["orders.db.example", "localhost"]), issue(&["*.db.example"]));
    let list = format!("proxy: {{ssl: {{certificates: [{{{}}}, {{{}}}]}}}}", files(&wildcard), files(&exact));
    let world = orders().await.with_server(&list).start().await;
    let connector = connector(rustls::DEFAULT_VERSIONS);
    for (name, expected) in [
        ("orders.db.example", &exact),
        ("ORDERS.db.example", &exact),
        ("localhost", &exact),
        ("reports.db.example", &wildcard),
    ] {
        let tls = connect(&world, &connector, name).await.unwrap();
        assert_eq!(tls.get_ref().1.peer_certificates().unwrap()[0], expected.der().0[0], "{name}");
    }
    // The default has these names.
    for name in ["any.shop.example", "other.example"] {
        connect(&world, &connector, name).await.unwrap();
    }
    for name in ["a.b.db.example", "db.example", "127.0.0.1"] {
        let error = connect(&world, &connector, name).await.unwrap_err().to_string();
        assert!(
            error.contains("not valid for name") && error.contains("any.shop.example"),
            "{name}: {error}"
        );
    }
    // psql verifies the name of the certificate that it gets.
    let answer = run(psql(&world, world.server(), "orders.db.example", "by_scram"), "select 'let in'").await;
    assert_eq!(answer.as_deref(), Ok("let in"));
    world.stop().await;
}

#[tokio::test]
async fn a_least_version_refuses_older_ones() {
    let version = "proxy: {ssl: {min_version: TLSv1.3}}";
    let world = orders().await.with_server(version).start().await;
    let old = connect(&world, &connector(&[&rustls::version::TLS12]), "orders.db.example").await;
    assert!(old.unwrap_err().to_string().contains("ProtocolVersion"));
    world.server().wait_for_log("have no TLS version or cipher in common").await;
    world.server().wait_for_log("\"reason\":\"application_tls\"").await;
    let new = connect(&world, &connector(&[&rustls::version::TLS13]), "orders.db.example").await.unwrap();
    assert_eq!(new.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    drop(new);
    let mut old = psql(&world, world.server(), "orders.db.example", "by_scram");
    old.env("PGSSLMAXPROTOCOLVERSION", "TLSv1.2").env("PGSSLMINPROTOCOLVERSION", "TLSv1.2");
    let error = run(old, "select 1").await.unwrap_err();
    assert!(error.contains("protocol version"), "{error}");
    world.stop().await;
}

/// Sessions are resumed by tickets, for which the server keeps nothing, in both versions.
#[tokio::test]
async fn tls_sessions_are_resumed_until_the_files_change() {
    let own = Authority::trusted().issue(&["orders.db.example", "any.shop.example"], Validity::Now);
    let ssl = format!("proxy: {{ssl: {{{}}}, default_target: orders}}", files(&own));
    let world = orders().await.with_server(&ssl).start().await;
    let connectors = [&rustls::version::TLS12, &rustls::version::TLS13].map(|version| connector(&[version]));
    for connector in &connectors {
        assert_eq!(handshake(&world, connector).await, Some(HandshakeKind::Full));
        assert_eq!(handshake(&world, connector).await, Some(HandshakeKind::Resumed));
        // Another name is another session.
        let other = connect(&world, connector, "any.shop.example").await.unwrap();
        assert_eq!(other.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
    let renewed = Authority::trusted().issue(&["orders.db.example"], Validity::Now);
    std::fs::copy(&renewed.key_path, &own.key_path).unwrap();
    std::fs::copy(&renewed.path, &own.path).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for connector in &connectors {
        assert_eq!(handshake(&world, connector).await, Some(HandshakeKind::Full), "a ticket from before");
        assert_eq!(handshake(&world, connector).await, Some(HandshakeKind::Resumed));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_server_changes_its_tls_while_it_runs_and_sessions_continue() {
    let world = orders().await.with_server("proxy: {default_target: orders}").start().await;
    let mut before = Raw::session(world.server().port(), "by_trust").await;
    let path = world.directory.join("server.yaml");
    let yaml = std::fs::read_to_string(&path).unwrap();
    let certificate = Authority::trusted().issue(&["new.example"], Validity::Now);
    let mut reloads = 0;
    let mut apply = async |keys: &str| {
        std::fs::write(&path, yaml.replace("    enabled: true\n", &format!("    enabled: true\n{keys}")))
            .unwrap();
        world.server().signal(Signal::HUP);
        reloads += 1;
        let loaded = || world.server().log().matches("the configuration was loaded again").count();
        while loaded() < reloads {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let ca = Authority::trusted().path.display();
    apply(&format!(
        "    client_auth: require\n    client_ca: {ca}\n    certificates: [{{{}}}]\n",
        files(&certificate)
    ))
    .await;
    let error =
        run(psql(&world, world.server(), "orders.db.example", "by_scram"), "select 1").await.unwrap_err();
    assert!(error.contains("this proxy requires a client certificate"), "{error}");
    let connector = connector(rustls::DEFAULT_VERSIONS);
    let tls = connect(&world, &connector, "new.example").await.unwrap();
    assert_eq!(tls.get_ref().1.peer_certificates().unwrap()[0], certificate.der().0[0]);
    assert_eq!(before.query("select 1").await.unwrap(), "1");
    apply("").await;
    let answer = run(psql(&world, world.server(), "orders.db.example", "by_scram"), "select 'let in'").await;
    assert_eq!(answer.as_deref(), Ok("let in"));
    assert!(!world.server().log().contains("needs a restart"));
    drop((before, tls));
    world.stop().await;
}
