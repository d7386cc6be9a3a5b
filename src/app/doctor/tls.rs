//! What TLS with a server shows.

use std::time::{Duration, SystemTime};

use super::check::Finding;
use crate::session::Probe;
use crate::tls::{Connector, PeerCertificate};

/// A certificate with less time left is worth a warning.
const EXPIRES_SOON: Duration = Duration::from_hours(30 * 24);

/// The TLS of a connection that was made. `weakness` is what its configuration should have differently.
pub(super) fn finding(probe: Probe, connector: &Connector, weakness: Option<&str>) -> Finding<Probe> {
    let detail = description(&probe, connector);
    if let Some(weakness) = weakness {
        let (reason, remedy) = weakness.rsplit_once("; ").unwrap_or((weakness, ""));
        let remedy = Some(remedy.to_owned()).filter(|remedy| !remedy.is_empty());
        return Finding::warning(format_args!("{detail}; {reason}"), remedy, probe);
    }
    let soon = SystemTime::now() + EXPIRES_SOON;
    match &probe.certificate {
        Some(certificate) if certificate.not_after <= soon => {
            let remedy = format!("renew the certificate of {}", probe.name);
            Finding::warning(detail, Some(remedy), probe)
        }
        _ => Finding::ok(detail, probe),
    }
}

fn description(probe: &Probe, connector: &Connector) -> String {
    let (mode, Some(version)) = (connector.mode(), probe.tls_version) else {
        return format!("no TLS with the mode {}", connector.mode());
    };
    let verified = if connector.verifies() { "verified" } else { "not verified" };
    let certificate = probe.certificate.as_ref().map(certificate).unwrap_or_default();
    format!("{version}, {verified} with the mode {mode}{certificate}")
}

fn certificate(certificate: &PeerCertificate) -> String {
    let PeerCertificate { names, issuer, not_after, chain_length } = certificate;
    let end = humantime::format_rfc3339_seconds(*not_after);
    let chain = if *chain_length > 1 { format!(" in a chain of {chain_length}") } else { String::new() };
    format!("; the certificate for {} by {issuer}{chain} is valid until {end}", names.join(", "))
}
