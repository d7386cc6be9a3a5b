//! 2^24 records on a connection of TLS 1.2, the limit that rustls sets by default. OpenSSL has none: psql and PostgreSQL
//! continue. Ignored, because it takes minutes; docs/development.md has the command and a result.

use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::CryptoProvider;
use rustls::{
    CipherSuiteCommon, ClientConfig, ServerConfig, SupportedCipherSuite, Tls12CipherSuite, version::TLS12,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::builder::World;
use crate::support::certificates::{Authority, Validity, roots};
use crate::support::fake_database::{FakeDatabase, LOGIN_OK, accept_tls};
use crate::support::raw::{Raw, SSL_REQUEST, V3_0, startup};

const RECORDS: u32 = (1 << 24) + 1000;

/// Each byte is one record on both legs in both directions: the next one leaves after its echo arrived.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes minutes"]
async fn a_session_of_tls_1_2_outlives_16_777_216_records() {
    let provider = Arc::new(without_limit());
    let acceptor = acceptor(&provider);
    let echo = FakeDatabase::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            stream.set_nodelay(true).unwrap();
            let mut stream = accept_tls(stream, &acceptor).await;
            stream.write_all(LOGIN_OK).await.unwrap();
            while let Ok(byte) = stream.read_u8().await {
                if stream.write_u8(byte).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let world = World::new()
        .with_server_tls()
        .with_server(&format!("targets: {{echo: {}}}", echo.target("verify-full")))
        .without_client()
        .start()
        .await;
    let mut raw = Raw::connect(world.server().port()).await;
    raw.send(SSL_REQUEST).await;
    assert_eq!(raw.byte().await, Some(b'S'));
    let mut raw = raw.encrypt(&connector(&provider)).await.unwrap();
    let host = format!("localhost:{}", echo.port);
    raw.send(&startup(V3_0, &[("user", "alice"), ("database", "app"), ("host", &host)])).await;
    raw.until_ready().await;
    let began = Instant::now();
    for record in 0..RECORDS {
        raw.send(b"x").await;
        assert_eq!(raw.byte().await, Some(b'x'), "record {record}");
        if record.is_multiple_of(1 << 20) {
            eprintln!("{record} records after {:.0?}", began.elapsed());
        }
    }
    eprintln!("{RECORDS} records in {:.0?}", began.elapsed());
    world.stop().await;
}

fn connector(provider: &Arc<CryptoProvider>) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(roots(&Authority::trusted().path))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn acceptor(provider: &Arc<CryptoProvider>) -> TlsAcceptor {
    let certificate = Authority::trusted().issue(&["localhost"], Validity::Now);
    let (chain, key) = certificate.der();
    let config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A peer as OpenSSL: one suite with AES-GCM, and no limit of records.
fn without_limit() -> CryptoProvider {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;
    let SupportedCipherSuite::Tls12(&Tls12CipherSuite { ref common, prf_provider, kx, sign, aead_alg }) =
        suite
    else {
        panic!("{suite:?} is of TLS 1.2");
    };
    let common = CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: u64::MAX,
    };
    let suite = Tls12CipherSuite { common, prf_provider, kx, sign, aead_alg };
    CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))],
        ..provider
    }
}
