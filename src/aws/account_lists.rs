//! The databases of several accounts in one list. Each has the name `ACCOUNT/DATABASE`.

use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::discovery::Discovery;
use crate::catalog::{Boxed, Discover, DiscoverError, Discovered, Inventory, ListedAt, SkippedList};

/// The lists of the accounts.
pub(super) struct AccountLists(Vec<AccountList>);

/// The list of one account.
pub(super) struct AccountList {
    name: Arc<str>,
    /// The error where the AWS configuration of the account cannot be used.
    discovery: Result<Discovery, String>,
    /// The last list; absent before the first one.
    last: Mutex<Option<(Vec<Discovered>, ListedAt)>>,
}

impl AccountLists {
    pub(super) fn new(lists: Vec<AccountList>) -> Self {
        Self(lists)
    }

    /// An account that fails keeps its last list.
    async fn list_all(&self) -> Result<Inventory, DiscoverError> {
        let listings = join_all(self.0.iter().map(AccountList::list)).await;
        let any_listed = listings.iter().any(Result::is_ok);
        let mut failed = Vec::new();
        for listing in listings {
            match listing {
                Ok(of_regions) => failed.extend(of_regions),
                Err(error) if any_listed => failed.push(error),
                Err(error) => return Err(error),
            }
        }
        let (mut databases, mut oldest) = (Vec::new(), ListedAt::now());
        for (found, listed_at) in self.0.iter().filter_map(|list| list.last.lock().clone()) {
            databases.extend(found);
            oldest = oldest.older(listed_at);
        }
        Ok(Inventory { databases, failed, listed_at: oldest })
    }

    async fn list_skipped(&self) -> SkippedList {
        let mut all = SkippedList::default();
        let lists = self.0.iter().filter_map(|list| Some((list, list.discovery.as_ref().ok()?)));
        let lists = lists.map(|(list, discovery)| async move { (list, discovery.skipped().await) });
        for (list, SkippedList { mut databases, failed }) in join_all(lists).await {
            for database in &mut databases {
                database.name = list.full_name(&database.name);
            }
            all.databases.extend(databases);
            all.failed.extend(failed.into_iter().map(|error| list.with_name(error)));
        }
        all
    }

    async fn why_skipped(&self, name: &str) -> Option<String> {
        let (account, database) = name.split_once('/')?;
        let list = self.0.iter().find(|list| list.name.eq_ignore_ascii_case(account))?;
        list.discovery.as_ref().ok()?.why_skipped(database).await
    }
}

impl AccountList {
    pub(super) fn new(name: &Arc<str>, discovery: Result<Discovery, String>) -> Self {
        Self { name: Arc::clone(name), discovery, last: Mutex::default() }
    }

    /// Whether the AWS configuration of the account cannot be used.
    pub(super) fn is_unusable(&self) -> bool {
        self.discovery.is_err()
    }

    /// Lists the account. Returns the errors of the regions that failed, or that of the account.
    async fn list(&self) -> Result<Vec<DiscoverError>, DiscoverError> {
        let failed = |reason: String| {
            let account = Some(Arc::clone(&self.name));
            DiscoverError { account, region: String::new(), reason }
        };
        let discovery = self.discovery.as_ref().map_err(|reason| failed(reason.clone()))?;
        let listed = discovery.discover().await.map_err(|error| failed(error.reason))?;
        let Inventory { databases, failed, listed_at } = listed;
        let databases = databases.into_iter().map(|database| self.named(database)).collect();
        *self.last.lock() = Some((databases, listed_at));
        Ok(failed.into_iter().map(|error| self.with_name(error)).collect())
    }

    fn named(&self, database: Discovered) -> Discovered {
        Discovered {
            name: self.full_name(&database.name),
            identifier: database.identifier.map(|identifier| self.full_name(&identifier)),
            account: Some(Arc::clone(&self.name)),
            ..database
        }
    }

    fn full_name(&self, database: &str) -> String {
        format!("{}/{database}", self.name)
    }

    fn with_name(&self, error: DiscoverError) -> DiscoverError {
        DiscoverError { account: Some(Arc::clone(&self.name)), ..error }
    }
}

impl Discover for AccountLists {
    fn discover(&self) -> Boxed<'_, Result<Inventory, DiscoverError>> {
        Box::pin(self.list_all())
    }

    fn skipped(&self) -> Boxed<'_, SkippedList> {
        Box::pin(self.list_skipped())
    }

    fn measure(&self) {
        self.0.iter().filter_map(|list| list.discovery.as_ref().ok()).for_each(Discover::measure);
    }

    fn accounts(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|list| Arc::clone(&list.name)).collect()
    }

    fn why_skipped<'a>(&'a self, name: &'a str) -> Boxed<'a, Option<String>> {
        Box::pin(Self::why_skipped(self, name))
    }
}
