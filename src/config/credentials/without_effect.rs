//! Keys that have no effect in the section of a client's configuration, because keys of the file around it have it.

use super::raw::RawFile;
use crate::config::Remark;
use crate::config::key_path::KeyPath;

/// A remark on each of them that is set.
pub(super) fn remarks(raw: &RawFile, path: &KeyPath) -> Vec<Remark> {
    let keys = [
        (
            raw.metrics.prometheus.enabled == Some(true),
            path.key("metrics").key("prometheus"),
            "this has no effect in a client: set proxy.admin_addr, where /metrics has these metrics too",
        ),
        (
            raw.server.debug == Some(true),
            path.key("server").key("debug"),
            "this has no effect in a client: set proxy.log_level",
        ),
    ];
    let set = keys.into_iter().filter(|(is_set, ..)| *is_set);
    set.map(|(_, key, text)| Remark { key: key.to_string(), text }).collect()
}
