//! The address and the region of an RDS endpoint, checked.

use super::skipped::Remark;
use crate::catalog::ListedAt;
use crate::net::HostPort;

/// Where and when a database was listed.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The queried region.
    pub(super) region: &'a str,
    /// The time before the first call: a later change may be missing.
    pub(super) listed_at: ListedAt,
}

/// The address of an endpoint. RDS omits it while it creates the database.
pub(super) fn address(host: Option<&str>, port: Option<i32>) -> Result<HostPort, Remark> {
    let host = host.filter(|host| !host.is_empty()).ok_or(Remark::NoEndpoint)?;
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    // Parsed like an address of the configuration, which rejects a host name with unusual characters.
    let text = format!("{host}:{}", port.ok_or(Remark::Incomplete("port"))?);
    text.parse().map_err(|_| Remark::Incomplete("endpoint"))
}

/// The queried region. Tokens are signed for it, so a response must not choose it: the region in the ARN
/// (`arn:PARTITION:rds:REGION:ACCOUNT:…`) has to be the same.
pub(super) fn region_of(arn: Option<&str>, queried: &str) -> Result<String, Remark> {
    match arn.and_then(|arn| arn.split(':').nth(3)).filter(|region| !region.is_empty()) {
        Some(other) if other != queried => Err(Remark::OtherRegion(other.to_owned())),
        _ => Ok(queried.to_owned()),
    }
}
