//! The CA bundle of the environment and of a profile.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// An AWS endpoint with a self-signed certificate. Returns its URL and the certificate.
async fn endpoint() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        loop {
            let stream = listener.accept().await.unwrap().0;
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut request = Vec::new();
                // The calls of Aurora DSQL are GET requests without a body.
                while !request.starts_with(b"GET ") && !String::from_utf8_lossy(&request).contains("Action=")
                {
                    if stream.read_buf(&mut request).await? == 0 {
                        return Ok(());
                    }
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let action = request.split("Action=").nth(1).and_then(|rest| rest.split('&').next());
                let body = action.map_or_else(
                    || r#"{"clusters": []}"#.to_owned(),
                    |action| {
                        format!("<{action}Response><{action}Result></{action}Result></{action}Response>")
                    },
                );
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await?;
                stream.shutdown().await
            });
        }
    });
    (url, certificate.pem())
}

/// botocore: `AWS_CA_BUNDLE` before `ca_bundle`, which replace the roots.
#[tokio::test(flavor = "multi_thread")]
async fn the_ca_bundle_is_that_of_the_aws_cli() {
    let (url, certificate) = endpoint().await;
    let other =
        CertificateParams::new(vec![]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let home = home(&[
        (".aws/credentials", &keys("AKIDTLS", "s", "")),
        // Text and broken certificates in a bundle are skipped.
        (
            "ca.pem",
            &format!("# CA\n{certificate}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        ("other.pem", &other),
        ("empty.pem", "no certificate\n"),
    ]);
    let path = |name: &str| home.path().join(name).display().to_string();
    let listed = |variables: &[(&str, &str)], config: &str| {
        write(home.path(), ".aws/config", config);
        let variables = [variables, &[("AWS_ENDPOINT_URL", &*url)]].concat();
        Proxy::start(home.path(), &variables).send("list")["listed"].as_str().unwrap().to_owned()
    };
    let of_profile = format!("[default]\nca_bundle = {}\n", path("ca.pem"));
    assert_eq!(listed(&[("AWS_CA_BUNDLE", &path("ca.pem"))], ""), "Ok(0)");
    assert_eq!(listed(&[], &of_profile), "Ok(0)");
    assert_eq!(listed(&[("AWS_CA_BUNDLE", "")], "[default]\nca_bundle = ~/ca.pem\n"), "Ok(0)");
    for refused in [listed(&[], ""), listed(&[("AWS_CA_BUNDLE", &path("other.pem"))], &of_profile)] {
        assert!(
            refused.contains("could not be reached") && refused.contains("invalid peer certificate"),
            "{refused}"
        );
    }
    for (name, reason) in [("empty.pem", "it has no certificate"), ("missing.pem", "No such file")] {
        let refused = listed(&[("AWS_CA_BUNDLE", &path(name))], "");
        assert!(
            refused.contains(&format!("AWS_CA_BUNDLE is {}, which cannot be used: {reason}", path(name))),
            "{refused}"
        );
    }
}
