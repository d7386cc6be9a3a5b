//! TLS from the server to the database: errors name the reason, and no password is sent without verified TLS.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity};
use crate::support::fake_database::{FakeDatabase, LOGIN_OK};
use crate::support::fake_rds::Encryption;
use crate::support::instance::Instance;
use crate::support::protocol::{FirstPacket, read_first};
use crate::support::raw::{Raw, Refusal, login};
use crate::support::scratch::{self, random_text};
use crate::support::world::Running;

/// Logs in at the server with a password for the database, like a client.
async fn log_in(world: &Running, user: &str, database: &str, password: &str) -> Result<(), Refusal> {
    let host = world.database(database).endpoint();
    let parameters = [("user", user), ("database", "app"), ("host", &host), ("password", password)];
    Raw::log_in(world.server().port(), &parameters).await.map(drop)
}

#[tokio::test]
async fn a_database_with_an_untrusted_certificate_receives_no_password() {
    let issued = |authority: &Authority, name: &str, validity| authority.issue(&[name], validity);
    let trusted = Authority::trusted();
    let cases = [
        (
            "foreign",
            issued(Authority::foreign(), "localhost", Validity::Now),
            "its issuer is \"CN=Foreign CA\", which is not among the 1 root certificates of /",
        ),
        (
            "misnamed",
            issued(trusted, "other.example", Validity::Now),
            "it is not valid for the name \"localhost\"; it is for other.example",
        ),
        ("expired", issued(trusted, "localhost", Validity::Expired), "it expired on Jan  1 00:00:00 2021"),
        (
            "not-yet",
            issued(trusted, "localhost", Validity::NotYet),
            "it is not valid before Jan  1 00:00:00 2090",
        ),
    ];
    let mut world = World::new().target("foreign");
    for (name, certificate, _) in &cases {
        world = world.with_instance(Instance::new(name).certificate(certificate.clone()));
    }
    let world = world.start().await;
    let password = random_text(24);
    world.add_secret(&password);
    for (name, _, sentence) in &cases {
        let refusal = log_in(&world, "alice", name, &password).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), "08001");
        let message = refusal.message();
        assert!(
            message.starts_with("rds-auth-proxy: the certificate of localhost is not trusted: "),
            "{message}"
        );
        assert!(message.contains(sentence), "{message}");
        assert_eq!(world.database(name).connections(), 1);
        assert!(world.database(name).logins().is_empty());
    }
    let error = world.refusal("alice").await;
    assert_eq!(error.code().code(), "08001");
    assert!(
        error.message().contains("its issuer is \"CN=Foreign CA\""),
        "the application receives the reason: {error}"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_database_without_tls_receives_no_password() {
    let cases = [
        ("plain", Encryption::Off, "has TLS turned off, but the TLS mode verify-full needs it"),
        (
            "prefers",
            Encryption::Off,
            "has TLS turned off, but the TLS mode prefer needs it to send a password",
        ),
        ("error", Encryption::Answer(b'E'), "answered with an error before TLS could begin"),
        (
            "garbage",
            Encryption::Answer(b'?'),
            "does not speak PostgreSQL: it answered an SSLRequest with the byte 0x3f",
        ),
        ("gone", Encryption::Required, "cannot be reached"),
    ];
    let mut world = World::new()
        .with_target("prefers", "{host: <prefers>, ssl: {mode: prefer}}")
        .with_target("trusted-net", "{host: <trusted-net>, ssl: {mode: disable}}")
        .with_instance(Instance::new("trusted-net").encryption(Encryption::Off))
        .without_client();
    for (name, encryption, _) in cases {
        world = world.with_instance(Instance::new(name).encryption(encryption));
    }
    let world = world.start().await;
    world.database("gone").shut_down().await;
    let password = random_text(24);
    world.add_secret(&password);
    for (name, _, sentence) in cases {
        let refusal = log_in(&world, "alice", name, &password).await.unwrap_err();
        assert_eq!(refusal.sqlstate(), if name == "gone" { "57P03" } else { "08001" }, "{refusal:?}");
        let host = world.database(name).endpoint();
        assert!(refusal.message().contains(&format!("the database {name} at {host}")), "{refusal:?}");
        assert!(refusal.message().contains(sentence), "{refusal:?}");
        let advised = refusal.hint().is_some_and(|hint| hint.contains("Check that it runs"));
        assert_eq!(advised, ["garbage", "gone"].contains(&name), "{refusal:?}");
        assert!(world.database(name).logins().is_empty());
    }

    let password = world.postgres.password("by_password");
    log_in(&world, "by_password", "trusted-net", &password).await.unwrap();
    assert_eq!(world.database("trusted-net").logins()[0].tls, None, "mode disable uses no TLS");
    // Without a password, `prefer` continues in clear text, as in libpq, but never relays a password request.
    let host = world.database("prefers").endpoint();
    let as_user = |user| [("user", user), ("database", "app"), ("host", host.as_str())];
    let port = world.server().port();
    Raw::log_in(port, &as_user("by_trust")).await.unwrap();
    for user in ["by_password", "by_md5"] {
        let Err(refusal) = Raw::log_in(port, &as_user(user)).await else {
            panic!("the login of {user} succeeded")
        };
        refusal.expect("08001", &["has TLS turned off, but the TLS mode prefer needs it to send a password"]);
    }
    world.stop().await;
}

/// PostgreSQL with an `ssl_ca_file`, as on RDS, names the authority whose certificates it accepts. It aborts the
/// handshake for a certificate of another authority and continues without one.
#[tokio::test]
async fn the_server_sends_a_client_certificate_only_to_a_database_that_accepts_its_issuer() {
    for (authority, sent) in [(Authority::trusted_intermediate(), true), (Authority::foreign(), false)] {
        let world = World::new().with_server(&with_certificate(authority)).start().await;
        world.psql("alice", "select 1").await.unwrap();
        assert_eq!(world.rds().logins()[0].certificate, sent);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_database_that_requires_a_client_certificate_receives_it_or_refuses_tls() {
    let mutual = || World::new().with_instance(Instance::new("db-1").encryption(Encryption::Mutual));
    let world = mutual().with_server(&with_certificate(Authority::trusted())).start().await;
    world.psql("alice", "select 1").await.unwrap();
    world.stop().await;

    let world = mutual().start().await;
    let refusal = world.refusal("alice").await;
    assert_eq!(refusal.code().code(), "08001", "{refusal:?}");
    assert!(refusal.message().contains("with the alert CertificateRequired"), "{refusal:?}");
    assert!(refusal.hint().unwrap().contains("client_certificate"), "{refusal:?}");
    world.stop().await;
}

/// A server's configuration with a client certificate of this authority.
fn with_certificate(authority: &Authority) -> String {
    let own = authority.issue(&["proxy"], Validity::Now);
    let (certificate, key) = (own.path.display(), own.key_path.display());
    format!("proxy: {{ssl: {{client_certificate: {certificate}, client_private_key: {key}}}}}")
}

#[tokio::test]
async fn root_certificates_may_be_a_directory() {
    let roots = scratch::new_directory("roots");
    fs::copy(&Authority::trusted().path, roots.join("a.pem")).unwrap();
    fs::write(roots.join("README"), "not a certificate").unwrap();
    let foreign = Authority::foreign().issue(&["localhost"], Validity::Now);
    let world = World::new()
        .with_instance("db-1")
        .with_instance(Instance::new("db-2").certificate(foreign))
        .with_server(&format!("rds: {{root_certificate: {}}}", roots.display()))
        .without_client()
        .start()
        .await;
    let clients = [world.start_client(&[]).await, world.start_client(&["--target", "db-2"]).await];
    let psql = async |client| {
        let output = world.psql_command(client, "alice").args(["-c", "select 1"]).output().await.unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert_eq!(psql(&clients[0]).await, "1\n");
    let error = psql(&clients[1]).await;
    assert!(error.contains("is not among the 1 root certificates of"), "{error}");

    fs::copy(&Authority::foreign().path, roots.join("b.pem")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(psql(&clients[1]).await, "1\n", "a new file takes effect without a restart");
    world.stop().await;
}

/// pgbouncer with TLS requests a client certificate and refuses the generated one, which nobody configured. libpq, which has
/// none, connects.
#[tokio::test]
async fn a_hop_that_refuses_the_generated_certificate_is_dialled_again_without() {
    let certificate = Authority::trusted().issue(&["localhost"], Validity::Now);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let acceptor = tokio_rustls::TlsAcceptor::from(certificate.server_config_without_names(version));
        let fake = FakeDatabase::start(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::SslRequest)));
                stream.write_all(b"S").await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let Ok(FirstPacket::Startup(_)) = read_first(&mut stream).await else { return };
                stream.write_all(LOGIN_OK).await.unwrap();
                stream.flush().await.unwrap();
                while stream.read_u8().await.is_ok() {}
            }
        })
        .await;
        let world =
            World::new().with_target("fake", &fake.target("verify-full")).target("fake").start().await;
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&login("alice")).await;
        raw.until_ready().await;
        world.stop().await;

        // A configured certificate is always shown.
        let foreign = Authority::foreign().issue(&["client"], Validity::Now);
        let target = format!(
            "{{host: 'localhost:{}', ssl: {{mode: verify-full, root_certificate: '<ca>', client_certificate: '{}', \
             client_private_key: '{}'}}}}",
            fake.port,
            foreign.path.display(),
            foreign.key_path.display()
        );
        let world = World::new().with_target("fake", &target).target("fake").start().await;
        let mut raw = Raw::connect(world.client().port()).await;
        raw.send(&login("alice")).await;
        raw.refused().await.expect("08001", &["refused the TLS handshake with the alert UnknownCA"]);
        world.stop().await;
    }
}
