//! The crypto provider of the process.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite};

/// The one crypto provider of the process: that of aws-lc-rs, without its limit of records in TLS 1.2.
///
/// rustls closes a connection whose AES-GCM key has encrypted 2^24 records, because TLS 1.2 cannot replace a key
/// (`CipherSuiteCommon::confidentiality_limit`). A session has one key for its life: 500 writes a second reach the limit after 9
/// hours. OpenSSL, and with it PostgreSQL and libpq, counts no records in TLS 1.2. The nonce of a record is its number, so none
/// repeats. TLS 1.3 keeps its limits: rustls then replaces the key, and the session continues.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(with_tls12_limit(u64::MAX)));
    Arc::clone(&PROVIDER)
}

/// Makes [`provider`] the default of libraries that build their own TLS: the Kubernetes client, whose connections carry
/// sessions. A default that was installed before stays.
pub fn install_provider() {
    // An error means that there is a default already.
    let _installed_before = CryptoProvider::clone(&provider()).install_default();
}

fn with_tls12_limit(records: u64) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    for suite in &mut provider.cipher_suites {
        match suite {
            SupportedCipherSuite::Tls12(tls12) => *suite = limited(tls12, records),
            SupportedCipherSuite::Tls13(_) => {}
        }
    }
    provider
}

fn limited(suite: &Tls12CipherSuite, records: u64) -> SupportedCipherSuite {
    let common = CipherSuiteCommon {
        suite: suite.common.suite,
        hash_provider: suite.common.hash_provider,
        confidentiality_limit: records,
    };
    let Tls12CipherSuite { prf_provider, kx, sign, aead_alg, .. } = *suite;
    // rustls takes suites that live as long as the process.
    SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
        common,
        prf_provider,
        kx,
        sign,
        aead_alg,
    })))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustls::pki_types::ServerName;
    use rustls::version::{TLS12, TLS13};
    use rustls::{
        ClientConfig, ClientConnection, ConnectionCommon, Error, PeerMisbehaved, ServerConfig,
        ServerConnection, SupportedProtocolVersion,
    };

    use super::*;
    use crate::tls::SelfSigned;
    use crate::tls::roots::LoadedRoots;
    use crate::tls::verify::{Verification, Verifier};

    /// A client and a server in memory, after the handshake.
    struct Connections {
        client: ClientConnection,
        server: ServerConnection,
    }

    impl Connections {
        fn of(provider: &Arc<CryptoProvider>, version: &'static SupportedProtocolVersion) -> Self {
            let (chain, key) = SelfSigned::generate(&["localhost".to_owned()]).unwrap().chain().unwrap();
            let server = ServerConfig::builder_with_provider(Arc::clone(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(chain, key)
                .unwrap();
            let verifier = Verifier::new(Verification::None, LoadedRoots::empty(), Arc::clone(provider));
            let client = ClientConfig::builder_with_provider(Arc::clone(provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            let name = ServerName::try_from("localhost").unwrap();
            let mut connections = Self {
                client: ClientConnection::new(Arc::new(client), name).unwrap(),
                server: ServerConnection::new(Arc::new(server)).unwrap(),
            };
            while connections.client.is_handshaking() || connections.server.is_handshaking() {
                pass(&mut connections.client, &mut connections.server).unwrap();
                pass(&mut connections.server, &mut connections.client).unwrap();
            }
            connections
        }
    }

    /// Passes on what one side has to send.
    fn pass<A, B>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            to.process_new_packets()?;
        }
        Ok(())
    }

    /// How many of these one-byte records the other side gets.
    fn delivered<A, B>(records: u64, from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) -> u64 {
        for delivered in 0..records {
            from.writer().write_all(b"x").unwrap();
            pass(from, to).unwrap();
            if !matches!(to.reader().read(&mut [0]), Ok(1)) {
                return delivered;
            }
        }
        records
    }

    #[test]
    fn a_record_limit_ends_a_session_of_tls_1_2_and_the_provider_has_none() {
        const RECORDS: u64 = 100;
        // The first record of each key is the Finished message.
        let limited = Arc::new(with_tls12_limit(8));
        let Connections { mut client, mut server } = Connections::of(&limited, &TLS12);
        assert_eq!(delivered(RECORDS, &mut client, &mut server), 7, "from a client");
        assert_eq!(delivered(RECORDS, &mut server, &mut client), 7, "from a server");
        let Connections { mut client, mut server } = Connections::of(&provider(), &TLS12);
        assert_eq!(delivered(RECORDS, &mut client, &mut server), RECORDS, "from a client");
        assert_eq!(delivered(RECORDS, &mut server, &mut client), RECORDS, "from a server");
    }

    #[test]
    fn tls_1_2_has_no_record_limit_and_all_else_is_as_in_rustls() {
        let (ours, default) = (provider(), aws_lc_rs::default_provider());
        assert_eq!(ours.cipher_suites, default.cipher_suites);
        for (ours, default) in ours.cipher_suites.iter().zip(&default.cipher_suites) {
            match (ours, default) {
                (SupportedCipherSuite::Tls12(ours), SupportedCipherSuite::Tls12(_)) => {
                    assert_eq!(ours.common.confidentiality_limit, u64::MAX, "{ours:?}");
                }
                (SupportedCipherSuite::Tls13(ours), SupportedCipherSuite::Tls13(default)) => {
                    assert_eq!(ours.common.confidentiality_limit, default.common.confidentiality_limit);
                }
                _ => panic!("{ours:?} in place of {default:?}"),
            }
        }
    }

    /// rustls' own limit, which no setting changes: docs/reference.md, "Limits", gives its figure.
    #[test]
    fn tls_1_3_takes_32_key_updates_in_a_row_and_application_data_starts_the_count_again() {
        let Connections { mut client, mut server } = Connections::of(&provider(), &TLS13);
        for _ in 0..2 {
            for _ in 0..32 {
                client.refresh_traffic_keys().unwrap();
                pass(&mut client, &mut server).unwrap();
            }
            client.writer().write_all(b"x").unwrap();
            pass(&mut client, &mut server).unwrap();
        }
        for _ in 0..32 {
            client.refresh_traffic_keys().unwrap();
            pass(&mut client, &mut server).unwrap();
        }
        client.refresh_traffic_keys().unwrap();
        let refused = pass(&mut client, &mut server);
        assert_eq!(refused, Err(Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests)));
    }
}
