//! TLS towards applications and towards servers: modes, roots, certificates, and why a peer is not trusted.

mod acceptor;
mod certificate_choice;
mod client_auth;
mod client_cert_resolver;
mod connector;
mod connector_cache;
mod distrust;
mod embedded_roots;
mod error;
mod handshake_signature;
mod negotiation;
mod peer_certificate;
mod pem;
mod provider;
mod reload;
mod roots;
mod self_signed;
mod server_settings;
mod settings;
mod ssl_mode;
mod trial_ca;
mod trusted_clients;
mod unsupported;
mod verified_client;
mod verify;
mod x509;

use provider::provider;

pub use acceptor::{Acceptor, Encrypted};
pub use client_auth::{ClientAuth, ClientCertificateError};
pub use connector::{ClientCertificate, Connector};
pub use connector_cache::ConnectorCache;
pub use embedded_roots::rds_regions;
pub use error::{PemItem, TlsError};
pub use negotiation::Negotiation;
pub use peer_certificate::PeerCertificate;
pub use pem::usable_certificates;
pub use provider::install_provider;
pub use roots::Roots;
pub use self_signed::SelfSigned;
pub use server_settings::{MinVersion, ServerIdentity, ServerSettings};
pub use settings::{ClientIdentity, Overrides, Settings};
pub use ssl_mode::{SslMode, UnknownSslMode};
pub use trial_ca::{Issued, TrialCa};
pub use verified_client::VerifiedClient;
pub use x509::{CertificateExpiry, all_expired, expired, is_version_1, not_after, server_end_point};

/// The ALPN protocol of PostgreSQL (IANA TLS ALPN registry; `PG_ALPN_PROTOCOL` in src/include/libpq/pqcomm.h).
pub const ALPN: &[u8] = b"postgresql";

/// The ALPN protocol between the two halves of this program. A client offers it beside `postgresql`; a server that selects it
/// requests the further startup parameters of the contract. It means nothing to other servers.
pub const EXTENSION_ALPN: &[u8] = b"rds-auth-proxy/1";
