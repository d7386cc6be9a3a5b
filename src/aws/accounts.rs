//! The AWS identities of the process: its own one, or those of several accounts.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;

use super::account_lists::{AccountList, AccountLists};
use super::facts::CredentialFacts;
use super::minter::{Minter, SignedToken};
use super::shared::Shared;
use super::{Aws, AwsError};
use crate::catalog::{
    AwsAccount, AwsClock, AwsIdentity, Boxed, Discover, Iam, Mint, MintError, Minted, PersonLogin,
};
use crate::net::HostPort;

/// All identities; each lists its databases, and signs the tokens for them.
#[derive(Clone)]
pub struct Accounts {
    all: Arc<[Account]>,
    common: Shared,
}

struct Account {
    /// Absent for the process's own identity, whose databases have no prefix.
    name: Option<Arc<str>>,
    aws: Aws,
    /// Empty: that of the AWS configuration.
    regions: Vec<String>,
}

/// Signs tokens with the identity of the account in which the database was found.
#[derive(Clone)]
pub struct Minters {
    all: Arc<[(Option<Arc<str>>, Minter)]>,
    person: PersonLogin,
}

impl Accounts {
    /// The process's own identity, for these regions; where there are `accounts`, those in its place. See [`Aws::load`].
    pub async fn load(
        own: &AwsIdentity,
        regions: &[String],
        accounts: &[AwsAccount],
        common: Shared,
    ) -> Self {
        let is_needed =
            accounts.is_empty() || accounts.iter().any(|account| account.identity.profile.is_none());
        let own = if is_needed { Some(load(own, regions, &common).await) } else { None };
        let of_account = async |account: &AwsAccount| {
            let AwsAccount { name, identity, regions } = account;
            let aws = match own.clone().filter(|_| identity.profile.is_none()) {
                Some(own) => own.assuming(&identity.roles),
                None => load(identity, regions, &common).await,
            };
            Account { name: Some(Arc::clone(name)), aws, regions: regions.clone() }
        };
        let mut all = join_all(accounts.iter().map(of_account)).await;
        if accounts.is_empty() {
            all.extend(own.map(|aws| Account { name: None, aws, regions: regions.to_vec() }));
        }
        Self { all: all.into(), common }
    }

    /// Lists the databases of all accounts. An account whose configuration cannot be used costs only itself.
    ///
    /// # Errors
    /// No configuration can be used.
    pub fn discovery(&self) -> Result<Arc<dyn Discover>, AwsError> {
        let (mut lists, mut problem) = (Vec::new(), None);
        for Account { name, aws, regions } in self.all.iter() {
            match (name, aws.discovery(regions, name.clone())) {
                (None, discovery) => return Ok(Arc::new(discovery?)),
                (Some(name), Ok(discovery)) => lists.push(AccountList::new(name, Ok(discovery))),
                (Some(name), Err(error)) => {
                    lists.push(AccountList::new(name, Err(error.to_string())));
                    problem.get_or_insert(AwsError::OfAccount {
                        account: name.to_string(),
                        error: error.to_string(),
                    });
                }
            }
        }
        match problem {
            Some(problem) if lists.iter().all(AccountList::is_unusable) => Err(problem),
            _ => Ok(Arc::new(AccountLists::new(lists))),
        }
    }

    /// The credentials for the target of this name, or else those of the first account. See [`Aws::credential_facts`].
    pub async fn credential_facts(&self, target: Option<&str>) -> Result<CredentialFacts, MintError> {
        let wanted = target.and_then(|target| Some(target.split_once('/')?.0));
        let is_wanted = |account: &&Account| {
            account
                .name
                .as_deref()
                .zip(wanted)
                .is_some_and(|(name, wanted)| name.eq_ignore_ascii_case(wanted))
        };
        let account = self.all.iter().find(is_wanted).or(self.all.first()).ok_or_else(no_account)?;
        account.aws.credential_facts().await
    }

    /// The identity that signs tokens for this database.
    pub(super) fn of(&self, iam: &Iam) -> Option<&Aws> {
        let account = self.all.iter().find(|account| account.name == iam.account)?;
        Some(&account.aws)
    }

    /// The time by AWS, from the responses to all calls.
    #[must_use]
    pub fn clock(&self) -> AwsClock {
        self.common.clock.clone()
    }

    /// Makes IAM passwords.
    #[must_use]
    pub fn minter(&self) -> Minters {
        Minters {
            all: self.all.iter().map(|account| (account.name.clone(), account.aws.minter())).collect(),
            person: self.common.logins.person.clone(),
        }
    }

    /// Opens the sessions that the credentials need, where a person is at a terminal.
    pub async fn log_in(&self) {
        for account in self.all.iter().filter(|_| self.common.logins.is_on) {
            // The first use reports an error.
            drop(account.aws.chain.for_connection().await);
        }
    }

    /// Looks up the ARN of each identity, for the log and for hints. See [`Aws::identity`].
    pub async fn look_up_identities(&self) {
        join_all(self.all.iter().map(|account| account.aws.identity())).await;
    }
}

fn no_account() -> MintError {
    MintError {
        reason: "the account of the database is not in the configuration any more".into(),
        remedy: "start the proxy again".into(),
    }
}

async fn load(identity: &AwsIdentity, regions: &[String], common: &Shared) -> Aws {
    Aws::load(regions, identity.profile.as_deref(), common).await.assuming(&identity.roles)
}

impl Minters {
    /// See [`Minter::sign`].
    pub async fn sign(&self, address: &HostPort, iam: &Iam, user: &str) -> Result<SignedToken, MintError> {
        self.of(iam)?.sign(address, iam, user).await
    }

    /// When the first credentials end, of those that were loaded. Absent before the first load, and where they have no end.
    #[must_use]
    pub fn credentials_end(&self) -> Option<SystemTime> {
        self.all.iter().filter_map(|(_, minter)| minter.credentials_end()).min()
    }

    fn of(&self, iam: &Iam) -> Result<&Minter, MintError> {
        let found = self.all.iter().find(|(account, _)| *account == iam.account);
        found.map(|(_, minter)| minter).ok_or_else(no_account)
    }
}

impl Mint for Minters {
    fn mint<'a>(
        &'a self,
        address: &'a HostPort,
        iam: &'a Iam,
        user: &'a str,
    ) -> Boxed<'a, Result<Minted, MintError>> {
        Box::pin(async move { self.of(iam)?.mint(address, iam, user).await })
    }

    fn person_login(&self) -> PersonLogin {
        self.person.clone()
    }
}
