//! Resolves AWS identities: a profile, and roles to assume.

use std::time::Duration;

use super::aws_scalars::ProfileName;
use super::key_error::KeyError;
use super::key_path::{KeyPath, Step};
use super::one_or_many::OneOrMany;
use super::raw::AssumeRole;
use super::scalars::Parsed;
use crate::catalog::{AwsIdentity, IamRole};

/// The limits of STS for `DurationSeconds` (AWS Security Token Service API Reference, `AssumeRole`).
const SHORTEST: Duration = Duration::from_mins(15);
const LONGEST: Duration = Duration::from_hours(12);

/// The limit for a role that another role assumes (AWS IAM User Guide, "Role chaining").
const LONGEST_IN_CHAIN: Duration = Duration::from_hours(1);

/// The identity of a section with the keys `profile` and `assume_role`.
pub(super) fn resolve(
    section: &KeyPath,
    profile: Option<Parsed<ProfileName>>,
    roles: Option<OneOrMany<AssumeRole>>,
) -> Result<AwsIdentity, KeyError> {
    let key = section.key("assume_role");
    let mut identity = AwsIdentity { profile: profile.map(|profile| profile.0.0), roles: Vec::new() };
    let Some(OneOrMany { sections, is_list }) = roles else { return Ok(identity) };
    for (index, role) in sections.into_iter().enumerate() {
        let mut path = key.clone();
        path.0.extend(is_list.then_some(Step::Index(index)));
        let duration = duration(&path, role.duration.as_ref(), index > 0)?;
        identity.roles.push(IamRole {
            arn: role.role_arn.0.0,
            session_name: role.session_name.map(|name| name.0.0),
            external_id: role.external_id.map(|id| id.0.0),
            duration,
            region: role.region.map(|region| region.0.0),
        });
    }
    Ok(identity)
}

fn duration(
    role: &KeyPath,
    duration: Option<&Parsed<Duration>>,
    is_chained: bool,
) -> Result<Option<Duration>, KeyError> {
    let Some(&Parsed(duration)) = duration else { return Ok(None) };
    let refused = |reason: &str| Err(KeyError::of_value(role.key("duration"), reason));
    if !(SHORTEST..=LONGEST).contains(&duration) || duration.subsec_nanos() != 0 {
        return refused("the credentials of a role last from 15m to 12h, in whole seconds");
    }
    if is_chained && duration > LONGEST_IN_CHAIN {
        return refused("the credentials of a role that another role assumes last at most 1h");
    }
    Ok(Some(duration))
}
