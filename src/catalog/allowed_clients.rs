//! Which applications may reach a target, by the names in their client certificates.

use super::WILDCARD;
use crate::tls::VerifiedClient;

/// What a URI has behind its scheme, and a host name has not.
const SCHEME_END: &str = "://";

/// `allowed_client_names`: DNS names (one may begin with [`WILDCARD`] in place of its first label), URIs, and common names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedClients(Vec<String>);

impl AllowedClients {
    /// With these names.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The names of all these lists.
    pub(super) fn joined<'a>(lists: impl Iterator<Item = &'a Self>) -> Self {
        Self(lists.flat_map(|list| list.0.iter().cloned()).collect())
    }

    /// Whether one of the names is in the certificate of this application. One without a certificate has no name.
    #[must_use]
    pub fn allow(&self, client: Option<&VerifiedClient>) -> bool {
        client.is_some_and(|client| self.0.iter().any(|name| has(client, name)))
    }
}

/// DNS names have no case, the others have.
fn has(client: &VerifiedClient, name: &str) -> bool {
    if name.contains(SCHEME_END) {
        return client.uris.iter().any(|uri| uri == name);
    }
    client.dns_names.iter().any(|own| fits(&own.to_ascii_lowercase(), &name.to_ascii_lowercase()))
        || client.common_name.as_deref().is_some_and(|own| fits(own, name))
}

fn fits(own: &str, allowed: &str) -> bool {
    let Some(domain) = allowed.strip_prefix(WILDCARD) else { return own == allowed };
    own.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_exactly_and_a_wildcard_one_label() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let dns = |name: &str| VerifiedClient { dns_names: texts(&[name]), ..VerifiedClient::default() };
        let uri = |uri: &str| VerifiedClient { uris: texts(&[uri]), ..VerifiedClient::default() };
        let common =
            |name: &str| VerifiedClient { common_name: Some(name.into()), ..VerifiedClient::default() };
        let list = AllowedClients::new(texts(&[
            "Orders.shop.example",
            "*.jobs.example",
            "spiffe://shop.example/ns/orders",
            "Alice Smith",
        ]));
        for (client, allowed) in [
            (dns("orders.Shop.example"), true),
            (dns("a.jobs.example"), true),
            (dns("A.JOBS.example"), true),
            (dns("a.b.jobs.example"), false),
            (dns("jobs.example"), false),
            (dns(".jobs.example"), false),
            (dns("xorders.shop.example"), false),
            (dns("*.shop.example"), false),
            (uri("spiffe://shop.example/ns/orders"), true),
            (uri("spiffe://shop.example/ns/Orders"), false),
            (uri("orders.shop.example"), false),
            (common("Alice Smith"), true),
            (common("alice smith"), false),
            (common("a.jobs.example"), true),
            (common("spiffe://shop.example/ns/orders"), false),
            (VerifiedClient::default(), false),
        ] {
            assert_eq!(list.allow(Some(&client)), allowed, "{client:?}");
        }
        assert!(!list.allow(None));
    }
}
