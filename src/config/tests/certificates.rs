//! Certificates: which one a server gets, and the errors about files that cannot be used.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use tempfile::TempDir;

use super::{client, error, error_of_databases, rds, server};
use crate::config::Config;
use crate::net::{Address, HostPort, dial};
use crate::tls::{ClientCertificate, Connector, Roots, SelfSigned, ServerIdentity, Settings, SslMode};

/// A directory with `a.pem` and `a.key`, `b.pem` and `b.key`, and `text.pem`, which has no certificate.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            let generated = SelfSigned::generate(&[name.to_owned()]).unwrap();
            fs::write(directory.path().join(name).with_extension("pem"), &generated.certificate_pem).unwrap();
            fs::write(directory.path().join(name).with_extension("key"), generated.key_pem.expose()).unwrap();
        }
        fs::write(directory.path().join("text.pem"), "no certificate").unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn certificate(&self, name: &str) -> Vec<u8> {
        CertificateDer::from_pem_file(self.path(name)).unwrap().to_vec()
    }

    /// The text with every `@NAME` replaced by the path of that file.
    fn fill(&self, text: &str) -> String {
        text.replace('@', &format!("{}/", self.0.path().display()))
    }
}

#[tokio::test]
async fn a_certificate_of_a_section_replaces_that_of_proxy_ssl() {
    let files = Files::new();
    let text = files.fill(
        r"
proxy:
  ssl: {client_certificate: '@a.pem', client_private_key: '@a.key'}
upstream_proxies:
  inherits: {host: 'a:1'}
  own: {host: 'a:1', ssl: {client_certificate: '@b.pem', client_private_key: '@b.key'}}
targets:
  inherits: {host: 'a:1', ssl: {mode: prefer}}
  own: {host: 'b:1', ssl: {client_cert: '@b.pem', client_private_key: '@b.key'}}
",
    );
    let (client, config) = (client(&text), server(&text));
    let [a, b] = ["a.pem", "b.pem"].map(|name| files.certificate(name));
    assert_eq!(presented(client.upstreams["inherits"].connector().unwrap()).await, a);
    assert_eq!(presented(client.upstreams["own"].connector().unwrap()).await, b);
    assert_eq!(presented(&of_target(&config, 0)).await, a);
    assert_eq!(presented(&of_target(&config, 1)).await, b);
    assert_eq!(presented(&Connector::new(config.default_tls.fixed.clone())).await, a);
    assert_eq!(presented(&Connector::new(discovered(&config).with(&config.targets[1].tls))).await, b);
}

#[tokio::test]
async fn one_generated_certificate_is_used_for_all() {
    let config = client("upstream_proxies: {up: {host: 'a:1'}, other: {host: 'a:1', ssl: {mode: prefer}}}");
    let of = |config: &Config, name: &str| Arc::clone(config.upstreams[name].connector().unwrap());
    let first = presented(&of(&config, "up")).await;
    assert_eq!(presented(&of(&config, "other")).await, first);
    assert_eq!(presented(&Connector::new(config.default_tls.fixed.clone())).await, first);
    let databases = server("targets: {db: {host: 'a:1', ssl: {}}}");
    let shared = presented(&Connector::new(databases.default_tls.fixed.clone())).await;
    assert_eq!(presented(&of_target(&databases, 0)).await, shared);
    let other = client("upstream_proxies: {up: {host: 'a:1'}}");
    assert_ne!(presented(&of(&other, "up")).await, first);
}

#[test]
fn a_root_certificate_makes_require_verify() {
    let files = Files::new();
    let text = files.fill(
        r"
upstream_proxies:
  plain: {host: 'a:1', ssl: {mode: require}}
  rooted: {host: 'a:1', ssl: {root_certificate: '@a.pem'}}
  tunnel: {port_forward: {deployment: d}, ssl: {mode: verify-full, root_certificate: '@'}}
  rooted-tunnel: {port_forward: {deployment: d}, ssl: {root_certificate: '@a.pem'}}
  prefers: {port_forward: {deployment: d}, ssl: {mode: prefer, root_certificate: '@a.pem'}}
rds: {root_certificate: '@b.pem'}
",
    );
    let config = client(&text);
    let verifies = |name: &str| config.upstreams[name].connector().unwrap().verifies();
    assert_eq!((verifies("plain"), verifies("rooted"), verifies("tunnel")), (false, true, true));
    let discovered = server(&text).default_tls.discovered(&rds("us-east-1"));
    assert_eq!(
        (discovered.mode, discovered.roots),
        (SslMode::VerifyFull, Some(Roots::Path(files.path("b.pem"))))
    );
    // Roots without a mode demand verification. A written `prefer` counts as it is.
    let tls = |name: &str| {
        let connector = config.upstreams[name].connector().unwrap();
        (connector.mode(), connector.verifies())
    };
    assert_eq!(tls("rooted-tunnel"), (SslMode::Require, true));
    assert_eq!(tls("prefers"), (SslMode::Prefer, false));
}

#[test]
fn tls_that_does_not_verify_an_upstream_proxy_is_reported() {
    let warning = |transport: &str, mode: &str| {
        let yaml = format!("upstream_proxies: {{up: {{{transport}, ssl: {{mode: {mode}}}}}}}");
        client(&yaml).upstreams["up"].tls_warning()
    };
    let weak = [
        ("require", "encrypts but does not verify"),
        ("prefer", "is optional and does not verify"),
        ("disable", "the network can read tokens"),
    ];
    for (mode, text) in weak {
        for host in ["host: 'proxy.example.com:8000'", "host: '10.0.0.1:8000'"] {
            let warning = warning(host, mode).unwrap();
            assert!(warning.contains(text) && warning.ends_with("set ssl.mode to verify-full"), "{warning}");
        }
    }
    for host in ["localhost:8000", "127.0.0.2:8000", "[::1]:8000", "unix:/run/proxy.sock"] {
        let host = format!("host: '{host}'");
        assert_eq!((warning(&host, "prefer"), warning(&host, "disable")), (None, None), "{host}");
        assert!(warning(&host, "require").is_some());
    }
    let tunnel = "port_forward: {deployment: d}";
    assert_eq!((warning(tunnel, "prefer"), warning(tunnel, "disable")), (None, None));
    assert!(warning("host: 'proxy.example.com:8000'", "verify-full").is_none());
}

#[test]
fn verify_ca_needs_a_root() {
    let reason = "the TLS mode verify-ca needs a root_certificate";
    for (text, position) in [
        (
            "upstream_proxies:\n  a: {host: 'a:1', ssl: {mode: verify-ca}}\n",
            "2:26: upstream_proxies.a.ssl.mode: ",
        ),
        (
            "rds: {enabled: false}\ntargets:\n  a: {host: 'a:1', ssl: {mode: verify-ca}}\n",
            "3:26: targets.a.ssl.mode: ",
        ),
    ] {
        let error = error(text);
        assert!(error.contains(position) && error.contains(reason), "{error}");
    }
    // Discovery may find the host of a static target; then the roots are those of RDS.
    client("targets: {a: {host: 'a:1', ssl: {mode: verify-ca}}}");
}

#[test]
fn the_certificate_for_applications_comes_from_files() {
    let files = Files::new();
    let config =
        client(&files.fill("proxy: {ssl: {enabled: true, certificate: '@a.pem', private_key: '@a.key'}}"));
    let identity =
        ServerIdentity::Files { certificate: files.path("a.pem"), private_key: files.path("a.key") };
    assert_eq!(config.acceptor.as_ref().map(|acceptor| &acceptor.settings().identity), Some(&identity));
}

#[test]
fn a_certificate_without_its_key_is_refused_and_vice_versa() {
    for (text, message) in [
        (
            "proxy:\n  ssl:\n    certificate: a\n",
            "3:5: proxy.ssl.certificate: `certificate` needs `private_key`",
        ),
        (
            "proxy:\n  ssl:\n    private_key: a\n",
            "3:5: proxy.ssl.private_key: `private_key` needs `certificate`",
        ),
        (
            "proxy:\n  ssl: {client_certificate: a}\n",
            "2:9: proxy.ssl.client_certificate: `client_certificate` needs `client_private_key`",
        ),
        (
            "proxy:\n  ssl: {client_private_key: a}\n",
            "2:9: proxy.ssl.client_private_key: `client_private_key` needs `client_certificate`",
        ),
        (
            "targets:\n  a: {host: 'a:1', ssl: {client_private_key: a}}\n",
            "2:26: targets.a.ssl.client_private_key: `client_private_key` needs `client_certificate`",
        ),
        (
            "upstream_proxies:\n  a: {host: 'a:1', ssl: {client_certificate: a}}\n",
            "2:26: upstream_proxies.a.ssl.client_certificate: `client_certificate` needs `client_private_key`",
        ),
        (
            "upstream_proxies:\n  a: {host: 'a:1', ssl: {client_cert: a}}\n",
            "2:26: upstream_proxies.a.ssl.client_cert: `client_cert` needs `client_private_key`",
        ),
    ] {
        assert_eq!(error(text), format!("config.yaml:{message}, which is missing"));
    }
}

#[test]
fn a_file_that_cannot_be_used_is_reported_with_its_key() {
    let files = Files::new();
    for (text, position, reason) in [
        ("rds:\n  root_certificate: '@none.pem'\n", "2:21: rds.root_certificate: ", "cannot be read"),
        ("rds:\n  root_certificate: '@text.pem'\n", "2:21: rds.root_certificate: ", "holds no certificate"),
        (
            "targets:\n  a: {host: 'a:1', ssl: {mode: verify-ca, root_certificate: '@text.pem'}}\n",
            "2:61: targets.a.ssl.root_certificate: ",
            "holds no certificate",
        ),
        (
            "proxy:\n  ssl:\n    client_certificate: '@a.pem'\n    client_private_key: '@text.pem'\n",
            "4:25: proxy.ssl.client_private_key: ",
            "holds no unencrypted private key",
        ),
        (
            "proxy:\n  ssl:\n    client_certificate: '@a.pem'\n    client_private_key: '@b.key'\n",
            "3:25: proxy.ssl.client_certificate: ",
            "cannot be used",
        ),
        (
            "targets:\n  a:\n    host: a:1\n    ssl:\n      client_private_key: '@a.key'\n      client_cert: '@none.pem'\n",
            "6:20: targets.a.ssl.client_cert: ",
            "cannot be read",
        ),
        (
            "proxy:\n  ssl: {enabled: true, certificate: '@a.pem', private_key: '@none.key'}\n",
            "proxy.ssl.private_key: ",
            "cannot be read",
        ),
        (
            "proxy:\n  ssl: {enabled: true, certificate: '@text.pem', private_key: '@a.key'}\n",
            "2:37: proxy.ssl.certificate: ",
            "holds no certificate",
        ),
    ] {
        let error = error_of_databases(&files.fill(text));
        assert!(error.contains(position) && error.contains(reason), "{text}: {error}");
    }
}

/// The connector of a target that discovery does not find.
fn of_target(config: &Config, index: usize) -> Connector {
    Connector::new(config.default_tls.fixed.with(&config.targets[index].tls))
}

/// TLS towards a discovered database, unverified so that any server may answer.
fn discovered(config: &Config) -> Settings {
    Settings { mode: SslMode::Require, roots: None, ..config.default_tls.discovered(&rds("us-east-1")) }
}

/// The certificate that the connector sends to a server that requests one.
async fn presented(connector: &Connector) -> Vec<u8> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(requesting()));
        let stream = acceptor.accept(stream).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    });
    let address = Address::Tcp(HostPort::new("127.0.0.1", port));
    let socket = dial(&address, Duration::from_secs(5)).await.unwrap();
    let _open = connector.connect(socket, "localhost", ClientCertificate::Shown).await.unwrap();
    accepting.await.unwrap()
}

fn requesting() -> ServerConfig {
    let generated = SelfSigned::generate(&["localhost".into()]).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(generated.certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(generated.key_pem.expose()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AcceptsAny))
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![crate::tls::ALPN.to_vec()];
    config
}

/// Requests a certificate and accepts any.
#[derive(Debug)]
struct AcceptsAny;

type Signed = Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error>;

impl ClientCertVerifier for AcceptsAny {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Signed {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Signed {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
