//! Resolves `accounts`.

use std::collections::BTreeMap;

use super::identity;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::Account;
use super::settings::Rds;
use crate::catalog::AwsAccount;

/// The longest label of a DNS name (RFC 1035, section 2.3.4): the name is one in `TARGET.ACCOUNT.localhost`.
const MAX_NAME: usize = 63;

/// The accounts by name. One without regions has those of `rds`.
pub(super) fn resolve(raw: BTreeMap<String, Account>, rds: &Rds) -> Result<Vec<AwsAccount>, KeyError> {
    let mut accounts: Vec<AwsAccount> = Vec::new();
    for (name, account) in raw {
        let section = KeyPath::of(&["accounts", &name]);
        let refused = |reason: &str| Err(KeyError::of_key(section.clone(), reason));
        if !rds.enabled {
            return refused(
                "`rds.enabled: false` turns discovery off, which lists the accounts; remove one of the two",
            );
        }
        if !is_name(&name) {
            return refused(
                "the name of an account begins the names of its targets, as in ACCOUNT/TARGET: 1 to 63 letters, digits, hyphens and \
                 underscores",
            );
        }
        if accounts.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
            return refused(
                "another account has this name in another case; names of targets are found in any case",
            );
        }
        let own = account.regions.into_iter().map(|region| region.0.0);
        accounts.push(AwsAccount {
            identity: identity::resolve(&section, account.profile, account.assume_role)?,
            regions: Some(own.collect())
                .filter(|own: &Vec<_>| !own.is_empty())
                .unwrap_or_else(|| rds.regions.clone()),
            name: name.into(),
        });
    }
    Ok(accounts)
}

fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_part)
}
