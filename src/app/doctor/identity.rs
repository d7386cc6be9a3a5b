//! The AWS identity, and the clock by which AWS judges it.

use std::time::{Duration, SystemTime};

use super::check::Finding;
use super::request::Request;
use crate::app::start;
use crate::aws::Accounts;
use crate::catalog::ClockDifference;
use crate::config::Config;

/// Credentials with less time left are worth a warning: a client that starts now needs new ones soon.
const ENDS_SOON: Duration = Duration::from_mins(15);

/// The difference of clocks from which AWS refuses requests, in minutes (AWS General Reference, "Signing AWS API requests").
const REFUSED_FROM: u64 = 5;

/// The credentials, where they come from, and until when they are valid. With several accounts, those of the target's.
pub(super) async fn identity(config: &Config, request: &Request) -> Finding<Accounts> {
    let aws = match start::aws(config, request.profile.as_deref(), false).await {
        Ok(Some(aws)) => aws,
        Ok(None) => return Finding::skipped("rds.enabled is false, so nothing needs an AWS identity"),
        Err(error) => return error.into(),
    };
    let facts = match aws.credential_facts(request.target.as_deref()).await {
        Ok(facts) => facts,
        Err(error) => return Finding::failed(error.reason, Some(error.remedy)),
    };
    let end = match facts.expiry {
        Some(expiry) => format!("until {}", humantime::format_rfc3339_seconds(expiry)),
        None => "without an end".to_owned(),
    };
    let Some(arn) = &facts.arn else {
        let detail = format!(
            "the access key {} of {}, {end}; AWS STS did not return its identity",
            facts.access_key_id, facts.source
        );
        return Finding::warning(detail, Some("see the check discovery for the reason".into()), aws);
    };
    let detail = format!("{arn} by {}, {end}", facts.source);
    let ends_soon = facts.expiry.is_some_and(|expiry| expiry <= SystemTime::now() + ENDS_SOON);
    if ends_soon { Finding::warning(detail, Some(facts.renewal), aws) } else { Finding::ok(detail, aws) }
}

/// The clock of this machine against that of AWS.
pub(super) fn clock(aws: &Accounts) -> Finding<()> {
    let Some(now) = aws.clock().now() else {
        return Finding::skipped("no response of AWS had a time");
    };
    match ClockDifference::of(SystemTime::now(), now) {
        None => Finding::ok("less than a minute from that of AWS", ()),
        Some(difference) if difference.minutes < REFUSED_FROM => {
            Finding::warning(difference, Some("set the clock of this machine".into()), ())
        }
        Some(difference) => Finding::failed(difference, Some("set the clock of this machine".into())),
    }
}
