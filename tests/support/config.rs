//! The configuration files of a world's proxies.

use std::fs;
use std::path::PathBuf;

use serde_yaml::Value;

use super::builder::World;
use super::certificates::{Authority, Certificate};
use super::instance::REGION;
use super::ports::free_port;
use super::world::Running;

impl World {
    pub(super) fn server_config(&self, running: &Running) -> Value {
        let mut config = self.common_config();
        if self.server_tls {
            let Certificate { path, key_path, .. } = &running.server_certificate;
            let (path, key) = (path.display(), key_path.display());
            merge(
                &mut config,
                yaml(&format!("proxy: {{ssl: {{enabled: true, certificate: {path}, private_key: {key}}}}}")),
            );
        }
        merge_all(config, &self.server_yaml, running)
    }

    pub(super) fn client_config(&self, running: &Running) -> Value {
        let mut config = self.common_config();
        for (name, server) in [("default", "server"), ("second", "server-2")] {
            let port = match running.proxies.iter().find(|proxy| proxy.name == server) {
                Some(proxy) => proxy.port(),
                None if name == "default" => free_port(),
                None => continue,
            };
            let ssl = if self.server_tls {
                format!("{{mode: verify-full, root_certificate: {}}}", Authority::trusted().path.display())
            } else {
                "{mode: disable}".to_owned()
            };
            merge(
                &mut config,
                yaml(&format!("upstream_proxies: {{{name}: {{host: 'localhost:{port}', ssl: {ssl}}}}}")),
            );
        }
        merge_all(config, &self.client_yaml, running)
    }

    fn common_config(&self) -> Value {
        let clusters = self.clusters.iter().map(|cluster| cluster.region.as_str());
        let mut regions: Vec<_> =
            self.instances.iter().map(|instance| instance.region.as_str()).chain(clusters).collect();
        regions.push(REGION);
        regions.sort_unstable();
        regions.dedup();
        yaml(&format!(
            "{{proxy: {{listen_addr: '127.0.0.1:0'}}, rds: {{regions: [{}], root_certificate: {}}}}}",
            regions.join(", "),
            Authority::trusted().path.display()
        ))
    }
}

impl Running {
    pub(super) fn write_config(&self, name: &str, config: &Value) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, serde_yaml::to_string(config).unwrap()).unwrap();
        path
    }

    /// Replaces `<…>` in a YAML text, see [`super::builder::World`].
    fn resolve(&self, text: &str) -> String {
        let mut text = text
            .replace("<postgres>", &format!("localhost:{}", self.postgres.port))
            .replace("<ca>", &Authority::trusted().path.display().to_string())
            .replace("<foreign-ca>", &Authority::foreign().path.display().to_string())
            .replace("<certificate>", &self.server_certificate.path.display().to_string())
            .replace("<key>", &self.server_certificate.key_path.display().to_string())
            .replace("<directory>", &self.directory.display().to_string());
        if let Some(server) = self.proxies.iter().find(|proxy| proxy.name == "server") {
            text = text.replace("<server-port>", &server.port().to_string());
        }
        for database in &self.databases {
            text = text.replace(&format!("<{}>", database.name), &database.rds.endpoint());
            text = text.replace(&format!("<port of {}>", database.name), &database.rds.port.to_string());
        }
        text
    }
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn merge_all(mut config: Value, extra: &[String], running: &Running) -> Value {
    for text in extra {
        merge(&mut config, yaml(&running.resolve(text)));
    }
    config
}

/// Merges mappings; replaces other values; null removes a key.
fn merge(base: &mut Value, overlay: Value) {
    match (base, overlay) {
        (Value::Mapping(base), Value::Mapping(overlay)) => {
            for (key, value) in overlay {
                if value.is_null() {
                    base.remove(&key);
                } else if let Some(known) = base.get_mut(&key) {
                    merge(known, value);
                } else {
                    base.insert(key, value);
                }
            }
        }
        (base, overlay) => *base = overlay,
    }
}
