//! `~`, `$NAME`, `${fromEnv:NAME}` and `${fromFile:/path}`.

use std::fmt::Write;
use std::fs;

use super::{client, environment, error, error_of_databases};
use crate::config::expand::{References, Substitutions, expand};
use crate::config::load::{from_text, interpret};
use crate::config::parse::parse;
use crate::config::{Mode, UpstreamTransport};

#[track_caller]
fn kube_config(path: &str) -> String {
    let text =
        format!("upstream_proxies: {{a: {{port_forward: {{deployment: d, kube_config: \"{path}\"}}}}}}");
    match &client(&text).upstreams["a"].transport {
        UpstreamTransport::PortForward(forward) => {
            forward.kube_config.as_ref().unwrap().to_str().unwrap().to_owned()
        }
        UpstreamTransport::Host(_) => unreachable!(),
    }
}

#[test]
fn paths_expand_the_home_directory_and_variables() {
    for (text, path) in [
        ("~/.kube/config", "/home/someone/.kube/config"),
        ("~", "/home/someone"),
        ("$HOME/x", "/home/someone/x"),
        ("/a/${HOST}-$PORT.yaml", "/a/db.example.com-6543.yaml"),
        ("relative/~/x", "relative/~/x"),
        ("~other/x", "~other/x"),
        ("/price/5$", "/price/5$"),
        ("${fromEnv:HOME}/x", "/home/someone/x"),
    ] {
        assert_eq!(kube_config(text), path);
    }
}

#[test]
fn an_unset_variable_in_a_path_is_named() {
    let message =
        error_of_databases("targets:\n  a:\n    host: a:1\n    ssl: {root_certificate: $NOWHERE/x}\n");
    assert_eq!(
        message,
        "config.yaml:4:29: targets.a.ssl.root_certificate: \
         the environment variable NOWHERE is not set"
    );
}

#[test]
fn any_value_can_come_from_the_environment_or_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("name");
    fs::write(&file, "orders\r\n").unwrap();
    let config = client(&format!(
        "proxy:\n  ssl: {{enabled: '${{fromEnv:ENABLED}}'}}\n\
         targets:\n  db:\n    host: ${{fromEnv:HOST}}:${{fromEnv:PORT}}\n    local_port: ${{fromEnv:PORT}}\n    \
         database: all_${{fromFile:{}}}_here\n\
         rds:\n  regions:\n  - ${{fromEnv:HOST}}\n",
        file.display()
    ));
    assert!(config.acceptor.is_some());
    assert_eq!(super::address(&config.targets[0].location), "db.example.com:6543");
    assert_eq!(config.targets[0].local_port, Some(6543));
    assert_eq!(config.targets[0].database.as_deref(), Some("all_orders_here"));
    assert_eq!(config.rds.regions, ["db.example.com"]);
}

#[test]
fn a_reference_that_cannot_be_resolved_is_reported_with_its_key() {
    assert_eq!(
        error("targets:\n  db:\n    host: ${fromEnv:MISSING}\n"),
        "config.yaml:3:5: targets.db.host: the environment variable MISSING of ${fromEnv:MISSING} is not set"
    );
    let message = error("rds:\n  regions:\n  - a\n  - ${fromFile:/nowhere/at/all}\n");
    assert!(
        message.starts_with(
            "config.yaml:4:5: rds.regions[1]: the file of ${fromFile:/nowhere/at/all} cannot be read: "
        ),
        "{message}"
    );
    let message = error("rds: {regions: ['${env:AWS_REGION}']}");
    assert!(message.contains("rds.regions[0]: `${env:…}` is unknown; use"), "{message}");
}

#[test]
fn errors_never_repeat_values_from_outside() {
    for text in [
        "proxy: {listen_addr: '${fromEnv:SENSITIVE}'}",
        "proxy: {ssl: {enabled: '${fromEnv:SENSITIVE}'}}",
        "proxy: {max_connections: 'x${fromEnv:SENSITIVE}'}",
        "proxy: {idle_timeout: '${fromEnv:SENSITIVE}'}",
        "proxy: {drain_timeout: '${fromEnv:SENSITIVE}'}",
        "proxy: {ssl: {certificate: '${fromEnv:SENSITIVE}', private_key: k, enabled: true}}",
        "proxy: {ssl: {client_certificate: '${fromEnv:SENSITIVE}', client_private_key: k}}",
        "proxy: {ssl: {client_certificate: Cargo.toml, client_private_key: '${fromEnv:SENSITIVE}'}}",
        "proxy: {ssl: '${fromEnv:SENSITIVE}'}",
        "rds: {root_certificate: '${fromEnv:SENSITIVE}'}",
        "rds: {regions: '${fromEnv:SENSITIVE}'}",
        "targets: {db: {host: '${fromEnv:SENSITIVE}'}}",
        "targets: {db: {host: 'a:1', local_port: '${fromEnv:SENSITIVE}'}}",
        "targets: {db: {host: 'a:1', ssl: {mode: '${fromEnv:SENSITIVE}'}}}",
        "targets: {db: {host: 'a:1', ssl: {mode: verify-ca, root_certificate: '${fromEnv:SENSITIVE}'}}}",
        "targets: {db: {host: 'a:1', ssl: {root_certificate: '$${fromEnv:SENSITIVE}'}}}",
    ] {
        let message = error_of_databases(text);
        assert!(!message.contains("hunter2"), "{message}");
        assert!(message.starts_with("config.yaml:1:"), "{message}");
        let names_reference = message.contains("${fromEnv:SENSITIVE}");
        assert!(names_reference || text.contains("Cargo.toml"), "{text}: {message}");
    }
}

/// Every key with free text, all from outside the file.
const FROM_OUTSIDE: &str = "
proxy:
  listen_addr: 'unix:/run/${fromEnv:SENSITIVE}'
  admin_addr: '${fromEnv:SENSITIVE}:9090'
  target_acl: {blocked_rds_tags: [{name: '${fromEnv:SENSITIVE}', value: '${fromEnv:SENSITIVE}'}]}
rds: {regions: ['${fromEnv:SENSITIVE}']}
upstream_proxies:
  near: {host: '${fromEnv:SENSITIVE}:8000'}
  far:
    port_forward:
      kube_config: '/${fromEnv:SENSITIVE}'
      context: '${fromEnv:SENSITIVE}'
      namespace: '${fromEnv:SENSITIVE}'
      selector: 'app=${fromEnv:SENSITIVE}'
targets:
  orders: {host: '${fromEnv:SENSITIVE}:5432', database: '${fromEnv:SENSITIVE}'}
";

#[test]
fn no_debug_output_shows_a_value_from_outside() {
    let (mut tree, mut substitutions) = (parse(FROM_OUTSIDE).unwrap(), Substitutions::default());
    expand(&mut tree, &References::default(), &environment(), &mut substitutions).unwrap();
    let config = client(FROM_OUTSIDE);
    assert_eq!(config.targets[0].database.as_deref(), Some("hunter2"), "the value is loaded");
    let mut printed =
        format!("{tree:?} {tree:#?} {substitutions:?} {substitutions:#?} {config:?} {config:#?}");
    for expected in ["kube_config", "${fromEnv:SENSITIVE}", "Config {", "orders", "near"] {
        assert!(printed.contains(expected), "{expected} is not in {printed}");
    }
    for text in [
        "proxy: {max_connections: 'x${fromEnv:SENSITIVE}'}",
        "proxy: {ssl: '${fromEnv:SENSITIVE}'}",
        "targets: {db: {host: 'a:1', ssl: {mode: '${fromEnv:SENSITIVE}'}}}",
        "targets: {db: {host: 'a:1', password: '${fromEnv:SENSITIVE}'}}",
        "rds: {root_certificate: '${fromEnv:SENSITIVE}'}",
    ] {
        let path = std::path::Path::new("config.yaml");
        // Before the value is hidden, and after.
        let key_error =
            interpret(path, text, Mode::Server, &environment(), &mut Substitutions::default()).unwrap_err();
        let error = from_text(path, text, Mode::Server, &environment()).unwrap_err();
        write!(printed, "{key_error:?} {key_error:#?} {error:?} {error:#?}").unwrap();
    }
    assert!(printed.contains("Unexpected { expected: \"a whole number"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
}
