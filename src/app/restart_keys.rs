//! Which configuration keys need a restart.

use std::path::Path;
use std::sync::Arc;

use crate::catalog::{AllowedClients, AuthMethods, Location, StaticTarget};
use crate::config::{Config, Mode, Upstream, UpstreamTransport};
use crate::tls::{ClientIdentity, Negotiation, Roots, Settings, SslMode};

/// The keys that differ and have no effect before a restart. A client has chosen its upstream proxy at its start and, unless it
/// `follows` the list of targets, its target.
pub(crate) fn changed(
    mode: Mode,
    follows: bool,
    old: &Config,
    new: &Config,
) -> impl Iterator<Item = &'static str> {
    let choices = match mode {
        Mode::Client | Mode::DirectClient => choices(follows, old, new),
        Mode::Server => Vec::new(),
    };
    let keys = [
        ("proxy.listen_addr", old.listen != new.listen),
        ("proxy.ssl.enabled", old.acceptor.is_some() != new.acceptor.is_some()),
        ("proxy.admin_addr", old.admin != new.admin),
        ("proxy.admin_hosts", old.admin_hosts != new.admin_hosts),
        ("proxy.admin_socket", old.admin_socket != new.admin_socket),
        ("proxy.drain_timeout", old.stop.drain != new.stop.drain),
        ("proxy.shutdown_delay", old.stop.delay != new.stop.delay),
        ("proxy.allow_other_users", old.allow_other_users != new.allow_other_users),
        ("aws.profile", old.aws.profile != new.aws.profile),
        ("aws.assume_role", old.aws.roles != new.aws.roles),
        ("aws.sso_login", old.sso_login != new.sso_login),
        ("accounts", old.accounts != new.accounts),
        ("audit.on_full", old.audit_on_full != new.audit_on_full),
        ("rds.enabled", old.rds.enabled != new.rds.enabled),
        ("rds.regions", old.rds.regions != new.rds.regions),
        ("rds.require_iam", old.rds.require_iam != new.rds.require_iam),
    ];
    keys.into_iter().chain(choices).filter(|(_, changed)| *changed).map(|(key, _)| key)
}

fn choices(follows: bool, old: &Config, new: &Config) -> Vec<(&'static str, bool)> {
    let roots = |config: &Config| config.default_tls.rds_roots.clone();
    let upstreams = !old.upstreams.values().map(upstream).eq(new.upstreams.values().map(upstream));
    let mut choices = vec![("upstream_proxies", upstreams), ("proxy.ssl", has_other_tls(old, new))];
    if !follows {
        let targets =
            old.named != new.named || !old.targets.iter().map(target).eq(new.targets.iter().map(target));
        choices.extend([
            ("targets", targets),
            ("proxy.target_acl", old.acl != new.acl),
            ("rds.root_certificate", roots(old) != roots(new)),
        ]);
    }
    choices
}

/// TLS settings without a generated certificate, which differs each time.
type Tls<'a> = (Option<SslMode>, Option<&'a Roots>, Option<&'a Path>, Option<&'a str>, Option<Negotiation>);

fn upstream(upstream: &Upstream) -> (&str, &UpstreamTransport, Option<Tls<'_>>, bool, Option<AuthMethods>) {
    let Upstream { name, transport, aws_auth_only, require_auth, .. } = upstream;
    let tls = upstream.connector().ok().map(|connector| {
        let Settings { mode, roots, identity, server_name, negotiation } = connector.settings();
        (Some(*mode), roots.as_ref(), identity.certificate(), server_name.as_deref(), Some(*negotiation))
    });
    (name, transport, tls, *aws_auth_only, *require_auth)
}

type Target<'a> = (
    &'a str,
    &'a Location,
    Option<&'a str>,
    Option<u16>,
    Tls<'a>,
    Option<AuthMethods>,
    Option<&'a Arc<AllowedClients>>,
);

fn target(target: &StaticTarget) -> Target<'_> {
    let StaticTarget { name, location, database, local_port, tls, require_auth, allowed_clients } = target;
    let identity = tls.identity.as_ref().and_then(ClientIdentity::certificate);
    let tls = (tls.mode, tls.roots.as_ref(), identity, tls.server_name.as_deref(), tls.negotiation);
    (name, location, database.as_deref(), *local_port, tls, *require_auth, allowed_clients.as_ref())
}

/// Whether TLS towards applications is on in both, with other settings.
fn has_other_tls(old: &Config, new: &Config) -> bool {
    let settings = |config: &'_ Config| config.acceptor.as_ref().map(|acceptor| acceptor.settings().clone());
    settings(old).zip(settings(new)).is_some_and(|(old, new)| old != new)
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
        let made = SelfSigned::generate(&["localhost".into()]).unwrap();
        fs::write(path("a.pem"), &made.certificate_pem).unwrap();
        fs::write(path("a.key"), made.key_pem.expose()).unwrap();
        let read = |yaml: &str| {
            fs::write(path("s.yaml"), yaml.replace('@', &directory.path().display().to_string())).unwrap();
            load(&path("s.yaml"), Mode::Server).unwrap()
        };
        let (plain, own) = ("{}", "proxy: {ssl: {enabled: true}}");
        let tls = "proxy: {ssl: {enabled: true, certificate: '@/a.pem', private_key: '@/a.key'}}";
        for (old, new, named) in [
            (plain, "proxy: {listen_addr: ':1'}", vec!["proxy.listen_addr"]),
            (plain, "proxy: {admin_addr: ':1'}", vec!["proxy.admin_addr"]),
            (plain, "proxy: {admin_hosts: [a]}", vec!["proxy.admin_hosts"]),
            (plain, "proxy: {admin_socket: /a}", vec!["proxy.admin_socket"]),
            (plain, "proxy: {drain_timeout: 31s}", vec!["proxy.drain_timeout"]),
            (plain, "proxy: {shutdown_delay: 1s}", vec!["proxy.shutdown_delay"]),
            (plain, "rds: {enabled: false}", vec!["rds.enabled"]),
            (plain, "rds: {require_iam: true}", vec!["rds.require_iam"]),
            (plain, "rds: {regions: [eu-west-1]}", vec!["rds.regions"]),
            (plain, "aws: {profile: a}", vec!["aws.profile"]),
            (plain, "aws: {sso_login: never}", vec!["aws.sso_login"]),
            (plain, "accounts: {prod: {profile: a}}", vec!["accounts"]),
            (
                plain,
                "aws: {assume_role: {role_arn: 'arn:aws:iam::123456789012:role/a'}}",
                vec!["aws.assume_role"],
            ),
            (plain, own, vec!["proxy.ssl.enabled"]),
            // A server changes them while it runs.
            (own, "proxy: {ssl: {enabled: true, required: true}}", vec![]),
            (own, tls, vec![]),
            (plain, "proxy: {max_connections: 1, idle_timeout: 1s, log_level: warn}", vec![]),
            (plain, "targets: {a: {host: 'a:1'}}", vec![]),
        ] {
            let changed = |old, new| changed(Mode::Server, false, &read(old), &read(new)).collect::<Vec<_>>();
            assert_eq!(changed(old, new), named, "{old} → {new}");
            assert_eq!(changed(new, old), named, "{new} → {old}");
            assert_eq!(changed(new, new).len(), 0, "{new}");
        }
    }

    #[test]
    fn a_client_names_the_sections_that_it_chose_from() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.yaml");
        let read = |yaml: &str| {
            fs::write(&path, yaml).unwrap();
            load(&path, Mode::Client).unwrap()
        };
        let upstream = |entry: &str| format!("upstream_proxies: {{default: {entry}}}");
        let plain = upstream("{host: 'a:1'}");
        let tls = format!("proxy: {{ssl: {{enabled: true}}}}\n{plain}");
        for (old, new, named) in [
            (&plain, upstream("{host: 'a:2'}"), vec!["upstream_proxies"]),
            (&plain, upstream("{host: 'a:1', ssl: {mode: disable}}"), vec!["upstream_proxies"]),
            (&plain, upstream("{host: 'a:1', require_auth: none}"), vec!["upstream_proxies"]),
            (&plain, upstream("{host: 'a:1', aws_auth_only: true}"), vec!["upstream_proxies"]),
            (&plain, "{}".to_owned(), vec!["upstream_proxies"]),
            (&plain, format!("targets: {{db: {{host: 'a:1'}}}}\n{plain}"), vec!["targets"]),
            (&plain, format!("targets: {{db: {{local_port: 1}}}}\n{plain}"), vec!["targets"]),
            (
                &plain,
                format!("proxy: {{target_acl: {{blocked_rds_tags: [{{name: a, value: b}}]}}}}\n{plain}"),
                vec!["proxy.target_acl"],
            ),
            (&plain, format!("proxy: {{max_connections: 1, log_level: warn}}\n{plain}"), vec![]),
            (&tls, format!("proxy: {{ssl: {{enabled: true, required: true}}}}\n{plain}"), vec!["proxy.ssl"]),
            (
                &tls,
                format!("proxy: {{ssl: {{enabled: true, min_version: TLSv1.3}}}}\n{plain}"),
                vec!["proxy.ssl"],
            ),
            (&plain, tls.clone(), vec!["proxy.ssl.enabled"]),
            // The generated client certificate differs each time.
            (&plain, plain.clone(), vec![]),
        ] {
            let changed = |old, new| changed(Mode::Client, false, &read(old), &read(new)).collect::<Vec<_>>();
            assert_eq!(changed(old, &new), named, "{old} → {new}");
            assert_eq!(changed(&new, old), named, "{new} → {old}");
            let of_several: Vec<_> = super::changed(Mode::Client, true, &read(old), &read(&new)).collect();
            let chosen: Vec<_> =
                named.into_iter().filter(|key| !["targets", "proxy.target_acl"].contains(key)).collect();
            assert_eq!(of_several, chosen, "{old} → {new}");
        }
    }
}
