//! Client certificates of applications: `proxy.ssl.client_ca`, `proxy.ssl.client_auth` and `allowed_client_names`.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{client, error, read, server};
use crate::config::{Config, Mode};
use crate::net::Address;
use crate::tls::{ClientAuth, SelfSigned};

/// A directory with `ca.pem`, and `old.pem` with its key, which has expired.
fn files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("ca.pem"), SelfSigned::generate(&["ca".into()]).unwrap().certificate_pem).unwrap();
    let mut params = CertificateParams::new(vec!["old".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2021, 1, 1);
    let key = KeyPair::generate().unwrap();
    fs::write(path("old.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(path("old.key"), key.serialize_pem()).unwrap();
    fs::write(path("text.pem"), "no certificate").unwrap();
    directory
}

fn auth(config: &Config) -> Option<&ClientAuth> {
    config.acceptor.as_ref()?.settings().client_auth.as_ref()
}

#[test]
fn client_certificates_are_none_of_its_business_requested_or_required() {
    let files = files();
    let ca = files.path().join("ca.pem");
    for (keys, required) in [
        (String::new(), None),
        (format!("client_auth: none, client_ca: '{}'", ca.display()), None),
        (format!("client_auth: request, client_ca: '{}'", ca.display()), Some(false)),
        (format!("client_auth: require, client_ca: '{}'", ca.display()), Some(true)),
    ] {
        let text = format!("proxy: {{ssl: {{enabled: true, {keys}}}}}");
        for config in [client(&text), server(&text)] {
            assert_eq!(
                auth(&config),
                required.map(|required| ClientAuth { ca: ca.clone(), crl: None, required }).as_ref()
            );
            let settings = config.acceptor.as_ref().unwrap().settings();
            assert_eq!(settings.refuses_plaintext(), required == Some(true), "{keys}");
        }
    }
}

#[test]
fn keys_that_need_each_other_are_errors_with_their_place() {
    let files = files();
    let path = |name: &str| files.path().join(name).display().to_string();
    let ca = path("ca.pem");
    let ssl = |keys: &str| format!("proxy:\n  ssl:\n    {keys}\n");
    let targets = |names: &str| format!("targets:\n  a:\n    host: a:1\n    allowed_client_names: {names}\n");
    let requesting = ssl(&format!("{{enabled: true, client_auth: request, client_ca: '{ca}'}}"));
    for (text, expected) in [
        (
            ssl("enabled: true\n    client_auth: require"),
            "4:18: proxy.ssl.client_auth: client certificates need `client_ca`, the certificate of the CA that signs them".to_owned(),
        ),
        (
            ssl(&format!("enabled: true\n    client_ca: {ca}")),
            "4:5: proxy.ssl.client_ca: `client_ca` has no effect without `client_auth`; set that to require, or to request where \
             applications may come without a certificate"
                .to_owned(),
        ),
        (
            ssl(&format!("client_ca: {ca}\n    client_auth: require")),
            "4:18: proxy.ssl.client_auth: TLS is off here, so this would refuse every connection; set `enabled: true` as well".to_owned(),
        ),
        (
            ssl(&format!("client_ca: {ca}\n    client_auth: request")),
            "4:18: proxy.ssl.client_auth: client certificates need TLS, which is off here; set `enabled: true` as well".to_owned(),
        ),
        (
            ssl("client_auth: always"),
            "3:18: proxy.ssl.client_auth: expected one of none, request, require, found `always`".to_owned(),
        ),
        (
            ssl(&format!("enabled: true\n    client_auth: require\n    client_ca: {}", path("old.pem"))),
            format!(
                "5:16: proxy.ssl.client_ca: the certificate {} expired on Jan  1 00:00:00 2021 +00:00; replace it",
                path("old.pem")
            ),
        ),
        (
            ssl(&format!("enabled: true\n    client_auth: require\n    client_ca: {}", path("text.pem"))),
            format!("5:16: proxy.ssl.client_ca: {} holds no certificate in PEM form", path("text.pem")),
        ),
        (
            ssl(&format!("enabled: true\n    client_crl: {ca}")),
            "4:5: proxy.ssl.client_crl: `client_crl` has no effect without `client_ca` and `client_auth`".to_owned(),
        ),
        (
            ssl(&format!("enabled: true\n    client_auth: require\n    client_ca: {ca}\n    client_crl: {ca}")),
            format!("6:17: proxy.ssl.client_crl: {ca} holds no certificate revocation list in PEM form"),
        ),
        (
            ssl("enabled: true\n    min_version: '1.3'"),
            "4:18: proxy.ssl.min_version: expected TLSv1.2 or TLSv1.3, found `1.3`".to_owned(),
        ),
        (
            ssl(&format!("enabled: true\n    certificates:\n      - certificate: {ca}")),
            "5:9: proxy.ssl.certificates[0].certificate: `certificate` needs `private_key`, which is missing".to_owned(),
        ),
        (
            ssl(&format!(
                "enabled: true\n    certificates:\n      - certificate: {}\n        private_key: {}",
                path("old.pem"),
                path("old.key")
            )),
            format!(
                "5:22: proxy.ssl.certificates[0].certificate: the certificate {} expired on Jan  1 00:00:00 2021 +00:00; replace it",
                path("old.pem")
            ),
        ),
        (
            targets("[orders]"),
            "4:5: targets.a.allowed_client_names: no client certificate is requested, so this would refuse every connection; set \
             `proxy.ssl.client_ca` and `proxy.ssl.client_auth: require` as well"
                .to_owned(),
        ),
        (
            requesting.clone() + &targets("[]"),
            "7:5: targets.a.allowed_client_names: an empty list would refuse every connection; name the client certificates that \
             may reach this target, or remove the key"
                .to_owned(),
        ),
    ] {
        assert_eq!(error(&text), format!("config.yaml:{expected}"));
    }
    for name in ["", "*", "*.", "a.*.example", "**.example", "*.*.example"] {
        let found = error(&format!("{requesting}{}", targets(&format!("['{name}']"))));
        assert!(found.contains("targets.a.allowed_client_names[0]: expected a DNS name"), "{name}: {found}");
    }
}

/// The certificate of every application is what `allow_remote` asks for; a request is not enough.
#[test]
fn required_certificates_let_a_client_listen_beyond_loopback() {
    let files = files();
    let ca = files.path().join("ca.pem").display().to_string();
    let text = |auth: &str| {
        format!(
            "upstream_proxies: {{default: {{host: 'a:1'}}}}\n\
             proxy: {{listen_addr: ':8001', ssl: {{enabled: true, client_ca: '{ca}', client_auth: {auth}}}}}"
        )
    };
    let config = client(&text("require"));
    assert_eq!(config.check_bound("proxy.listen_addr", &config.listen, &config.listen), Ok(true));
    assert!(!config.allow_other_users, "a certificate says nothing about the users of this machine");
    assert!(matches!(config.listen, Address::Tcp(_)));
    let found = read(&text("request"), Mode::Client).unwrap_err();
    assert!(found.contains("is not a loopback address") && found.contains("client_auth: require"), "{found}");
}
