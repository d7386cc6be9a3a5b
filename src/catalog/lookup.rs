//! Finds a target in the list, or the reason why it is not to be had.

use std::fmt;
use std::time::Duration;

use super::merge::{Merged, Unlisted};
use super::names::{is_same, named_or_identified, only_case_differs};
use super::{DiscoverError, Discovered, Refusal, Target};
use crate::net::HostPort;

/// No target could be found.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Neither the configuration nor RDS has it.
    #[error("the target \"{wanted}\" is not known: it is neither in `targets` nor a discovered RDS database")]
    Unknown {
        /// The requested host or name.
        wanted: String,
    },
    /// RDS lists it, the access list refuses it.
    #[error("the target \"{name}\" is not allowed by the target_acl of this proxy: {refusal}")]
    Refused {
        /// Its name in RDS.
        name: String,
        /// The tag that decided.
        refusal: Refusal,
    },
    /// It is not in the list, and the list may be out of date.
    #[error(
        "the target \"{wanted}\" is not known, and the list of RDS databases may be out of date: {source}"
    )]
    Stale {
        /// The requested host or name.
        wanted: String,
        /// Why the refresh failed.
        source: DiscoverError,
    },
    /// RDS listed it too long ago.
    #[error(
        "the target \"{name}\" is refused: the list of RDS databases of {region} is {} old, more than rds.max_age ({}){}",
        in_words(*age),
        in_words(*max_age),
        source.as_ref().map(|source| format!(": {source}")).unwrap_or_default()
    )]
    TooOld {
        /// Its name in RDS.
        name: String,
        /// Its region.
        region: String,
        /// The age of the list.
        age: Duration,
        /// The configured limit.
        max_age: Duration,
        /// Why the refresh failed.
        source: Option<Box<DiscoverError>>,
    },
    /// Several databases have the name, for example in two regions.
    #[error("the target \"{name}\" is not unique; use one of the addresses: {addresses}")]
    Ambiguous {
        /// The requested name.
        name: String,
        /// The addresses that have it, separated by commas.
        addresses: String,
    },
    /// A target of the configuration names a database in RDS that cannot be found.
    #[error(
        "the target \"{name}\" needs the RDS database \"{rds}\": {problem}{}",
        source.as_ref().map(|source| format!(": {source}")).unwrap_or_default()
    )]
    Unlisted {
        /// The key in `targets`.
        name: String,
        /// The name in RDS.
        rds: String,
        /// Why it cannot be found.
        problem: String,
        /// Why the refresh failed.
        source: Option<Box<DiscoverError>>,
    },
    /// Several targets have names that differ from it only in case.
    #[error("the target \"{name}\" is not unique: {names}")]
    OnlyCaseDiffers {
        /// The requested name.
        name: String,
        /// Their names, and what to do.
        names: String,
    },
}

impl LookupError {
    /// The same with the reason why the list may be out of date. `about` has it for a name or address.
    pub(super) fn caused_by(self, about: impl Fn(&str) -> Option<DiscoverError>) -> Self {
        match self {
            Self::Unknown { wanted } => match about(&wanted) {
                Some(source) => Self::Stale { wanted, source },
                None => Self::Unknown { wanted },
            },
            Self::TooOld { name, region, age, max_age, .. } => {
                let source = about(&name).map(Box::new);
                Self::TooOld { name, region, age, max_age, source }
            }
            Self::Unlisted { name, rds, problem, .. } => {
                let source = about(&rds).map(Box::new);
                Self::Unlisted { name, rds, problem, source }
            }
            other => other,
        }
    }
}

/// The target at this address: at its endpoint, or at the address that is dialled in its place.
pub(super) fn find_by_host(merged: &Merged, address: &HostPort) -> Result<Target, LookupError> {
    let dials = |target: &&Target| target.dial.as_ref() == Some(address);
    let at_endpoint = merged.targets.iter().find(|target| target.address == *address);
    if let Some(target) = at_endpoint.or_else(|| merged.named_targets().find(dials)) {
        return admit(merged, target);
    }
    unlisted(merged, |target| target.dial.as_ref() == Some(address))?;
    refused(merged, |database| database.address == *address)?;
    Err(LookupError::Unknown { wanted: address.to_string() })
}

/// The target of this name or identifier, in any case, or at this address. A name of the configuration comes before one of RDS.
pub(super) fn find_by_name(merged: &Merged, name: &str) -> Result<Target, LookupError> {
    let found = named_or_identified(
        merged.named_targets(),
        name,
        |target| &target.name,
        |target| target.identifier.as_deref(),
    );
    if let Some(names) = only_case_differs(found.iter().map(|target| target.name.as_str())) {
        return Err(LookupError::OnlyCaseDiffers { name: name.into(), names });
    }
    let fixed = found.iter().find(|target| target.listed_at.is_none());
    if fixed.is_none() {
        unlisted(merged, |target| is_same(&target.name, name))?;
    }
    match (fixed, found.as_slice()) {
        (Some(target), _) | (None, [target]) => return admit(merged, target),
        (None, []) => {}
        (None, several) => {
            let addresses: Vec<_> = several.iter().map(|target| target.address.to_string()).collect();
            return Err(LookupError::Ambiguous { name: name.into(), addresses: addresses.join(", ") });
        }
    }
    if let Ok(address) = name.parse() {
        return find_by_host(merged, &address);
    }
    refused(merged, |database| {
        is_same(&database.name, name)
            || database.identifier.as_ref().is_some_and(|other| is_same(other, name))
    })?;
    Err(LookupError::Unknown { wanted: name.into() })
}

fn admit(merged: &Merged, target: &Target) -> Result<Target, LookupError> {
    let Some((age, max_age)) = merged.too_old(target) else { return Ok(target.clone()) };
    let region = target.iam.as_ref().map(|iam| iam.region.clone()).unwrap_or_default();
    Err(LookupError::TooOld { name: target.name.clone(), region, age, max_age, source: None })
}

fn unlisted(merged: &Merged, matches: impl Fn(&Unlisted) -> bool) -> Result<(), LookupError> {
    match merged.unlisted.iter().find(|target| matches(target)) {
        Some(Unlisted { name, rds, problem, .. }) => Err(LookupError::Unlisted {
            name: name.clone(),
            rds: rds.clone(),
            problem: problem.clone(),
            source: None,
        }),
        None => Ok(()),
    }
}

/// The databases that the access list refuses: the address and region of each, and the error of a lookup.
pub(super) fn refusals(merged: &Merged) -> Vec<(String, LookupError)> {
    let error = |(database, refusal): &(Discovered, Refusal)| {
        let place = format!("{} in {}", database.address, database.region);
        (place, LookupError::Refused { name: database.name.clone(), refusal: refusal.clone() })
    };
    merged.refused.iter().map(error).collect()
}

fn refused(merged: &Merged, matches: impl Fn(&Discovered) -> bool) -> Result<(), LookupError> {
    match merged.refused.iter().find(|(database, _)| matches(database)) {
        Some((database, refusal)) => {
            Err(LookupError::Refused { name: database.name.clone(), refusal: refusal.clone() })
        }
        None => Ok(()),
    }
}

/// A duration as in the configuration, to the second.
fn in_words(duration: Duration) -> impl fmt::Display {
    // A limit below a second stays as it is.
    let whole = Duration::from_secs(duration.as_secs());
    humantime::format_duration(if whole.is_zero() { duration } else { whole })
}
