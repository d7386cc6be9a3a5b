//! Resolves `targets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::allowed_clients;
use super::key_error::KeyError;
use super::key_path::KeyPath;
use super::raw::{Ssl, Target};
use super::settings::{Config, Named};
use super::upstream::not_empty;
use crate::catalog::{self, AllowedClients, Location, StaticTarget};
use crate::tls::Overrides;

/// The entries with a host, and those without one by name.
pub(super) type Targets = (Vec<StaticTarget>, BTreeMap<String, Named>);

/// The entries of `targets`. `overrides` is what an `ssl` section sets; `discovery`: whether RDS is queried.
pub(super) fn resolve(
    raw: BTreeMap<String, Target>,
    discovery: bool,
    overrides: impl Fn(&KeyPath, &Ssl) -> Result<Overrides, KeyError>,
) -> Result<Targets, KeyError> {
    let (mut targets, mut named) = Targets::default();
    for (name, entry) in raw {
        let section = KeyPath::of(&["targets", &name]);
        let tls = entry.ssl.as_ref().map(|ssl| overrides(&section.key("ssl"), ssl)).transpose()?;
        let rds = not_empty(entry.rds.clone());
        let allowed_clients = allowed_clients::of(&entry);
        let location = match (entry.host.as_ref().map(|host| host.0.clone()), rds) {
            (Some(host), None) => Location::Host(host),
            (dial, Some(name)) if discovery => Location::Rds { name, dial },
            (_, Some(_)) => {
                let reason = "`rds.enabled: false` turns discovery off, which finds this database; remove one of the two";
                return Err(KeyError::of_key(section.key("rds"), reason));
            }
            (None, None) => {
                named.insert(name, without_host(section, entry, discovery)?);
                continue;
            }
        };
        targets.push(StaticTarget {
            name,
            location,
            database: not_empty(entry.database),
            local_port: entry.local_port.map(|port| port.0),
            tls: tls.unwrap_or_default(),
            require_auth: entry.require_auth.map(|methods| methods.0),
            allowed_clients,
        });
    }
    Ok((targets, named))
}

/// An entry without a host is about a database that RDS lists. It grants nothing: the access list still decides.
fn without_host(section: KeyPath, entry: Target, discovery: bool) -> Result<Named, KeyError> {
    let has_server_names = !entry.server_names.is_empty();
    let named = Named {
        allowed_clients: allowed_clients::of(&entry),
        database: not_empty(entry.database),
        local_port: entry.local_port.map(|port| port.0),
    };
    let reason = if !discovery {
        "the key `host` is missing here; with `rds.enabled: false` there is no other way to find the database"
    } else if entry.ssl.is_some()
        || entry.require_auth.is_some()
        || (named == Named::default() && !has_server_names)
    {
        "the key `host` is missing here; without it, an entry can set only `local_port`, `database`, `server_names` and \
         `allowed_client_names` of the RDS database with this name"
    } else {
        return Ok(named);
    };
    Err(KeyError::of_key(section, reason))
}

impl Config {
    /// The target with what an entry of `targets` without a host sets for its name, if RDS lists it.
    #[must_use]
    pub fn with_named(&self, mut target: catalog::Target) -> catalog::Target {
        let identifier = target.identifier.as_ref();
        let named = self.named.get(&target.name).or_else(|| self.named.get(identifier?));
        if let Some(named) = named.filter(|_| target.listed_at.is_some()) {
            target.local_port = named.local_port.or(target.local_port);
            target.database = named.database.clone().or(target.database);
        }
        target
    }

    /// The client certificates that may reach discovered databases, by their names in `targets`.
    #[must_use]
    pub fn allowed_clients(&self) -> BTreeMap<String, Arc<AllowedClients>> {
        let of = |(name, named): (&String, &Named)| {
            Some((name.clone(), Arc::clone(named.allowed_clients.as_ref()?)))
        };
        self.named.iter().filter_map(of).collect()
    }

    /// The keys of `targets` without a host whose names none of these targets has.
    pub fn unlisted(&self, targets: &[catalog::Target]) -> impl Iterator<Item = String> {
        let listed = |name: &String| {
            targets.iter().any(|target| target.name == *name || target.identifier.as_ref() == Some(name))
        };
        let unlisted = self.named.keys().filter(move |name| !listed(name));
        unlisted.map(|name| KeyPath::of(&["targets", name]).to_string())
    }
}
