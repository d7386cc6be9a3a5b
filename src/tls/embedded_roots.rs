//! The roots of Amazon that the binary contains. `build/ca/refresh.sh` updates them and names their sources.

use rustls::pki_types::CertificateDer;

use super::{TlsError, pem, x509};

/// The roots of RDS in the regions that docs/security.md names.
const RDS: &[u8] = include_bytes!("../../build/ca/rds-bundle.pem");

/// The public roots of Amazon.
const AMAZON: &[u8] = include_bytes!("../../build/ca/amazon-roots.pem");

/// The roots of RDS in this region. Each region has separate ones, so a root vouches for databases of its region only.
pub(super) fn of_rds(region: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    in_bundle(RDS, region)
}

/// The public roots of Amazon.
pub(super) fn of_amazon() -> Vec<CertificateDer<'static>> {
    pem::certificates_in(AMAZON)
}

/// The regions of RDS that the binary has roots of, in the order of their names.
#[must_use]
pub fn rds_regions() -> Vec<String> {
    let names = pem::certificates_in(RDS).into_iter().filter_map(|root| x509::common_name(&root));
    let mut regions: Vec<_> = names.filter_map(|name| region_in(&name).map(str::to_owned)).collect();
    regions.sort();
    regions.dedup();
    regions
}

pub(super) fn in_bundle(bundle: &[u8], region: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut roots = pem::certificates_in(bundle);
    roots.retain(|root| x509::common_name(root).as_deref().and_then(region_in) == Some(region));
    if roots.is_empty() {
        return Err(TlsError::NoRdsRoots { region: region.to_owned() });
    }
    Ok(roots)
}

/// The region in the common name of an RDS root, such as `Amazon RDS us-east-1 Root CA RSA2048 G1`.
/// Source: "Certificate authorities" in
/// <https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html>
fn region_in(common_name: &str) -> Option<&str> {
    let (region, _key) = common_name.strip_prefix("Amazon RDS ")?.split_once(" Root CA ")?;
    Some(region)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tls::Roots;

    #[test]
    fn every_embedded_rds_root_names_a_region_and_is_usable() {
        let roots = pem::certificates_in(RDS);
        assert_eq!(
            roots.len(),
            RDS.windows(27).filter(|text| text == b"-----BEGIN CERTIFICATE-----").count()
        );
        let mut regions = BTreeMap::<_, usize>::new();
        for root in &roots {
            let name = x509::common_name(root).unwrap();
            let region = region_in(&name).unwrap_or_else(|| panic!("{name}")).to_owned();
            // No `Beta us-east-1` and no `Preview us-east-2`: their databases are not in production.
            assert!(region.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-'), "{name}");
            *regions.entry(region).or_default() += 1;
        }
        assert!(regions.len() >= 27 && regions.contains_key("us-east-1"), "{regions:?}");
        for (region, count) in regions {
            let loaded = Roots::Rds { region: region.clone() }.load().unwrap();
            assert_eq!(loaded.store.len(), count, "{region}");
        }
    }

    #[test]
    fn the_public_roots_are_separate() {
        let loaded = Roots::Amazon.load().unwrap();
        assert_eq!(loaded.store.len(), 5);
        let rds = pem::certificates_in(RDS);
        assert!(of_amazon().iter().all(|root| !rds.contains(root)));
    }

    #[test]
    fn a_region_without_roots_is_an_error_that_names_the_key() {
        let error = of_rds("mars-north-1").unwrap_err().to_string();
        assert!(error.contains("region mars-north-1") && error.contains("rds.root_certificate"), "{error}");
        assert!(of_rds("").is_err() && of_rds("us-east").is_err());
    }
}
