//! The targets of a client, and which of them a connection is for: the door decides, and at a shared door the database that the
//! application names.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::catalog::{LookupError, Target, nearest, only_case_differs};
use crate::session::{Door, DoorError, Failure, Opening, Request};
use crate::wire::StartupMessage;

/// The startup parameter that names the target at a shared door.
const DATABASE: &str = "database";

/// Behind the name of a target in the TLS server name. RFC 6761 section 6.3 reserves it for this machine.
const LOCALHOST: &str = ".localhost";

/// How many names an error proposes.
const PROPOSED: usize = 3;

/// The targets that a client serves now. Clones share them.
#[derive(Clone, Default)]
pub struct Targets(Arc<RwLock<Set>>);

#[derive(Default)]
struct Set {
    current: BTreeMap<String, Arc<Target>>,
    /// Those that have vanished: their sessions continue, and can be cancelled.
    former: BTreeMap<String, Arc<Target>>,
}

impl Targets {
    /// Replaces the targets for connections to come.
    pub fn replace(&self, targets: impl IntoIterator<Item = Arc<Target>>) {
        let mut set = self.0.write();
        let targets = targets.into_iter().map(|target| (target.name.clone(), target)).collect();
        let before = std::mem::replace(&mut set.current, targets);
        set.former.extend(before);
    }

    /// The target of a session that came in by this door. At a shared door the database in the packet becomes that of the target.
    pub(super) fn of_session(
        &self,
        door: &Door,
        startup: &mut StartupMessage,
    ) -> Result<Arc<Target>, Failure> {
        let set = self.0.read();
        if let Some(name) = &door.target {
            let unknown = || Failure::Lookup(LookupError::Unknown { wanted: name.as_ref().into() });
            return set.current.get(name.as_ref()).cloned().ok_or_else(unknown);
        }
        if let Some(name) = name_in(door) {
            return set.by_server_name(name);
        }
        let value = startup.get(DATABASE).unwrap_or_default().to_vec();
        let (target, rest) = set.beginning(&value, b"/")?;
        let database = rest.strip_prefix(b"/").filter(|database| !database.is_empty());
        match database.or(target.database.as_deref().map(str::as_bytes)) {
            Some(database) => startup.set(DATABASE, database).map_err(Failure::Startup)?,
            // The database takes the name of the user, as PostgreSQL does.
            None => drop(startup.remove(DATABASE)),
        }
        Ok(target)
    }

    /// The target of a cancel request. The engine adds the one of the session that has the key.
    pub(super) fn of_cancel(&self, door: &Door) -> Result<Arc<Target>, Failure> {
        let set = self.0.read();
        if let Some(name) = &door.target {
            let found = set.current.get(name.as_ref()).or_else(|| set.former.get(name.as_ref()));
            return found.cloned().ok_or(Failure::Door(DoorError::UnknownKey));
        }
        set.by_server_name(name_in(door).ok_or(Failure::Door(DoorError::UnknownKey))?)
    }

    /// The name of the target of a request, if it has one.
    pub(super) fn name(&self, Request { opening, door }: &Request) -> Option<String> {
        if let Some(name) = &door.target {
            return Some(name.as_ref().into());
        }
        let set = self.0.read();
        let found = match (name_in(door), opening) {
            (Some(name), _) => set.by_server_name(name),
            (None, Opening::Startup(startup)) => {
                set.beginning(startup.get(DATABASE)?, b"/").map(|(target, _)| target)
            }
            (None, Opening::Cancel(_)) => return None,
        };
        found.ok().map(|target| target.name.clone())
    }
}

/// The target that the TLS server name names.
fn name_in(door: &Door) -> Option<&str> {
    let name = door.server_name.as_deref()?;
    let (target, end) = name.split_at_checked(name.len().checked_sub(LOCALHOST.len())?)?;
    (!target.is_empty() && end.eq_ignore_ascii_case(LOCALHOST)).then_some(target)
}

impl Set {
    /// The target in front of `.localhost`. A DNS name has no slash: `orders.prod` is `prod/orders`, unless a target has that name
    /// itself. The names of accounts have no dot.
    fn by_server_name(&self, name: &str) -> Result<Arc<Target>, Failure> {
        let found = self.beginning(name.as_bytes(), b"").map(|(target, _)| target);
        let Some((target, account)) = name.rsplit_once('.') else { return found };
        found.or_else(|error| {
            let of_account = format!("{account}/{target}");
            self.beginning(of_account.as_bytes(), b"").map_or(Err(error), |(target, _)| Ok(target))
        })
    }

    /// The target with the longest name with which `value` begins, in any case, and the rest. The rest is empty or begins with one
    /// of `separators`: names may contain them.
    fn beginning<'v>(&self, value: &'v [u8], separators: &[u8]) -> Result<(Arc<Target>, &'v [u8]), Failure> {
        if value.is_empty() {
            return Err(Failure::Door(DoorError::Unnamed { example: self.example() }));
        }
        let fits = |target: &&Arc<Target>| {
            let (name, rest) = value.split_at_checked(target.name.len())?;
            let ends = rest.first().is_none_or(|next| separators.contains(next));
            (ends && name.eq_ignore_ascii_case(target.name.as_bytes())).then_some(rest)
        };
        let found: Vec<_> =
            self.current.values().filter_map(|target| Some((target, fits(&target)?))).collect();
        let Some(rest) = found.iter().map(|(_, rest)| *rest).min_by_key(|rest| rest.len()) else {
            return Err(Failure::Door(self.unknown(value)));
        };
        let longest = found.iter().filter(|(_, other)| other.len() == rest.len()).map(|(target, _)| *target);
        let is_exact = |target: &&Arc<Target>| value.starts_with(target.name.as_bytes());
        if let Some(target) = longest.clone().find(is_exact) {
            return Ok((Arc::clone(target), rest));
        }
        if let Some(names) = only_case_differs(longest.clone().map(|target| target.name.as_str())) {
            let name = String::from_utf8_lossy(value).into_owned();
            return Err(Failure::Lookup(LookupError::OnlyCaseDiffers { name, names }));
        }
        let unknown = || Failure::Door(self.unknown(value));
        longest.into_iter().next().map(|target| (Arc::clone(target), rest)).ok_or_else(unknown)
    }

    fn unknown(&self, value: &[u8]) -> DoorError {
        let wanted = String::from_utf8_lossy(value).into_owned();
        let names = || self.current.keys().map(String::as_str);
        // The database behind the name of the target counts for nothing.
        let slashes = names().map(|name| name.matches('/').count()).max().unwrap_or_default();
        let beginning = |slashes| wanted.match_indices('/').nth(slashes).map_or(wanted.len(), |(end, _)| end);
        let typed = (0..=slashes).rev().filter_map(|slashes| wanted.get(..beginning(slashes)));
        let near = typed.map(|typed| nearest(names(), typed, PROPOSED)).find(|near| !near.is_empty());
        let near = near.unwrap_or_default();
        let advice = if near.is_empty() {
            let some: Vec<_> = names().take(PROPOSED).collect();
            match (some.is_empty(), self.current.len() > some.len()) {
                (true, _) => "it serves none now".into(),
                (false, false) => format!("it serves {}", some.join(", ")),
                (false, true) => format!("it serves {} and others", some.join(", ")),
            }
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        DoorError::Unknown { wanted, advice, example: self.example() }
    }

    /// A value of `database` that leads somewhere.
    fn example(&self) -> String {
        let target = self.current.values().next();
        let name = target.map_or("orders-db", |target| target.name.as_str());
        let database = target.and_then(|target| target.database.as_deref()).unwrap_or("app");
        format!("{name}/{database}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::GuardRails;
    use crate::net::HostPort;
    use crate::tls::{ClientIdentity, Connector, SelfSigned, Settings, SslMode};
    use crate::wire::ProtocolVersion;

    fn target(name: &str, database: Option<&str>) -> Arc<Target> {
        let identity = ClientIdentity::Generated(Arc::new(SelfSigned::generate(&[]).unwrap()));
        let settings = Settings::new(SslMode::Disable, identity);
        Arc::new(Target {
            name: name.into(),
            identifier: None,
            address: HostPort::new(name, 5432),
            dial: None,
            database: database.map(Into::into),
            local_port: None,
            guard_rails: GuardRails::default(),
            tls: Arc::new(Connector::new(settings)),
            tls_open: false,
            iam: None,
            require_auth: None,
            allowed_clients: None,
            listed_at: None,
        })
    }

    fn targets() -> Targets {
        let targets = Targets::default();
        targets.replace([
            target("orders", Some("shop")),
            target("prod/orders", None),
            target("prod", None),
            target("proxy:proxy:reader", None),
            target("Two", None),
            target("two", None),
        ]);
        targets
    }

    /// The target and the database that the hop gets; else the text of the refusal.
    fn at(door: &Door, database: Option<&str>) -> Result<(String, Option<String>), String> {
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        startup.set("user", b"alice").unwrap();
        if let Some(database) = database {
            startup.set(DATABASE, database.as_bytes()).unwrap();
        }
        let found = targets().of_session(door, &mut startup).map_err(|failure| failure.to_string())?;
        Ok((found.name.clone(), startup.text(DATABASE)))
    }

    #[test]
    fn the_longest_name_is_the_target_and_the_rest_the_database() {
        for (value, name, database) in [
            ("orders", "orders", Some("shop")),
            ("orders/", "orders", Some("shop")),
            ("ORDERS/app", "orders", Some("app")),
            ("orders/a/b", "orders", Some("a/b")),
            ("prod", "prod", None),
            ("prod/app", "prod", Some("app")),
            ("prod/orders", "prod/orders", None),
            ("prod/orders/app", "prod/orders", Some("app")),
            ("prod/orders2", "prod", Some("orders2")),
            ("proxy:proxy:reader/app", "proxy:proxy:reader", Some("app")),
            ("two/x", "two", Some("x")),
        ] {
            let expected = (name.to_owned(), database.map(str::to_owned));
            assert_eq!(at(&Door::shared(), Some(value)), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_ones_and_none_an_example() {
        let refusal = |value| at(&Door::shared(), value).unwrap_err();
        let text = refusal(Some("odrers/app"));
        assert_eq!(
            text,
            "no target of this client is called \"odrers/app\"; did you mean orders or prod/orders?"
        );
        assert!(refusal(Some("prod2/ordesr/app")).contains("did you mean prod/orders"));
        assert!(refusal(Some("zzz")).ends_with("; it serves Two, orders, prod and others"));
        assert!(
            refusal(Some("TWO")).ends_with("\"Two\" and \"two\" differ only in case; use the exact name")
        );
        for empty in [None, Some("")] {
            assert!(refusal(empty).ends_with("write TARGET or TARGET/DATABASE, as in \"Two/app\""));
        }
    }

    #[test]
    fn a_door_decides_before_the_packet() {
        let own = Door::of("orders");
        assert_eq!(at(&own, Some("prod")), Ok(("orders".into(), Some("prod".into()))));
        assert_eq!(at(&own, None), Ok(("orders".into(), None)));
        let tls = |name: &str| Door { server_name: Some(name.into()), ..Door::shared() };
        let orders = Ok(("orders".to_owned(), Some("prod".to_owned())));
        assert_eq!(at(&tls("orders.localhost"), Some("prod")), orders);
        assert_eq!(at(&tls("Orders.LOCALHOST"), Some("prod")), orders);
        for other in ["localhost", ".localhost", "orders.example", "x"] {
            assert_eq!(at(&tls(other), Some("prod")).unwrap().0, "prod", "{other}");
        }
        // A DNS name has no slash.
        assert_eq!(at(&tls("orders.prod.localhost"), Some("x")).unwrap().0, "prod/orders");
        assert!(at(&tls("order.localhost"), Some("prod")).unwrap_err().contains("did you mean orders"));
    }

    #[test]
    fn a_target_that_vanished_gets_cancel_requests_and_no_sessions() {
        let targets = targets();
        targets.replace([target("prod", None)]);
        let door = Door::of("orders");
        assert_eq!(targets.of_cancel(&door).unwrap().name, "orders");
        let mut startup = StartupMessage::new(ProtocolVersion::V3_0);
        assert!(targets.of_session(&door, &mut startup).is_err());
        assert!(targets.of_cancel(&Door::shared()).is_err());
        assert!(targets.of_cancel(&Door::of("never")).is_err());
    }
}
