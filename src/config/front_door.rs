//! Resolves the targets of connections whose startup packet names none.

use std::sync::Arc;

use super::key_error::{KeyError, quoted};
use super::key_path::{KeyPath, Step};
use super::mode::Mode;
use super::raw::RawConfig;
use crate::catalog::{FrontDoor, nearest};

/// `proxy.default_target`, `proxy.accept_host_parameter` and the `server_names` of `targets`. Refuses a default that does not exist,
/// a name of two targets, and keys that would have no effect or refuse every connection.
pub(super) fn resolve(raw: &RawConfig, mode: Mode) -> Result<FrontDoor, KeyError> {
    let mut door = FrontDoor::new(default_target(raw)?);
    let has_tls = raw.proxy.ssl.enabled.unwrap_or(false);
    for (target, entry) in &raw.targets {
        let list = KeyPath::of(&["targets", target, "server_names"]);
        if mode == Mode::Server && !has_tls && !entry.server_names.is_empty() {
            let reason = "a connection has a server name only with TLS, which is off here; set `proxy.ssl.enabled: true` as well";
            return Err(KeyError::of_key(list, reason));
        }
        for (index, name) in entry.server_names.iter().enumerate() {
            door.add(&name.0.0, target).map_err(|other| {
                let mut path = list.clone();
                path.0.push(Step::Index(index));
                let reason =
                    format!("is a server name of the target \"{other}\" already; a name leads to one target");
                KeyError::refused(path, quoted(&name.0.0), reason)
            })?;
        }
    }
    door.refuses_host = raw.proxy.accept_host_parameter == Some(false);
    if door.refuses_host && door.is_closed() {
        let reason = "without the parameter, no connection has a target; set `proxy.default_target`, or `server_names` of a target";
        return Err(KeyError::of_key(KeyPath::of(&["proxy", "accept_host_parameter"]), reason));
    }
    Ok(door)
}

fn default_target(raw: &RawConfig) -> Result<Option<Arc<str>>, KeyError> {
    let Some(name) = raw.proxy.default_target.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if raw.targets.contains_key(name) {
        return Ok(Some(name.into()));
    }
    let near = nearest(raw.targets.keys().map(String::as_str), name, 1);
    let advice = match near.first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add it there; an entry for a discovered database needs only `server_names`, `local_port` or `database`".into(),
    };
    let path = KeyPath::of(&["proxy", "default_target"]);
    Err(KeyError::refused(path, quoted(name), format!("is no target in `targets`; {advice}")))
}
