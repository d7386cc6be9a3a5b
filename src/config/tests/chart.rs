//! What the chart and the plain manifests give to the program, and the notes of the chart to people, is read as meant.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::documents::with_files;
use super::{client, server};
use crate::config::{Config, UpstreamRoute};
use crate::target::Pods;
use crate::tls;

/// Which values files there are; `build/chart-test.sh` writes the golden files.
const VALUES: [&str; 3] = ["irsa", "production", "tls"];

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("build").join(path)
}

fn golden(name: &str, ending: &str) -> String {
    fs::read_to_string(file(&format!("helm/tests/golden/{name}.{ending}.yaml"))).unwrap()
}

/// A server's configuration, with files where it names some.
fn server_of(text: &str) -> Config {
    let roots = tempfile::tempdir().unwrap();
    let made = tls::SelfSigned::generate(&["ca".into()]).unwrap();
    fs::write(roots.path().join("ca.pem"), made.certificate_pem).unwrap();
    server(&with_files(text).replace("/etc/extra-roots", roots.path().to_str().unwrap()))
}

/// The configuration in the rendered `ConfigMap`.
fn mounted(manifests: &str) -> String {
    let documents = manifests.split("\n---\n").map(|text| serde_yaml::from_str::<Value>(text).unwrap());
    let map = documents.into_iter().find(|item| item["kind"] == "ConfigMap").unwrap();
    map["data"]["config.yaml"].as_str().unwrap().to_owned()
}

#[test]
fn every_values_file_is_known_here() {
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
        assert_eq!(config.listen.to_string(), "0.0.0.0:8000", "{name}");
        assert_eq!(config.admin.unwrap().to_string(), "0.0.0.0:9090", "{name}");
        let rendered = fs::read_to_string(file(&format!("helm/tests/golden/{name}.yaml"))).unwrap();
        assert_eq!(mounted(&rendered).trim(), golden(name, "server").trim(), "{name}");
    }
    let irsa = server_of(&golden("irsa", "server"));
    assert_eq!(irsa.acl.allowed[0].to_string(), "rds_proxy_enabled=true");
    assert!(irsa.acceptor.is_none());
    let tls = server_of(&golden("tls", "server"));
    assert!(tls.acceptor.is_some());
    assert_eq!(tls.acl.blocked[0].to_string(), "rds_proxy_disabled=true");
    assert_eq!(tls.rds.regions, ["eu-central-1", "eu-west-1"]);
    assert_eq!(tls.limits.max_connections_per_peer, Some(200));
    let production = server_of(&golden("production", "server"));
    assert_eq!(production.limits.max_connections, 4000);
    assert!(!production.limits.cancel_on_disconnect);
    assert_eq!(production.targets[0].name, "in-cluster-postgres");
}

#[test]
fn the_plain_manifests_hold_a_configuration() {
    let config = server_of(&mounted(&fs::read_to_string(file("kubernetes/rds-auth-proxy.yaml")).unwrap()));
    assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(config.acl.allowed[0].to_string(), "rds_proxy_enabled=true");
}

#[test]
fn the_notes_of_the_chart_can_be_pasted() {
    for (name, deployment, mode) in [
        ("irsa", "rds-auth-proxy", tls::Mode::Disable),
        ("production", "db-gate", tls::Mode::Require),
        ("tls", "rds-auth-proxy", tls::Mode::Require),
    ] {
        let config = client(&golden(name, "client"));
        let upstream = &config.upstreams["default"];
        let UpstreamRoute::PortForward(forward) = &upstream.route else { panic!("{name} is no tunnel") };
        assert_eq!(forward.pods, Pods::Deployment(deployment.into()), "{name}");
        assert_eq!(forward.namespace.as_deref(), Some("rds-auth-proxy"), "{name}");
        assert_eq!(forward.remote_port, 8000, "{name}");
        assert_eq!(upstream.tls.mode(), mode, "{name}");
    }
    assert_eq!(client(&golden("irsa", "client")).acl.allowed[0].to_string(), "rds_proxy_enabled=true");
}
