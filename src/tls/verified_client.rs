//! What the verified certificate of an application says about it.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The names of an application in its client certificate, whose key it has and whose chain was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifiedClient {
    /// Its subject, such as `CN=orders`; without one, the first of its other names.
    pub subject: String,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its URIs, such as SPIFFE ids.
    pub uris: Vec<String>,
    /// The common name of its subject. Absent in a certificate with DNS names or URIs, as in RFC 6125 section 6.4.4: a CA that may
    /// sign only certain names is bound for those, and not for the subject.
    pub common_name: Option<String>,
}

impl VerifiedClient {
    /// Those of this certificate; absent if it cannot be parsed.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let (mut dns_names, mut uris) = (Vec::new(), Vec::new());
        if let Some(extension) = parsed.subject_alternative_name().ok()? {
            for name in &extension.value.general_names {
                match name {
                    GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                    GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                    _ => {}
                }
            }
        }
        let counts = dns_names.is_empty() && uris.is_empty();
        let common_name = parsed.subject().iter_common_name().next().filter(|_| counts);
        let common_name = common_name.and_then(|name| name.as_str().ok()).map(str::to_owned);
        let mut subject = parsed.subject().to_string();
        if subject.is_empty() {
            subject = uris.first().or(dns_names.first()).cloned().unwrap_or_default();
        }
        Some(Self { subject, dns_names, uris, common_name })
    }

    /// The names that count.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.dns_names.iter().chain(&self.uris).chain(&self.common_name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn client(common_name: Option<&str>, names: Vec<SanType>) -> VerifiedClient {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.subject_alt_names = names;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        VerifiedClient::of(certificate.der()).unwrap()
    }

    #[test]
    fn a_common_name_counts_only_without_other_names() {
        let dns = || SanType::DnsName("orders.example".try_into().unwrap());
        let uri = || SanType::URI("spiffe://shop.example/orders".try_into().unwrap());
        let address = || SanType::IpAddress([127, 0, 0, 1].into());
        for (common_name, names, counting, subject) in [
            (Some("orders"), vec![], vec!["orders"], "CN=orders"),
            (Some("orders"), vec![address()], vec!["orders"], "CN=orders"),
            (Some("orders"), vec![dns()], vec!["orders.example"], "CN=orders"),
            (None, vec![uri()], vec!["spiffe://shop.example/orders"], "spiffe://shop.example/orders"),
            (
                None,
                vec![uri(), dns()],
                vec!["orders.example", "spiffe://shop.example/orders"],
                "spiffe://shop.example/orders",
            ),
            (None, vec![], vec![], ""),
        ] {
            let client = client(common_name, names);
            assert_eq!(client.names().collect::<Vec<_>>(), counting);
            assert_eq!(client.subject, subject);
        }
    }
}
