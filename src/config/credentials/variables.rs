//! The variables `CREDPROXY_…`, which override the file.

use tracing::level_filters::LevelFilter;

use crate::config::Remark;
use crate::config::environment::Environment;
use crate::config::expand::{References, Substitutions};
use crate::config::key_path::{KeyPath, Step};
use crate::config::tree::Tree;

const DEFAULT_NAMESPACE: &str = "CREDPROXY_";

/// The names of CredProxy's variables, after the prefix, and their keys.
const KEYS: [(&str, &[&str]); 12] = [
    ("HOST", &["server", "host"]),
    ("PORT", &["server", "port"]),
    ("DEBUG", &["server", "debug"]),
    ("LOG_HEALTH_CHECKS", &["server", "log_health_checks"]),
    ("REFRESH_BUFFER_SECONDS", &["credentials", "refresh_buffer_seconds"]),
    ("RETRY_DELAY", &["credentials", "retry_delay"]),
    ("REQUEST_TIMEOUT", &["credentials", "request_timeout"]),
    ("DYNAMIC_SERVICES_ENABLED", &["dynamic_services", "enabled"]),
    ("DYNAMIC_SERVICES_RELOAD_INTERVAL", &["dynamic_services", "reload_interval"]),
    ("METRICS_PROMETHEUS_ENABLED", &["metrics", "prometheus", "enabled"]),
    ("METRICS_PROMETHEUS_HOST", &["metrics", "prometheus", "host"]),
    ("METRICS_PROMETHEUS_PORT", &["metrics", "prometheus", "port"]),
];

/// A list of paths, with commas.
const DIRECTORIES: (&str, &[&str]) = ("DYNAMIC_SERVICES_DIRECTORIES", &["dynamic_services", "directories"]);

/// The names of the variables: `CREDPROXY_` or what `CREDPROXY_NAMESPACE` names, and more.
pub struct Names {
    prefix: String,
    environment: Environment,
}

impl Names {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::of(Environment::of_process())
    }

    pub(super) fn of(environment: Environment) -> Self {
        let prefix = environment.variable("CREDPROXY_NAMESPACE").filter(|prefix| !prefix.is_empty());
        Self { prefix: prefix.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()), environment }
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The value of `CREDPROXY_…`. An empty one counts as not set.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        self.environment.variable(&self.name(name)).filter(|value| !value.is_empty())
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// How the file writes references to variables and files.
    pub(super) fn references(&self) -> References {
        let default = References::default();
        References {
            from_env: self.value("FROM_ENV_TAG").unwrap_or(default.from_env),
            from_file: self.value("FROM_FILE_TAG").unwrap_or(default.from_file),
            separator: self.value("TAG_SEPARATOR").unwrap_or(default.separator),
        }
    }

    /// Puts the values into the tree, below `root`, and records which variable has which key.
    pub(super) fn apply(&self, tree: &mut Tree, root: &KeyPath, substitutions: &mut Substitutions) {
        let below = |keys: &[&str]| keys.iter().fold(root.clone(), |path, key| path.key(key));
        for (name, keys) in KEYS {
            if let Some(value) = self.value(name) {
                let path = below(keys);
                put(tree, &path.0, Tree::Scalar(value));
                substitutions.record(path, self.name(name));
            }
        }
        let (name, keys) = DIRECTORIES;
        if let Some(value) = self.value(name) {
            let paths = value.split(',').map(str::trim).filter(|path| !path.is_empty());
            let directory =
                |path: &str| Tree::Section(vec![("path".to_owned(), Tree::Scalar(path.to_owned()))]);
            put(tree, &below(keys).0, Tree::List(paths.map(directory).collect()));
        }
    }

    /// `CREDPROXY_LOG_LEVEL`.
    pub(super) fn level(&self, remarks: &mut Vec<Remark>) -> Option<LevelFilter> {
        let value = self.value("LOG_LEVEL")?;
        let level = log_level(&value);
        if level.is_none() {
            let text = "this is none of debug, info, warning, error and critical, and is ignored";
            remarks.push(Remark { key: self.name("LOG_LEVEL"), text });
        }
        level
    }
}

/// The level of this name in Python's logging, or in ours; in any case.
#[must_use]
pub fn log_level(name: &str) -> Option<LevelFilter> {
    match name.trim().to_ascii_lowercase().as_str() {
        "warning" => Some(LevelFilter::WARN),
        "critical" => Some(LevelFilter::ERROR),
        other => crate::config::log_level(other),
    }
}

/// Sets the value at this path of keys. A value on the way that is no section stays, and decoding reports it.
fn put(tree: &mut Tree, path: &[Step], value: Tree) {
    let Some((step, rest)) = path.split_first() else {
        *tree = value;
        return;
    };
    if matches!(tree, Tree::Null) {
        *tree = Tree::Section(Vec::new());
    }
    let (Tree::Section(entries), Step::Key(key)) = (tree, step) else { return };
    if let Some((_, child)) = entries.iter_mut().find(|(known, _)| known == key) {
        return put(child, rest, value);
    }
    let mut child = Tree::Null;
    put(&mut child, rest, value);
    entries.push((key.clone(), child));
}
