//! The targets of connections whose startup packet names none: by the TLS server name, else the default.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// Begins a server name that stands for every name with one label in its place.
pub const WILDCARD: &str = "*.";

/// Which target a connection without the startup parameter `host` gets.
#[derive(Clone, Debug, Default)]
pub struct FrontDoor {
    /// The startup parameter `host` is refused.
    pub refuses_host: bool,
    /// The name of the target for connections whose server name leads to none; absent: they are refused.
    default: Option<Arc<str>>,
    /// The name of the target for each server name, in lower case. A name may begin with [`WILDCARD`].
    names: HashMap<String, Arc<str>>,
}

impl FrontDoor {
    /// With this default target and no server names.
    #[must_use]
    pub fn new(default: Option<Arc<str>>) -> Self {
        Self { default, ..Self::default() }
    }

    /// Adds a server name, in any case, of the target `target`. If the name is taken, nothing changes and the error is the name of
    /// its target.
    pub fn add(&mut self, server_name: &str, target: &str) -> Result<(), Arc<str>> {
        match self.names.entry(server_name.to_ascii_lowercase()) {
            Entry::Vacant(free) => {
                free.insert(target.into());
                Ok(())
            }
            Entry::Occupied(taken) => Err(Arc::clone(taken.get())),
        }
    }

    /// Whether every connection without the parameter `host` is refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.default.is_none() && self.names.is_empty()
    }

    /// The name of the target of a connection with this TLS server name.
    #[must_use]
    pub fn target(&self, server_name: Option<&str>) -> Option<&Arc<str>> {
        server_name.and_then(|name| self.named(name)).or(self.default.as_ref())
    }

    /// An exact name comes before one with a wildcard.
    fn named(&self, server_name: &str) -> Option<&Arc<str>> {
        let name = server_name.to_ascii_lowercase();
        self.names.get(&name).or_else(|| {
            let (label, rest) = name.split_once('.')?;
            if label.is_empty() { None } else { self.names.get(&format!("{WILDCARD}{rest}")) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_comes_before_a_wildcard_and_a_wildcard_before_the_default() {
        let mut door = FrontDoor::default();
        assert!(door.is_closed());
        for (name, target) in
            [("db.shop.example", "db"), ("*.Shop.example", "any"), ("*.eu.shop.example", "eu")]
        {
            door.add(name, target).unwrap();
        }
        let found = |door: &FrontDoor, name: &str| door.target(Some(name)).map(ToString::to_string);
        for (name, target) in [
            ("db.shop.example", Some("db")),
            ("DB.Shop.Example", Some("db")),
            ("other.shop.example", Some("any")),
            ("a.eu.shop.example", Some("eu")),
            ("eu.shop.example", Some("any")),
            ("a.us.shop.example", None),
            ("shop.example", None),
            (".shop.example", None),
            ("*.shop.example", Some("any")),
            ("", None),
        ] {
            assert_eq!(found(&door, name).as_deref(), target, "{name}");
        }
        assert!(door.target(None).is_none());
        door.default = Some("rest".into());
        assert_eq!(found(&door, "shop.example").as_deref(), Some("rest"));
        assert_eq!(door.target(None).map(AsRef::as_ref), Some("rest"));
        assert!(!door.is_closed());
    }

    #[test]
    fn a_name_has_one_target() {
        let mut door = FrontDoor::default();
        door.add("a.example", "first").unwrap();
        assert_eq!(door.add("A.EXAMPLE", "second").unwrap_err().as_ref(), "first");
        assert_eq!(door.target(Some("a.example")).map(AsRef::as_ref), Some("first"));
    }
}
