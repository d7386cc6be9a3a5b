//! Which configuration keys need a restart.

use std::path::Path;

use crate::config::Config;
use crate::tls::{Acceptor, ServerIdentity};

/// The keys that differ and have no effect before a restart.
pub(crate) fn changed(old: &Config, new: &Config) -> impl Iterator<Item = &'static str> {
    let (before, after) = (identity_files(old), identity_files(new));
    let keys = [
        ("proxy.listen_addr", old.listen != new.listen),
        ("proxy.ssl.enabled", old.acceptor.is_some() != new.acceptor.is_some()),
        ("proxy.ssl.required", required(old) != required(new)),
        ("proxy.ssl.certificate", before.map(|files| files.0) != after.map(|files| files.0)),
        ("proxy.ssl.private_key", before.map(|files| files.1) != after.map(|files| files.1)),
        ("proxy.admin_addr", old.admin != new.admin),
        ("proxy.admin_hosts", old.admin_hosts != new.admin_hosts),
        ("proxy.drain_timeout", old.stop.drain != new.stop.drain),
        ("proxy.shutdown_delay", old.stop.delay != new.stop.delay),
        ("audit.on_full", old.audit_on_full != new.audit_on_full),
        ("rds.enabled", old.rds.enabled != new.rds.enabled),
        ("rds.regions", old.rds.regions != new.rds.regions),
        ("rds.require_iam", old.rds.require_iam != new.rds.require_iam),
    ];
    keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key)
}

fn required(config: &Config) -> bool {
    config.acceptor.as_ref().is_some_and(Acceptor::is_required)
}

/// The certificate and key files that applications see; absent without files.
fn identity_files(config: &Config) -> Option<(&Path, &Path)> {
    match config.acceptor.as_ref().map(Acceptor::identity) {
        Some(ServerIdentity::Files { certificate, private_key }) => Some((certificate, private_key)),
        Some(ServerIdentity::SelfSigned { .. }) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Mode, load};
    use crate::tls::SelfSigned;

    #[test]
    fn exactly_the_changed_keys_that_need_a_restart_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for name in ["a", "b"] {
            let made = SelfSigned::generate(&["localhost".into()]).unwrap();
            fs::write(path(&format!("{name}.pem")), &made.certificate_pem).unwrap();
            fs::write(path(&format!("{name}.key")), made.key_pem.expose()).unwrap();
        }
        // The same key under another name.
        fs::copy(path("a.key"), path("c.key")).unwrap();
        let read = |yaml: &str| {
            fs::write(path("s.yaml"), yaml.replace('@', &directory.path().display().to_string())).unwrap();
            load(&path("s.yaml"), Mode::Server).unwrap()
        };
        let cert_pair = |certificate: &str, key: &str| {
            format!(
                "proxy: {{ssl: {{enabled: true, certificate: '@/{certificate}', private_key: '@/{key}'}}}}"
            )
        };
        let (plain, own, tls) = ("{}", "proxy: {ssl: {enabled: true}}", cert_pair("a.pem", "a.key"));
        for (old, new, named) in [
            (plain, "proxy: {listen_addr: ':1'}", vec!["proxy.listen_addr"]),
            (plain, "proxy: {admin_addr: ':1'}", vec!["proxy.admin_addr"]),
            (plain, "proxy: {admin_hosts: [a]}", vec!["proxy.admin_hosts"]),
            (plain, "proxy: {drain_timeout: 31s}", vec!["proxy.drain_timeout"]),
            (plain, "proxy: {shutdown_delay: 1s}", vec!["proxy.shutdown_delay"]),
            (plain, "rds: {enabled: false}", vec!["rds.enabled"]),
            (plain, "rds: {require_iam: true}", vec!["rds.require_iam"]),
            (plain, "rds: {regions: [eu-west-1]}", vec!["rds.regions"]),
            (plain, own, vec!["proxy.ssl.enabled"]),
            (own, "proxy: {ssl: {enabled: true, required: true}}", vec!["proxy.ssl.required"]),
            (own, &tls, vec!["proxy.ssl.certificate", "proxy.ssl.private_key"]),
            (&tls, &cert_pair("b.pem", "b.key"), vec!["proxy.ssl.certificate", "proxy.ssl.private_key"]),
            (&tls, &cert_pair("a.pem", "c.key"), vec!["proxy.ssl.private_key"]),
            (plain, "proxy: {max_connections: 1, idle_timeout: 1s, log_level: warn}", vec![]),
            (plain, "targets: {a: {host: 'a:1'}}", vec![]),
        ] {
            assert_eq!(changed(&read(old), &read(new)).collect::<Vec<_>>(), named, "{old} → {new}");
            assert_eq!(changed(&read(new), &read(old)).collect::<Vec<_>>(), named, "{new} → {old}");
            assert_eq!(changed(&read(new), &read(new)).count(), 0, "{new}");
        }
    }
}
