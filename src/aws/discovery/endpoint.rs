//! What RDS says about an endpoint, checked.

use super::skipped::Remark;
use crate::net::HostPort;

/// An endpoint as RDS writes it; one that is being created lacks its address.
pub(super) fn address(host: Option<&str>, port: Option<i32>) -> Result<HostPort, Remark> {
    let host = host.filter(|host| !host.is_empty()).ok_or(Remark::NoEndpoint)?;
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    // Parsed as an address of the configuration would be: a host name with odd characters must not get further.
    let text = format!("{host}:{}", port.ok_or(Remark::Incomplete("port"))?);
    text.parse().map_err(|_| Remark::Incomplete("endpoint"))
}

/// The region that was asked. The one in `arn:PARTITION:rds:REGION:ACCOUNT:…` has to be the same: tokens are signed for
/// it, so an answer must not choose it.
pub(super) fn region_of(arn: Option<&str>, asked: &str) -> Result<String, Remark> {
    match arn.and_then(|arn| arn.split(':').nth(3)).filter(|region| !region.is_empty()) {
        Some(other) if other != asked => Err(Remark::OtherRegion(other.to_owned())),
        _ => Ok(asked.to_owned()),
    }
}
