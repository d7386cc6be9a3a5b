//! Which certificate an application sees: the one for the server name (SNI) that it sends, else the default.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The certificates of a listener.
#[derive(Debug)]
pub(super) struct CertificateChoice {
    default: Arc<CertifiedKey>,
    /// By the DNS names in them, in lower case; one may begin with `*.`.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl CertificateChoice {
    /// With this default. Of several certificates with one name the first counts.
    pub(super) fn new(default: CertifiedKey, others: Vec<CertifiedKey>) -> Self {
        let mut by_name = HashMap::new();
        for certified in others.into_iter().map(Arc::new) {
            for name in dns_names(&certified) {
                by_name.entry(name).or_insert_with(|| Arc::clone(&certified));
            }
        }
        Self { default: Arc::new(default), by_name }
    }

    /// An exact name comes before one with a wildcard, which stands for one label (RFC 9525 section 6.3).
    fn of_name(&self, server_name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = server_name.to_ascii_lowercase();
        self.by_name.get(&name).or_else(|| {
            let (_label, domain) = name.split_once('.')?;
            self.by_name.get(&format!("*.{domain}"))
        })
    }
}

impl ResolvesServerCert for CertificateChoice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.of_name(name));
        Some(Arc::clone(named.unwrap_or(&self.default)))
    }
}

fn dns_names(certified: &CertifiedKey) -> Vec<String> {
    let Some(Ok((_, parsed))) = certified.cert.first().map(|der| X509Certificate::from_der(der)) else {
        return Vec::new();
    };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{SelfSigned, provider};

    fn certified(names: &[&str]) -> CertifiedKey {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let (chain, key) = SelfSigned::generate(&names).unwrap().chain().unwrap();
        CertifiedKey::from_der(chain, key, &provider()).unwrap()
    }

    #[test]
    fn an_exact_name_comes_before_a_wildcard_and_the_first_certificate_before_others() {
        let choice = CertificateChoice::new(
            certified(&["default.example"]),
            vec![
                certified(&["*.Shop.example", "10.0.0.1"]),
                certified(&["db.shop.example", "a.example"]),
                certified(&["A.example"]),
            ],
        );
        let names_of = |name: &str| choice.of_name(name).map(|certified| dns_names(certified));
        let shown = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for (name, expected) in [
            ("x.shop.example", shown(&["*.shop.example"])),
            ("X.SHOP.example", shown(&["*.shop.example"])),
            ("db.shop.example", shown(&["db.shop.example", "a.example"])),
            ("a.example", shown(&["db.shop.example", "a.example"])),
            ("a.b.shop.example", None),
            ("shop.example", None),
            ("10.0.0.1", None),
            ("default.example", None),
        ] {
            assert_eq!(names_of(name), expected, "{name}");
        }
    }
}
