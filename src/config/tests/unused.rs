//! Files of sections that the mode does not use.

use super::{error, error_of_databases, read};
use crate::config::Mode;

const NOWHERE: [&str; 3] = [
    "root_certificate: /nowhere/ca.pem, mode: verify-ca",
    "client_certificate: /nowhere/c.pem, client_private_key: /nowhere/c.key",
    "root_certificate: $NOWHERE/ca.pem, mode: verify-full",
];

/// Go program: `overrideSSLConfig` in `cmd/proxy_client.go` reads the files of the upstream proxy that is chosen.
#[test]
fn a_client_needs_the_files_of_the_upstream_proxy_that_it_uses() {
    for ssl in NOWHERE {
        let text = format!(
            "upstream_proxies:\n  near: {{host: 'a:1'}}\n  far: {{host: 'a:1', ssl: {{{ssl}}}}}\n\
             targets:\n  t: {{host: 'a:1', ssl: {{{ssl}}}}}\nrds: {{root_certificate: /nowhere/rds.pem}}\n"
        );
        let config = read(&text, Mode::Client).unwrap();
        config.upstreams["near"].connector().unwrap();
        let message = config.upstreams["far"].connector().unwrap_err().to_string();
        assert!(
            message.starts_with("config.yaml:3:") && message.contains(": upstream_proxies.far.ssl."),
            "{message}"
        );
        assert!(config.certificates().is_empty());
    }
    let tunnel = "upstream_proxies: {far: {port_forward: {deployment: d, kube_config: $NOWHERE/x}}}";
    let message = read(tunnel, Mode::Client).unwrap().upstreams["far"].connector().unwrap_err().to_string();
    assert!(
        message.ends_with("port_forward.kube_config: the environment variable NOWHERE is not set"),
        "{message}"
    );
}

#[test]
fn a_server_and_a_direct_client_need_no_file_of_an_upstream_proxy() {
    for mode in [Mode::Server, Mode::DirectClient] {
        for ssl in NOWHERE {
            let text = format!("upstream_proxies: {{far: {{host: 'a:1', ssl: {{{ssl}}}}}}}");
            assert!(read(&text, mode).unwrap().upstreams.is_empty());
        }
        read("upstream_proxies: {a: {port_forward: {deployment: d, kube_config: $NOWHERE/x}}}", mode)
            .unwrap();
    }
}

#[test]
fn a_server_and_a_direct_client_need_the_files_of_targets_and_rds() {
    for ssl in NOWHERE {
        let message = error_of_databases(&format!("targets: {{t: {{host: 'a:1', ssl: {{{ssl}}}}}}}"));
        assert!(message.starts_with("config.yaml:1:") && message.contains(": targets.t.ssl."), "{message}");
    }
    assert!(error_of_databases("rds: {root_certificate: /nowhere/rds.pem}").contains("cannot be read"));
}

/// Every mode loads the files of `proxy.ssl`, as the Go program does.
#[test]
fn the_client_certificate_of_the_proxy_is_always_needed() {
    let message =
        error("proxy: {ssl: {client_certificate: /nowhere/c.pem, client_private_key: /nowhere/c.key}}");
    assert!(message.contains("proxy.ssl.client_certificate: "), "{message}");
    for mode in [Mode::Client, Mode::DirectClient, Mode::Server] {
        read("proxy: {ssl: {certificate: /nowhere/c.pem, private_key: /nowhere/c.key}}", mode).unwrap();
    }
}

/// Sections that are not used keep all other checks.
#[test]
fn contradictions_in_unused_sections_are_errors() {
    for text in [
        "targets: {t: {host: 'a:1', ssl: {client_certificate: c}}}",
        "targets: {t: {host: 'a:1', ssl: {client_certificate: c, client_cert: c}}}",
        "targets: {t: {host: 'a:1', ssl: {mode: none}}}",
        "upstream_proxies: {u: {host: 'a:1', ssl: {client_private_key: c}}}",
        "upstream_proxies: {u: {host: 'a:1', ssl: {mode: verify-ca}}}",
        "upstream_proxies: {u: {}}",
        "upstream_proxies: {u: {port_forward: {context: c}}}",
    ] {
        assert_eq!(error(text), read(text, Mode::DirectClient).unwrap_err());
    }
}
