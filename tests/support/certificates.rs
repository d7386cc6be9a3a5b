//! Certificate authorities and certificates, generated in every test process.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use super::scratch;

static TRUSTED: LazyLock<Authority> = LazyLock::new(|| Authority::root("Test CA"));
static INTERMEDIATE: LazyLock<Authority> = LazyLock::new(|| TRUSTED.intermediate("Test Intermediate CA"));
static FOREIGN: LazyLock<Authority> = LazyLock::new(|| Authority::root("Foreign CA"));

/// The validity period of a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validity {
    /// Includes today.
    #[default]
    Now,
    /// Ended in 2021.
    Expired,
    /// Begins in 2090.
    NotYet,
    /// Ends after this time.
    Until(std::time::Duration),
}

/// A certificate authority.
pub struct Authority {
    /// Its certificate as a PEM file.
    pub path: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The intermediate certificates as PEM.
    chain: String,
}

/// A certificate with its key, as PEM files and as PEM text. The chain excludes the root.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub path: PathBuf,
    pub key_path: PathBuf,
    pub chain_pem: String,
    pub key_pem: String,
}

impl Authority {
    /// The root authority that the proxies of the test world trust.
    pub fn trusted() -> &'static Self {
        &TRUSTED
    }

    /// An intermediate authority below the trusted root. Its certificate is in the chain of those that it issues.
    pub fn trusted_intermediate() -> &'static Self {
        &INTERMEDIATE
    }

    /// A root authority that no proxy trusts by default.
    pub fn foreign() -> &'static Self {
        &FOREIGN
    }

    /// Issues a server and client certificate for `names`, each a DNS name or an IP address.
    pub fn issue(&self, names: &[&str], validity: Validity) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names.first().map_or("unnamed", String::as_str));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, validity);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate::write(&(certificate.pem() + &self.chain), &key.serialize_pem())
    }

    /// Issues a client certificate with this common name, if any, and these names: URIs, which contain `://`, and DNS names.
    pub fn issue_client(&self, common_name: &str, names: &[&str], validity: Validity) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !common_name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common_name);
        }
        params.subject_alt_names = names
            .iter()
            .map(|name| {
                if name.contains("://") {
                    SanType::URI((*name).try_into().unwrap())
                } else {
                    SanType::DnsName((*name).try_into().unwrap())
                }
            })
            .collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        set_validity(&mut params, validity);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate::write(&(certificate.pem() + &self.chain), &key.serialize_pem())
    }

    /// Its list of these revoked certificates, as PEM, which is valid until the first day of this year.
    pub fn revocation_list(&self, revoked: &[&Certificate], until: i32) -> String {
        let entry = |certificate: &&Certificate| {
            let (chain, _) = certificate.der();
            let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(parsed.raw_serial()),
                revocation_time: rcgen::date_time_ymd(2021, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }
        };
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// Issues a certificate for a server, and for no client.
    pub fn issue_server(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, Validity::Now);
        let key = KeyPair::generate().unwrap();
        Certificate::write(&params.signed_by(&key, &self.issuer).unwrap().pem(), &key.serialize_pem())
    }

    /// A certificate that signs itself and is no CA, and one below it that its key has signed all the same.
    pub fn self_signed_with_one_below(name: &str) -> (Certificate, Certificate) {
        let (mut params, key) = authority(name);
        (params.is_ca, params.key_usages) = (IsCa::NoCa, Vec::new());
        set_validity(&mut params, Validity::Now);
        let own = Certificate::write(&params.self_signed(&key).unwrap().pem(), &key.serialize_pem());
        let issuer = Self { path: own.path.clone(), issuer: Issuer::new(params, key), chain: String::new() };
        (own, issuer.issue_client("below", &[], Validity::Now))
    }

    fn root(name: &str) -> Self {
        let (params, key) = authority(name);
        let certificate = params.self_signed(&key).unwrap();
        let path = write_authority(&certificate.pem());
        Self { path, issuer: Issuer::new(params, key), chain: String::new() }
    }

    fn intermediate(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { path: write_authority(&pem), issuer: Issuer::new(params, key), chain: pem }
    }
}

impl Certificate {
    /// A rustls server configuration with this certificate and PostgreSQL's ALPN name. Like RDS, which sets
    /// `ssl_ca_file`, it requests a client certificate of the trusted authority and refuses others. With `require_client`
    /// it also refuses clients without one.
    pub fn server_config(&self, require_client: bool) -> Arc<ServerConfig> {
        let (chain, key) = self.der();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trusted = Arc::new(roots(&Authority::trusted().path));
        let verifier = WebPkiClientVerifier::builder_with_provider(trusted, provider.clone());
        let verifier = if require_client { verifier } else { verifier.allow_unauthenticated() };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Arc::new(config)
    }

    /// The same as pgbouncer's: it requests a client certificate without naming authorities, and refuses one that it does not
    /// trust.
    pub fn server_config_without_names(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Arc<ServerConfig> {
        let (chain, key) = self.der();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trusted = Arc::new(roots(&Authority::trusted().path));
        let verifier = WebPkiClientVerifier::builder_with_provider(trusted, provider.clone());
        let verifier = verifier.allow_unauthenticated().clear_root_hint_subjects().build().unwrap();
        let builder =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        Arc::new(builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap())
    }

    /// Chain and key as rustls takes them.
    pub fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain_pem.as_bytes()).map(Result::unwrap).collect();
        (chain, PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap())
    }

    fn write(chain_pem: &str, key_pem: &str) -> Self {
        let directory = scratch::new_directory("certificate");
        let (path, key_path) = (directory.join("certificate.pem"), directory.join("key.pem"));
        fs::write(&path, chain_pem).unwrap();
        fs::write(&key_path, key_pem).unwrap();
        fs::set_permissions(&key_path, Permissions::from_mode(0o600)).unwrap();
        Self { path, key_path, chain_pem: chain_pem.to_owned(), key_pem: key_pem.to_owned() }
    }
}

/// The certificates of the PEM file at `path` as trust anchors.
pub fn roots(path: &Path) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params, KeyPair::generate().unwrap())
}

fn write_authority(pem: &str) -> PathBuf {
    let path = scratch::new_directory("authority").join("ca.pem");
    fs::write(&path, pem).unwrap();
    path
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let (from, to) = match validity {
        Validity::Now => (2020, 2060),
        Validity::Expired => (2020, 2021),
        Validity::NotYet => (2090, 2091),
        Validity::Until(left) => {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = (std::time::SystemTime::now() + left).into();
            return;
        }
    };
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
}
