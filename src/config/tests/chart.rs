//! The configurations of the chart, of its notes and of the plain manifests are read as intended.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::level_filters::LevelFilter;

use super::address;
use super::documents::with_files;
use super::{client, server};
use crate::catalog::{Pods, PortForward};
use crate::config::{Config, UpstreamTransport};
use crate::tls;

/// The values files; `build/chart-test.sh` writes the golden files.
const VALUES: [&str; 5] = ["go-chart", "in-cluster", "irsa", "production", "tls"];

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build").join(path)
}

fn golden(name: &str, ending: &str) -> String {
    fs::read_to_string(file(&format!("helm/tests/golden/{name}.{ending}.yaml"))).unwrap()
}

/// The configuration of a server, with generated files in place of those it names.
fn server_of(text: &str) -> Config {
    let roots = tempfile::tempdir().unwrap();
    let generated = tls::SelfSigned::generate(&["ca".into()]).unwrap();
    fs::write(roots.path().join("ca.pem"), generated.certificate_pem).unwrap();
    server(&with_files(text).replace("/etc/extra-roots", roots.path().to_str().unwrap()))
}

fn rendered(name: &str) -> String {
    fs::read_to_string(file(&format!("helm/tests/golden/{name}.yaml"))).unwrap()
}

fn documents(manifests: &str) -> impl Iterator<Item = Value> {
    manifests.split("\n---\n").map(|text| serde_yaml::from_str(text).unwrap())
}

/// The configuration in the rendered `ConfigMap`.
fn mounted(manifests: &str) -> String {
    let map = documents(manifests).find(|item| item["kind"] == "ConfigMap").unwrap();
    map["data"]["config.yaml"].as_str().unwrap().to_owned()
}

/// The tunnel of a client with the configuration of the notes, and its TLS mode.
fn tunnel(config: &Config) -> (&PortForward, tls::SslMode) {
    let upstream = &config.upstreams["default"];
    let UpstreamTransport::PortForward(forward) = &upstream.transport else { panic!("no tunnel") };
    (forward, upstream.connector().unwrap().mode())
}

#[test]
fn every_values_file_is_in_the_list() {
    let entries = fs::read_dir(file("helm/tests/values")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, VALUES);
}

#[test]
fn a_server_of_the_chart_reads_its_configuration() {
    for name in VALUES {
        let config = server_of(&golden(name, "server"));
        let (everywhere, level) = match name {
            "in-cluster" => ("[::]", LevelFilter::DEBUG),
            _ => ("0.0.0.0", LevelFilter::INFO),
        };
        assert_eq!(config.listen.to_string(), format!("{everywhere}:8000"), "{name}");
        assert_eq!(config.admin.unwrap().to_string(), format!("{everywhere}:9090"), "{name}");
        assert_eq!(config.log_level, level, "{name}");
        assert_eq!(mounted(&rendered(name)).trim(), golden(name, "server").trim(), "{name}");
    }
    let irsa = server_of(&golden("irsa", "server"));
    let names = ["", ".rds-auth-proxy", ".rds-auth-proxy.svc", ".rds-auth-proxy.svc.cluster.local"];
    assert_eq!(irsa.admin_hosts, names.map(|rest| format!("rds-auth-proxy{rest}")));
    assert_eq!(irsa.acl.allowed[0].to_string(), "rds_proxy_enabled=true");
    assert!(irsa.acceptor.is_none());
    assert_eq!(irsa.limits.max_connections_per_peer, Some(500));
    let tls = server_of(&golden("tls", "server"));
    let settings = tls.acceptor.as_ref().unwrap().settings();
    assert!(settings.required && settings.requires_client_certificates());
    assert_eq!(tls.acl.blocked[0].to_string(), "rds_proxy_disabled=true");
    assert_eq!(tls.rds.regions, ["eu-central-1", "eu-west-1"]);
    assert_eq!(tls.limits.max_connections_per_peer, Some(200));
    let production = server_of(&golden("production", "server"));
    assert_eq!(production.admin_socket, Some("/run/rds-auth-proxy/admin/socket".into()));
    assert_eq!(irsa.admin_socket, None);
    assert_eq!(production.limits.max_connections, 4000);
    assert!(production.admin_hosts.contains(&"metrics.internal.example.com".to_owned()));
    assert_eq!(production.limits.max_connections_per_peer, Some(2000));
    assert_eq!((production.limits.max_logins_per_target, production.limits.max_logins_per_peer), (64, 256));
    assert!(!production.limits.cancel_on_disconnect);
    assert_eq!(production.targets[0].name, "in-cluster-postgres");
    assert!(!server_of(&golden("in-cluster", "server")).rds.enabled);
}

/// With `verify-full` a client requires the name with which it finds the pods.
#[test]
fn the_certificate_has_the_name_that_the_tunnel_requires() {
    for name in ["go-chart", "in-cluster", "tls"] {
        let config = client(&golden(name, "client"));
        let Pods::Deployment(demanded) = &tunnel(&config).0.pods else { panic!("{name}") };
        let manifests = rendered(name);
        let mut certificates = documents(&manifests).filter(|item| item["kind"] == "Certificate");
        let ours =
            certificates.find(|item| item["spec"]["usages"].to_string().contains("server auth")).unwrap();
        let names: Vec<_> =
            ours["spec"]["dnsNames"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert!(names.contains(&demanded.as_str()) && names.contains(&"rds-auth-proxy"), "{name}: {names:?}");
    }
}

#[test]
fn the_plain_manifests_have_a_valid_configuration() {
    let config = server_of(&mounted(&fs::read_to_string(file("kubernetes/rds-auth-proxy.yaml")).unwrap()));
    assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(config.acl.allowed[0].to_string(), "rds_proxy_enabled=true");
}

#[test]
fn the_notes_of_the_chart_are_a_valid_client_configuration() {
    for (name, deployment, mode) in [
        ("go-chart", "rds-auth-proxy", tls::SslMode::Require),
        ("in-cluster", "pg-gate", tls::SslMode::Require),
        ("irsa", "rds-auth-proxy", tls::SslMode::Prefer),
        ("production", "db-gate", tls::SslMode::Require),
        ("tls", "rds-auth-proxy", tls::SslMode::Require),
    ] {
        let config = client(&golden(name, "client"));
        let (forward, wanted) = tunnel(&config);
        assert_eq!(wanted, mode, "{name}");
        assert_eq!(forward.pods, Pods::Deployment(deployment.into()), "{name}");
        assert_eq!(forward.namespace.as_deref(), Some("rds-auth-proxy"), "{name}");
        assert_eq!(forward.remote_port, 8000, "{name}");
    }
    assert_eq!(client(&golden("irsa", "client")).acl.allowed[0].to_string(), "rds_proxy_enabled=true");
}

/// A client lists databases by itself, so its configuration needs the server's targets and settings of `rds`.
#[test]
fn the_notes_of_the_chart_have_the_targets_of_the_server() {
    for name in VALUES {
        let (ours, theirs) = (client(&golden(name, "client")), server_of(&golden(name, "server")));
        assert_eq!(
            (ours.rds.enabled, &ours.rds.regions),
            (theirs.rds.enabled, &theirs.rds.regions),
            "{name}"
        );
        let known = |config: &Config| -> Vec<_> {
            config.targets.iter().map(|target| (target.name.clone(), address(&target.location))).collect()
        };
        assert_eq!(known(&ours), known(&theirs), "{name}");
    }
    let config = client(&golden("in-cluster", "client"));
    assert_eq!(config.targets.len(), 2);
    assert_eq!(config.targets[0].database.as_deref(), Some("app"));
}
