//! Certificates that OpenSSL takes and webpki does not read: X.509 version 1 (`openssl x509 -req` without extensions, as
//! PostgreSQL's manual had it for years), an unknown critical extension, a key for RSA-PSS only. Where the mode verifies
//! nothing, the server must prove that it has the key, as with libpq. The oracle is psql with `sslmode=require`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt;

use crate::support::builder::World;
use crate::support::fake_database::FakeDatabase;
use crate::support::postgres::Postgres;
use crate::support::protocol::{FirstPacket, read_first};
use crate::support::raw::{Raw, Refusal};
use crate::support::scratch;

const MAKE: &str = "
set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj '/CN=Old CA' -days 30
echo 'subjectAltName=DNS:localhost' >names
printf 'subjectAltName=DNS:localhost\\n1.2.3.4=critical,ASN1:NULL\\n' >critical
issue() {
    name=$1 extensions=$2
    shift 2
    openssl genpkey -out $name.key \"$@\"
    openssl req -new -key $name.key -subj /CN=localhost -out $name.csr
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out $name.pem $extensions
}
issue v1-rsa '' -algorithm RSA
issue v1-p256 '' -algorithm EC -pkeyopt ec_paramgen_curve:P-256
issue v1-p384 '' -algorithm EC -pkeyopt ec_paramgen_curve:P-384
issue critical '-extfile critical' -algorithm RSA
issue pss '-extfile names' -algorithm RSA-PSS
issue v1-pss '' -algorithm RSA-PSS
";

const VERSION_1: &str =
    "is of X.509 version 1, and TLS needs version 3 here; issue it again with a subjectAltName";

fn make() -> PathBuf {
    let directory = scratch::new_directory("old-certificates");
    let output = Command::new("sh").args(["-c", MAKE]).current_dir(&directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in", "v1-rsa.pem"])
        .current_dir(&directory)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&text.stdout).contains("Version: 1 "), "{text:?}");
    directory
}

/// Gives the running PostgreSQL another certificate, and this as its newest TLS version.
async fn reload(postgres: &Postgres, directory: &Path, name: &str, version: &str) {
    for (own, extension) in [(&postgres.certificate.path, "pem"), (&postgres.certificate.key_path, "key")] {
        fs::write(own, fs::read(directory.join(name).with_extension(extension)).unwrap()).unwrap();
    }
    let seen = postgres.log().matches("received SIGHUP").count();
    postgres.execute(&format!("alter system set ssl_max_protocol_version to '{version}'")).await;
    postgres.execute("select pg_reload_conf()").await;
    while postgres.log().matches("received SIGHUP").count() == seen {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = postgres.log();
    assert!(!log.contains("could not load") && !log.contains("could not be loaded"), "{log}");
}

fn psql(postgres: &Postgres) -> String {
    let url = format!("host=localhost port={} user=by_trust dbname=app sslmode=require", postgres.port);
    let output = Command::new("psql")
        .args([&url, "-XAtc", "select version from pg_stat_ssl where pid = pg_backend_pid()"])
        .output()
        .unwrap();
    assert!(output.status.success(), "the oracle connects: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn log_in(port: u16, host: &str) -> Result<String, Refusal> {
    let parameters = [("user", "by_trust"), ("database", "app"), ("host", host)];
    let (mut raw, _) = Raw::log_in(port, &parameters).await?;
    raw.query("select version from pg_stat_ssl where pid = pg_backend_pid()").await
}

#[tokio::test]
async fn prefer_and_require_connect_to_what_psql_connects_to_and_the_others_name_the_reason() {
    let directory = make();
    let ca = directory.join("ca.pem");
    let postgres = Postgres::start().await;
    let mut worlds = Vec::new();
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let root = if mode.starts_with("verify") {
            format!(", root_certificate: {}", ca.display())
        } else {
            String::new()
        };
        let world = World::new()
            .with_postgres(Arc::clone(&postgres))
            .with_server(&format!("targets: {{old: {{host: <postgres>, ssl: {{mode: {mode}{root}}}}}}}"))
            .without_client()
            .start()
            .await;
        worlds.push((mode, world));
    }
    let host = format!("localhost:{}", postgres.port);
    let critical = "has the critical extension 1.2.3.4, which this program does not know";
    for (name, verified) in [
        ("v1-rsa", Err(VERSION_1)),
        ("v1-p256", Err(VERSION_1)),
        ("v1-p384", Err(VERSION_1)),
        ("v1-pss", Err(VERSION_1)),
        ("critical", Err(critical)),
        ("pss", Ok(())),
    ] {
        for version in ["TLSv1.2", "TLSv1.3"] {
            reload(&postgres, &directory, name, version).await;
            assert_eq!(psql(&postgres), version, "{name}");
            for (mode, world) in &worlds {
                let result = log_in(world.server().port(), &host).await;
                match (verified, result) {
                    (Err(reason), Err(refusal)) if mode.starts_with("verify") => {
                        refusal
                            .expect("08001", &["the certificate of localhost is not trusted: it ", reason]);
                    }
                    // rustls has no name for the signature schemes of these keys, and checks it in TLS 1.2.
                    (_, Err(refusal)) if name.ends_with("pss") && version == "TLSv1.2" => {
                        refusal.expect(
                            "08001",
                            &["localhost signed the TLS 1.2 handshake", "RSA-PSS key; turn on TLS 1.3"],
                        );
                    }
                    (_, Ok(found)) => {
                        assert!(verified.is_ok() || !mode.starts_with("verify"), "{name} {version} {mode}");
                        assert_eq!(found, version, "{name} {mode}");
                    }
                    (_, Err(refusal)) => panic!("{name} {version} {mode}: {refusal:?}"),
                }
            }
        }
    }
    for (_, world) in worlds {
        world.stop().await;
    }
    postgres.stop();
}

/// A server with a certificate of version 1, and with the key of another one: what an impostor has.
#[derive(Debug)]
struct Impostor(Arc<CertifiedKey>);

impl ResolvesServerCert for Impostor {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn a_signature_by_another_key_is_refused() {
    let directory = make();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    for (name, other) in [("v1-rsa", "critical"), ("v1-p256", "other"), ("critical", "v1-rsa")] {
        if other == "other" {
            let status = Command::new("openssl")
                .args([
                    "genpkey",
                    "-algorithm",
                    "EC",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-out",
                    "other.key",
                ])
                .current_dir(&directory)
                .status()
                .unwrap();
            assert!(status.success());
        }
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let chain =
                vec![CertificateDer::from_pem_file(directory.join(name).with_extension("pem")).unwrap()];
            let key = PrivateKeyDer::from_pem_file(directory.join(other).with_extension("key")).unwrap();
            let key = provider.key_provider.load_private_key(key).unwrap();
            let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(Impostor(Arc::new(CertifiedKey::new(chain, key)))));
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            let fake = FakeDatabase::start(move |mut stream| {
                let acceptor = acceptor.clone();
                async move {
                    assert!(matches!(read_first(&mut stream).await, Ok(FirstPacket::SslRequest)));
                    stream.write_all(b"S").await.unwrap();
                    assert!(acceptor.accept(stream).await.is_err());
                }
            })
            .await;
            let world = World::new()
                .with_server(&format!("targets: {{fake: {}}}", fake.target("require")))
                .without_client()
                .start()
                .await;
            let refusal =
                log_in(world.server().port(), &format!("localhost:{}", fake.port)).await.unwrap_err();
            refusal
                .expect("08001", &["localhost did not prove that it has the private key of its certificate"]);
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn certificates_of_ours_are_refused_with_the_reason() {
    let directory = make();
    let path =
        |name: &str, extension: &str| directory.join(name).with_extension(extension).display().to_string();
    for (name, reason) in [
        ("v1-rsa", format!("the certificate {VERSION_1}")),
        ("critical", "the certificate has the critical extension 1.2.3.4".to_owned()),
        ("pss", "the certificate has an RSA-PSS key, with which this program cannot sign".to_owned()),
    ] {
        let (certificate, key) = (path(name, "pem"), path(name, "key"));
        for yaml in [
            format!("proxy: {{ssl: {{enabled: true, certificate: {certificate}, private_key: {key}}}}}"),
            format!("proxy: {{ssl: {{client_certificate: {certificate}, client_private_key: {key}}}}}"),
        ] {
            let config = directory.join("config.yaml");
            fs::write(&config, format!("rds: {{enabled: false}}\n{yaml}\n")).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_rds-auth-proxy"))
                .args(["server", "--configfile"])
                .arg(&config)
                .output()
                .unwrap();
            let error = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert!(!output.status.success(), "{yaml}: {error}");
            assert!(error.contains(&certificate) && error.contains(&reason), "{yaml}: {error}");
        }
    }
}
