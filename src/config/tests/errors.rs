//! What is said about what cannot be used: file, line, column, key and remedy.

use super::{error, read};
use crate::config::Mode;

#[track_caller]
fn says(text: &str, expected: &str) {
    assert_eq!(error(text), format!("config.yaml:{expected}"));
}

#[test]
fn unknown_keys_come_with_the_nearest_name() {
    says("proxi:\n", "1:1: proxi: there is no such key; did you mean `proxy`?");
    says(
        "proxy:\n  ListenAddr: a\n",
        "2:3: proxy.ListenAddr: there is no such key; did you mean `listen_addr`?",
    );
    says("proxy:\n  SSL: {}\n", "2:3: proxy.SSL: there is no such key; did you mean `ssl`?");
    says("rds:\n  region: x\n", "2:3: rds.region: there is no such key; did you mean `regions`?");
    says(
        "proxy: {target_acl: {allowed_rds_tags: [{name: a, value: b}, {nam: a}]}}",
        "1:63: proxy.target_acl.allowed_rds_tags[1].nam: there is no such key; did you mean `name`?",
    );
    says(
        "upstream_proxies:\n  default:\n    host: a:1\n    ssl:\n      client-certificate: c\n",
        "5:7: upstream_proxies.default.ssl.client-certificate: there is no such key; did you mean `client_certificate`?",
    );
    says(
        "targets:\n  db.one:\n    host: a:1\n    local-prot: 1\n",
        "4:5: targets.\"db.one\".local-prot: there is no such key; did you mean `local_port`?",
    );
    says(
        "\n# a comment\nlogging: {}\n",
        "3:1: logging: there is no such key; the keys here are proxy, rds, upstream_proxies, targets",
    );
}

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    says("proxy: on", "1:8: proxy: expected a section of keys, found `on`");
    says(
        "proxy:\n  ssl:\n    enabled: perhaps\n",
        "3:14: proxy.ssl.enabled: expected true or false, found `perhaps`",
    );
    says("rds: {regions: us-east-1}", "1:16: rds.regions: expected a list, found `us-east-1`");
    says("rds:\n  regions:\n  - a\n  - [b]\n", "4:5: rds.regions[1]: expected a text, found a list");
    says("targets:\n  - db\n", "2:3: targets: expected a section of keys, found a list");
    says("- a", "1:1: expected a section of keys, found a list");
    says(
        "proxy: {listen_addr: {host: a}}",
        "1:22: proxy.listen_addr: expected an address of the form HOST:PORT or unix:/path, found a section of keys",
    );
    says(
        "proxy: {max_connections: 0}",
        "1:26: proxy.max_connections: expected a whole number of at least 1, found `0`",
    );
    says(
        "proxy: {max_connections: 1.5}",
        "1:26: proxy.max_connections: expected a whole number of at least 1, found `1.5`",
    );
    says("rds: !secret {}", "1:6: rds: a YAML tag (`!…`) means nothing here; remove it");
}

#[test]
fn addresses_and_ports_are_checked() {
    says(
        "proxy:\n  listen_addr: localhost\n",
        "2:16: proxy.listen_addr: expected an address of the form HOST:PORT or unix:/path, found `localhost`",
    );
    says(
        "proxy:\n  admin_addr: 9090\n",
        "2:15: proxy.admin_addr: expected an address of the form HOST:PORT or unix:/path, found `9090`",
    );
    says(
        "targets: {db: {host: 'unix:/run/x'}}",
        "1:22: targets.db.host: expected an address of the form HOST:PORT, found `unix:/run/x`",
    );
    says(
        "targets: {db: {host: 'db:1', local_port: 65536}}",
        "1:42: targets.db.local_port: expected a port from 1 to 65535, found `65536`",
    );
    says(
        "upstream_proxies:\n  a:\n    port_forward:\n      deployment: d\n      remote_port: '0'\n",
        "5:20: upstream_proxies.a.port_forward.remote_port: expected a port from 1 to 65535, found `0`",
    );
}

#[test]
fn durations_need_a_unit() {
    let expected = "expected a duration with its unit, such as 500ms, 30s or 5m";
    for key in ["handshake_timeout", "connect_timeout", "idle_timeout", "shutdown_delay"] {
        says(
            &format!("proxy:\n  {key}: 30\n"),
            &format!("2:{}: proxy.{key}: {expected}, found `30`", key.len() + 5),
        );
    }
    says(
        "proxy: {drain_timeout: never}",
        &format!("1:24: proxy.drain_timeout: {expected}, or forever, found `never`"),
    );
    for key in ["handshake_timeout", "connect_timeout"] {
        let said = error(&format!("proxy: {{{key}: 0}}"));
        assert!(
            said.ends_with("no time at all lets nothing succeed; write a duration such as 15s"),
            "{said}"
        );
    }
}

#[test]
fn durations_have_an_end() {
    for (key, never) in [
        ("handshake_timeout", ""),
        ("connect_timeout", ""),
        ("idle_timeout", ", or 0 for no limit"),
        ("shutdown_delay", ""),
        ("drain_timeout", ", or forever for no limit"),
    ] {
        for long in ["400000000000y", "1y 1ns"] {
            says(
                &format!("proxy:\n  {key}: {long}\n"),
                &format!("2:{}: proxy.{key}: this is too long; write at most 1y{never}", key.len() + 5),
            );
        }
        read(&format!("proxy: {{{key}: 1y}}"), Mode::Server).unwrap();
    }
}

#[test]
fn modes_are_listed() {
    says(
        "targets:\n  db:\n    host: db:5432\n    ssl:\n      mode: verify_full\n",
        "5:13: targets.db.ssl.mode: expected one of disable, prefer, require, verify-ca, verify-full, found `verify_full`",
    );
}

#[test]
fn what_is_missing_is_missed_where_it_belongs() {
    says("targets:\n  db:\n    database: a\n", "2:3: targets.db: the key `host` is missing here");
    says("targets:\n  db:\n", "2:3: targets.db: the key `host` is missing here");
    says(
        "proxy:\n  target_acl:\n    blocked_rds_tags:\n    - name: a\n",
        "4:7: proxy.target_acl.blocked_rds_tags[0]: the key `value` is missing here",
    );
    says(
        "upstream_proxies:\n  default: {}\n",
        "2:3: upstream_proxies.default: one of `host` and `port_forward` is needed, to say how the proxy is reached",
    );
    says(
        "upstream_proxies:\n  default:\n    port_forward: {context: dev}\n",
        "3:5: upstream_proxies.default.port_forward: one of `deployment`, `selector` and `service` is needed, \
         to say which pods are meant",
    );
}

#[test]
fn contradictions_name_both_keys() {
    says(
        "upstream_proxies:\n  default:\n    host: a:1\n    port_forward: {deployment: d}\n",
        "4:5: upstream_proxies.default.port_forward: `host` and `port_forward` are two ways to one proxy; \
         remove one of them",
    );
    says(
        "upstream_proxies:\n  default:\n    port_forward: {service: s, selector: a=b}\n",
        "3:20: upstream_proxies.default.port_forward.service: `selector` and `service` both say which pods are \
         meant; remove one of them",
    );
    says(
        "targets:\n  a:\n    host: a:1\n    ssl: {client_cert: c, client_certificate: c}\n",
        "4:11: targets.a.ssl.client_cert: `client_certificate` and `client_cert` are one key; remove one of the two",
    );
    says(
        "upstream_proxies:\n  default:\n    port_forward: {deployment: d}\n    ssl: {root_certificate: ca.pem}\n",
        "4:11: upstream_proxies.default.ssl.root_certificate: TLS is off here unless `mode` says otherwise, so this \
         would count for nothing; set `mode: verify-full` or `mode: verify-ca` beside it",
    );
}

#[test]
fn keys_are_written_once() {
    says(
        "proxy:\n  listen_addr: a:1\n  max_connections: 1\n  listen_addr: b:1\n",
        "4:3: proxy.listen_addr: this key is written twice; remove one of the two",
    );
    says("targets: {}\ntargets: {}\n", "2:1: targets: this key is written twice; remove one of the two");
    says(
        "targets:\n  a: {host: 'a:1'}\n  \"a\": {host: 'b:1'}\n",
        "3:3: targets.a: this key is written twice; remove one of the two",
    );
}

#[test]
fn what_is_no_yaml_is_told_with_its_line() {
    for (text, line) in [
        ("proxy:\n\tlisten_addr: a:1\n", 2),
        ("proxy:\n  ssl: {enabled: true\ntargets: {}\n", 3),
        ("proxy: 'a\n", 2),
        ("a: *nothing\n", 1),
        ("proxy:\n  a: b\n c: d\n", 3),
    ] {
        let said = error(text);
        let place = said.strip_prefix("config.yaml:").unwrap();
        assert!(place.starts_with(&format!("{line}:")), "{text:?}: {said}");
        assert!(said.contains("not valid YAML"), "{said}");
    }
    says(
        "proxy: {}\n---\nproxy: {}\n",
        "1:1: a configuration is one YAML document; remove the `---` that begins another",
    );
}

#[test]
fn a_long_value_is_not_repeated() {
    let key = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2Vw\\n-----END PRIVATE KEY-----";
    says(
        &format!("proxy:\n  ssl:\n    private_key: \"{key}\"\n"),
        "3:18: proxy.ssl.private_key: expected the path of a file, found a long text",
    );
}
