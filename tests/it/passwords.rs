//! Password methods of databases without IAM. The server or the application answers the password request.

use std::fs;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity, roots};
use crate::support::postgres::Postgres;
use crate::support::protocol::{FirstPacket, read_first};
use crate::support::proxy::Proxy;
use crate::support::runtime;
use crate::support::world::{Running, refusal};

/// The real PostgreSQL as a static target: it has TLS and offers SCRAM with and without channel binding.
const FIXED: &str = "{host: <postgres>, database: app, ssl: {mode: verify-full, root_certificate: <ca>}}";

const METHODS: [&str; 3] = ["by_password", "by_md5", "by_scram"];

/// `SSLRequest`, from the PostgreSQL manual.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn world() -> World {
    World::new().with_target("fixed", FIXED).target("fixed")
}

/// The current user of a session and whether it uses TLS to the database.
async fn user_and_tls(proxy: &Proxy, user: &str) -> String {
    let (client, connection) = proxy.config(user).connect(NoTls).await.unwrap();
    runtime::spawn(connection);
    let row = client.query_one(
        "select current_user || ' ' || ssl::text from pg_stat_ssl where pid = pg_backend_pid()",
        &[],
    );
    row.await.unwrap().get(0)
}

#[tokio::test]
async fn the_server_answers_every_method_with_the_clients_password() {
    let world = world().without_client().start().await;
    for user in METHODS {
        let client = world.start_client(&["--password", &world.postgres.password(user)]).await;
        assert_eq!(user_and_tls(&client, user).await, format!("{user} true"));
    }
    world.stop().await;
}

#[tokio::test]
async fn the_password_may_come_from_a_file_or_the_environment() {
    let world = world().without_client().start().await;
    let password = world.postgres.password("by_scram");
    let file = world.directory.join("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    let client = world.start_client(&["--password-file", file.to_str().unwrap()]).await;
    assert_eq!(user_and_tls(&client, "by_scram").await, "by_scram true");
    let launch = world.client_launch(&[]).env("RDS_AUTH_PROXY_PASSWORD", &password);
    let client = world.start_proxy(launch).await;
    assert_eq!(user_and_tls(&client, "by_scram").await, "by_scram true");
    world.stop().await;
}

#[tokio::test]
async fn the_databases_error_for_a_wrong_password_passes_unchanged() {
    let world = world().with_client_flag("--password=not the password").start().await;
    world.add_secret("not the password");
    for user in METHODS {
        let error = world.refusal(user).await;
        assert_eq!(*error.code(), SqlState::INVALID_PASSWORD);
        assert_eq!(error.message(), format!(r#"password authentication failed for user "{user}""#));
        assert_eq!(error.hint(), None);
    }
    world.stop().await;
}

/// A man in the middle with another certificate cannot use the SCRAM proof: it is bound to the certificate that the
/// server received.
#[tokio::test]
async fn scram_is_bound_to_the_certificate_of_the_database() {
    let postgres = Postgres::shared().await;
    let port = man_in_the_middle(postgres.port).await;
    let target =
        format!("{{host: 'localhost:{port}', database: app, ssl: {{mode: require}}, require_auth: '!md5'}}");
    let world = World::new().with_target("tapped", &target).target("tapped").without_client().start().await;
    for (user, refused) in [("by_password", false), ("by_scram", true)] {
        let client = world.start_client(&["--password", &postgres.password(user)]).await;
        if refused {
            let error = refusal(&client, user).await;
            assert_eq!(*error.code(), SqlState::INVALID_AUTHORIZATION_SPECIFICATION);
            assert_eq!(error.message(), "SCRAM channel binding check failed");
        } else {
            assert_eq!(
                user_and_tls(&client, user).await,
                format!("{user} true"),
                "the man in the middle relays other methods"
            );
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn without_a_password_the_application_answers_every_method() {
    let world = world().start().await;
    for user in METHODS {
        let mut config = world.client().config(user);
        let (client, connection) =
            config.password(world.postgres.password(user)).connect(NoTls).await.unwrap();
        runtime::spawn(connection);
        let row = client.query_one("select current_user::text", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), user);

        let output = psql(&world, user).env("PGPASSWORD", "wrong").output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("password authentication failed"), "{error}");
    }
    assert_eq!(world.psql("by_trust", "select current_user").await.unwrap(), "by_trust");
    world.stop().await;
}

#[tokio::test]
async fn an_application_on_tls_receives_a_hint_to_disable_channel_binding() {
    let world = world().with_client("proxy: {ssl: {enabled: true}}").start().await;
    let output = psql(&world, "by_scram").env("PGSSLMODE", "require").output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(error.contains("HINT:") && error.contains("channel_binding=disable"), "{error}");

    let mut psql = psql(&world, "by_scram");
    let psql = psql.env("PGSSLMODE", "require").env("PGCHANNELBINDING", "disable");
    let output = psql.output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "by_scram", "{output:?}");
    world.stop().await;
}

#[tokio::test]
async fn the_client_answers_password_requests_with_aws_auth_only() {
    for world in [world(), world().with_server_tls()] {
        let world = world
            .with_instance("db-1")
            .with_client("upstream_proxies: {default: {aws_auth_only: true}}")
            .without_client()
            .start()
            .await;
        let client = world.start_client(&["--target", "db-1"]).await;
        let answer = world.psql_command(&client, "alice").args(["-c", "select current_user"]).output().await;
        assert_eq!(String::from_utf8_lossy(&answer.unwrap().stdout).trim(), "alice");
        for user in METHODS {
            let client = world.start_client(&["--password", &world.postgres.password(user)]).await;
            assert_eq!(user_and_tls(&client, user).await, format!("{user} true"));
        }
        world.stop().await;
    }
}

/// The server relays the exchange to the database, so a client cannot bind it to the server's certificate. An impostor could present
/// any certificate, and pass the unbound login on.
#[tokio::test]
async fn an_unverified_server_gets_no_scram_login_without_binding() {
    let world = world()
        .with_server_tls()
        .with_client("upstream_proxies: {default: {aws_auth_only: true, ssl: {mode: require, root_certificate: null}}}")
        .without_client()
        .start()
        .await;
    let client = world.start_client(&["--password", &world.postgres.password("by_scram")]).await;
    let error = refusal(&client, "by_scram").await;
    assert_eq!(error.code().code(), "28P01");
    let sentence = "channel binding cannot pass it, and TLS does not verify its certificate; set ssl.mode to verify-full";
    assert!(error.message().ends_with(sentence), "{error}");
    world.stop().await;
}

#[tokio::test]
async fn a_direct_client_needs_no_server() {
    let world = world()
        .with_instance("db-1")
        .with_client("upstream_proxies: null")
        .without_server()
        .without_client()
        .start()
        .await;
    let client = world.start_client(&["--direct", "--target", "db-1"]).await;
    let answer = world.psql_command(&client, "alice").args(["-c", "select current_user"]).output().await;
    assert_eq!(String::from_utf8_lossy(&answer.unwrap().stdout).trim(), "alice");
    assert_eq!(world.rds().logins()[0].tls.as_deref(), Some("TLSv1_3"));
    let client = world.start_client(&["--direct", "--password", &world.postgres.password("by_scram")]).await;
    assert_eq!(user_and_tls(&client, "by_scram").await, "by_scram true");
    world.stop().await;
}

fn psql(world: &Running, user: &str) -> tokio::process::Command {
    let mut psql = world.psql_command(world.client(), user);
    psql.args(["-c", "select current_user"]).env("PGPASSWORD", world.postgres.password(user));
    psql
}

/// Starts a listener that terminates TLS with another certificate and opens TLS to PostgreSQL. Returns its port.
async fn man_in_the_middle(database: u16) -> u16 {
    let listener = runtime::within(TcpListener::bind("127.0.0.1:0")).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor =
        TlsAcceptor::from(Authority::foreign().issue(&["localhost"], Validity::Now).server_config(false));
    runtime::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(tap(stream, acceptor, database));
        }
    });
    port
}

async fn tap(mut stream: TcpStream, acceptor: TlsAcceptor, database: u16) {
    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::SslRequest)));
    stream.write_all(b"S").await.unwrap();
    let mut victim = acceptor.accept(stream).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", database)).await.unwrap();
    stream.write_all(&SSL_REQUEST).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'S');
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&Authority::trusted().path))
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut database = connector.connect(name, stream).await.unwrap();
    // The test checks how the session ends.
    let _ = tokio::io::copy_bidirectional(&mut victim, &mut database).await;
}
