//! The crypto provider of the process.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

/// After how many records of TLS 1.3 our side replaces its key: with records of 2^14 bytes after 112 GiB, before a JVM requests it
/// after 128 GiB (`jdk.tls.keyLimits`, 2^37 bytes). Until the new key arrives, a JVM requests one with each record that it reads, and
/// rustls ends a session after 32 requests without data between them (`TemperCounters` in `src/common_state.rs`, a constant).
const TLS13_RECORDS: u64 = 7 << 20;

/// The one crypto provider of the process: that of aws-lc-rs, with other limits of records.
///
/// TLS 1.2 has none. rustls closes a connection whose AES-GCM key has encrypted 2^24 records, because TLS 1.2 cannot replace a key
/// (`CipherSuiteCommon::confidentiality_limit`): 500 writes a second reach that after 9 hours. OpenSSL, and with it PostgreSQL and
/// libpq, counts no records in TLS 1.2. The nonce of a record is its number, so none repeats. In TLS 1.3 rustls replaces the key
/// after [`TLS13_RECORDS`], and the session continues.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(with_limits(u64::MAX, TLS13_RECORDS)));
    Arc::clone(&PROVIDER)
}

/// Makes [`provider`] the default of libraries that build their own TLS: the Kubernetes client, whose connections carry
/// sessions. A default that was installed before stays.
pub fn install_provider() {
    // An error means that there is a default already.
    let _installed_before = CryptoProvider::clone(&provider()).install_default();
}

fn with_limits(tls12_records: u64, tls13_records: u64) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    for suite in &mut provider.cipher_suites {
        // rustls takes suites that live as long as the process.
        *suite = match suite {
            SupportedCipherSuite::Tls12(suite) => {
                let common = limited(&suite.common, tls12_records);
                let Tls12CipherSuite { prf_provider, kx, sign, aead_alg, .. } = **suite;
                let suite = Tls12CipherSuite { common, prf_provider, kx, sign, aead_alg };
                SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)))
            }
            SupportedCipherSuite::Tls13(suite) => {
                let common = limited(&suite.common, tls13_records);
                let Tls13CipherSuite { hkdf_provider, aead_alg, quic, .. } = **suite;
                let suite = Tls13CipherSuite { common, hkdf_provider, aead_alg, quic };
                SupportedCipherSuite::Tls13(Box::leak(Box::new(suite)))
            }
        };
    }
    provider
}

fn limited(common: &CipherSuiteCommon, records: u64) -> CipherSuiteCommon {
    let CipherSuiteCommon { suite, hash_provider, .. } = *common;
    CipherSuiteCommon { suite, hash_provider, confidentiality_limit: records }
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
        let limited = Arc::new(with_limits(8, TLS13_RECORDS));
        let Connections { mut client, mut server } = Connections::of(&limited, &TLS12);
        assert_eq!(delivered(RECORDS, &mut client, &mut server), 7, "from a client");
        assert_eq!(delivered(RECORDS, &mut server, &mut client), 7, "from a server");
        let Connections { mut client, mut server } = Connections::of(&provider(), &TLS12);
        assert_eq!(delivered(RECORDS, &mut client, &mut server), RECORDS, "from a client");
        assert_eq!(delivered(RECORDS, &mut server, &mut client), RECORDS, "from a server");
    }

    #[test]
    fn the_suites_are_those_of_rustls_in_their_order_with_our_limits() {
        // The default of a JVM, and the length of a full record with its header and tag.
        const JVM_BYTES: u64 = 1 << 37;
        const RECORD_BYTES: u64 = (1 << 14) + 22;
        let (ours, default) = (provider(), aws_lc_rs::default_provider());
        assert_eq!(ours.cipher_suites, default.cipher_suites);
        for suite in &ours.cipher_suites {
            match suite {
                SupportedCipherSuite::Tls12(suite) => {
                    assert_eq!(suite.common.confidentiality_limit, u64::MAX, "{suite:?}");
                }
                SupportedCipherSuite::Tls13(suite) => {
                    assert!(suite.common.confidentiality_limit * RECORD_BYTES < JVM_BYTES, "{suite:?}");
                }
            }
        }
    }

    #[test]
    fn a_session_of_tls_1_3_continues_with_new_keys() {
        const RECORDS: u64 = 100;
        let limited = Arc::new(with_limits(u64::MAX, 8));
        let Connections { mut client, mut server } = Connections::of(&limited, &TLS13);
        assert_eq!(delivered(RECORDS, &mut client, &mut server), RECORDS, "from a client");
        assert_eq!(delivered(RECORDS, &mut server, &mut client), RECORDS, "from a server");
    }

    /// A constant of rustls, which no setting changes; see [`TLS13_RECORDS`].
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
