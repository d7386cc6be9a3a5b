//! The errors of configurations: file, line, column, key and remedy.

use super::{error, fails, read};
use crate::config::Mode;

#[test]
fn an_unknown_key_comes_with_the_most_similar_name() {
    fails("proxi:\n", "1:1: proxi: there is no such key; did you mean `proxy`?");
    fails(
        "proxy:\n  ListenAddr: a\n",
        "2:3: proxy.ListenAddr: there is no such key; did you mean `listen_addr`?",
    );
    fails("proxy:\n  SSL: {}\n", "2:3: proxy.SSL: there is no such key; did you mean `ssl`?");
    fails("rds:\n  region: x\n", "2:3: rds.region: there is no such key; did you mean `regions`?");
    fails(
        "proxy: {target_acl: {allowed_rds_tags: [{name: a, value: b}, {nam: a}]}}",
        "1:63: proxy.target_acl.allowed_rds_tags[1].nam: there is no such key; did you mean `name`?",
    );
    fails(
        "upstream_proxies:\n  default:\n    host: a:1\n    ssl:\n      client-certificate: c\n",
        "5:7: upstream_proxies.default.ssl.client-certificate: there is no such key; did you mean `client_certificate`?",
    );
    fails(
        "targets:\n  db.one:\n    host: a:1\n    local-prot: 1\n",
        "4:5: targets.\"db.one\".local-prot: there is no such key; did you mean `local_port`?",
    );
    fails(
        "\n# a comment\nlogging: {}\n",
        "3:1: logging: there is no such key; the keys here are proxy, rds, upstream_proxies, targets, audit, aws, accounts, credentials, and `x-…` for parts \
         that only aliases use",
    );
}

#[test]
fn a_wrong_type_is_reported_with_the_expected_and_the_found_value() {
    fails("proxy: on", "1:8: proxy: expected a section of keys, found `on`");
    fails(
        "proxy:\n  ssl:\n    enabled: perhaps\n",
        "3:14: proxy.ssl.enabled: expected true or false, found `perhaps`",
    );
    fails(
        "rds: {regions: us-east-1}",
        "1:16: rds.regions: expected a list, found `us-east-1`; write `[us-east-1]`",
    );
    fails(
        "rds:\n  regions: us-east-1, eu-west-1\n",
        "2:12: rds.regions: expected a list, found `us-east-1, eu-west-1`; write `[us-east-1, eu-west-1]`",
    );
    fails(
        "rds: {regions: {a: b}}",
        "1:16: rds.regions: expected a list, found a section of keys; begin each item with `- `",
    );
    for (tags, found) in [("team=a", "`team=a`"), ("{name: team, value: a}", "a section of keys")] {
        fails(
            &format!("proxy:\n  target_acl:\n    allowed_rds_tags: {tags}\n"),
            &format!(
                "3:23: proxy.target_acl.allowed_rds_tags: expected a list, found {found}; write each tag as \
                 `- {{name: NAME, value: VALUE}}`"
            ),
        );
    }
    let hidden = error("rds: {regions: '${fromEnv:SENSITIVE}'}");
    assert!(hidden.ends_with("expected a list, found something else in ${fromEnv:SENSITIVE}"), "{hidden}");
    fails("rds:\n  regions:\n  - a\n  - [b]\n", "4:5: rds.regions[1]: expected a text, found a list");
    fails("targets:\n  - db\n", "2:3: targets: expected a section of keys, found a list");
    fails("- a", "1:1: expected a section of keys, found a list");
    fails(
        "proxy: {listen_addr: {host: a}}",
        "1:22: proxy.listen_addr: expected an address of the form HOST:PORT or unix:/path, found a section of keys",
    );
    fails(
        "proxy: {max_connections: 0}",
        "1:26: proxy.max_connections: expected a whole number of at least 1, found `0`",
    );
    fails(
        "proxy: {max_connections: 1.5}",
        "1:26: proxy.max_connections: expected a whole number of at least 1, found `1.5`",
    );
    fails(
        "rds: !secret {}",
        "1:6: rds: a YAML tag (`!…`) has no meaning here; remove it, or quote a value that begins with `!`",
    );
}

#[test]
fn tls_that_is_required_has_to_be_on() {
    let off = "TLS is off here, so this would refuse every connection; set `enabled: true` as well";
    fails("proxy:\n  ssl:\n    required: true\n", &format!("3:15: proxy.ssl.required: {off}"));
    fails("proxy: {ssl: {enabled: false, required: true}}", &format!("1:41: proxy.ssl.required: {off}"));
    for text in ["{required: false}", "{enabled: true, required: true}"] {
        assert!(read(&format!("proxy: {{ssl: {text}}}"), Mode::Server).is_ok(), "{text}");
    }
}

#[test]
fn addresses_and_ports_are_checked() {
    fails(
        "proxy:\n  listen_addr: localhost\n",
        "2:16: proxy.listen_addr: expected an address of the form HOST:PORT or unix:/path, found `localhost`",
    );
    fails(
        "proxy:\n  admin_addr: 9090\n",
        "2:15: proxy.admin_addr: expected an address of the form HOST:PORT or unix:/path, found `9090`",
    );
    for name in ["metrics:9090", "http://metrics", "", "[::1]"] {
        fails(
            &format!("proxy:\n  admin_hosts: ['{name}']\n"),
            &format!("2:17: proxy.admin_hosts[0]: expected a host name without a port, found `{name}`"),
        );
    }
    fails(
        "targets: {db: {host: 'unix:/run/x'}}",
        "1:22: targets.db.host: expected an address of the form HOST:PORT, found `unix:/run/x`",
    );
    fails(
        "targets: {db: {host: 'db:1', local_port: 65536}}",
        "1:42: targets.db.local_port: expected a port from 1 to 65535, found `65536`",
    );
    fails(
        "upstream_proxies:\n  a:\n    port_forward:\n      deployment: d\n      remote_port: '0'\n",
        "5:20: upstream_proxies.a.port_forward.remote_port: expected a port from 1 to 65535, found `0`",
    );
}

#[test]
fn durations_need_a_unit() {
    let expected = "expected a duration with its unit, such as 500ms, 30s or 5m";
    for key in ["handshake_timeout", "connect_timeout", "idle_timeout", "shutdown_delay"] {
        fails(
            &format!("proxy:\n  {key}: 30\n"),
            &format!("2:{}: proxy.{key}: {expected}, found `30`", key.len() + 5),
        );
    }
    fails(
        "proxy: {drain_timeout: never}",
        &format!("1:24: proxy.drain_timeout: {expected}, or forever, found `never`"),
    );
    for key in ["handshake_timeout", "connect_timeout"] {
        let error = error(&format!("proxy: {{{key}: 0}}"));
        assert!(
            error.ends_with("with no time every connection would fail; write a duration such as 15s"),
            "{error}"
        );
    }
}

#[test]
fn durations_have_a_maximum() {
    for (key, never) in [
        ("handshake_timeout", ""),
        ("connect_timeout", ""),
        ("idle_timeout", ", or 0 for no limit"),
        ("shutdown_delay", ""),
        ("drain_timeout", ", or forever for no limit"),
    ] {
        for long in ["400000000000y", "1y 1ns"] {
            fails(
                &format!("proxy:\n  {key}: {long}\n"),
                &format!("2:{}: proxy.{key}: this is too long; write at most 1y{never}", key.len() + 5),
            );
        }
        read(&format!("proxy: {{{key}: 1y}}"), Mode::Server).unwrap();
    }
}

#[test]
fn the_age_of_a_list_has_a_minimum_a_maximum_and_a_word_for_any() {
    fails(
        "rds: {max_age: 24}",
        "1:16: rds.max_age: expected a duration with its unit, such as 30m or 24h, or forever, found `24`",
    );
    fails(
        "rds:\n  max_age: 0",
        "2:12: rds.max_age: every list is older than that; write a duration such as 24h, or forever for no limit",
    );
    fails(
        "rds:\n  max_age: 2y",
        "2:12: rds.max_age: this is too long; write at most 1y, or forever for no limit",
    );
}

#[test]
fn an_unknown_mode_comes_with_the_list_of_modes() {
    fails(
        "targets:\n  db:\n    host: db:5432\n    ssl:\n      mode: verify_full\n",
        "5:13: targets.db.ssl.mode: expected one of disable, prefer, require, verify-ca, verify-full, found `verify_full`",
    );
}

#[test]
fn a_missing_key_is_reported_at_its_section() {
    let rest = "without it, an entry can set only `local_port`, `database`, `server_names` and `allowed_client_names` of \
                the RDS database with this name";
    for entry in ["", "    require_auth: none\n", "    local_port: 1\n    ssl: {mode: require}\n"] {
        fails(
            &format!("targets:\n  db:\n{entry}"),
            &format!("2:3: targets.db: the key `host` is missing here; {rest}"),
        );
    }
    fails(
        "rds: {enabled: false}\ntargets:\n  db:\n    local_port: 1\n",
        "3:3: targets.db: the key `host` is missing here; with `rds.enabled: false` there is no other way to find the \
         database",
    );
    fails(
        "proxy:\n  target_acl:\n    blocked_rds_tags:\n    - name: a\n",
        "4:7: proxy.target_acl.blocked_rds_tags[0]: the key `value` is missing here",
    );
    fails(
        "upstream_proxies:\n  default: {}\n",
        "2:3: upstream_proxies.default: `host` and `port_forward` are missing; set one of them to reach the proxy",
    );
    fails(
        "upstream_proxies:\n  default:\n    port_forward: {context: dev}\n",
        "3:5: upstream_proxies.default.port_forward: `deployment`, `selector` and `service` are missing; set one of \
         them to choose the pods",
    );
}

#[test]
fn contradictions_name_both_keys() {
    fails(
        "rds: {enabled: false}\ntargets:\n  a:\n    rds: orders-db\n",
        "4:5: targets.a.rds: `rds.enabled: false` turns discovery off, which finds this database; remove one of the two",
    );
    fails(
        "upstream_proxies:\n  default:\n    host: a:1\n    port_forward: {deployment: d}\n",
        "4:5: upstream_proxies.default.port_forward: `host` and `port_forward` exclude each other; \
         remove one of them",
    );
    fails(
        "upstream_proxies:\n  default:\n    port_forward: {service: s, selector: a=b}\n",
        "3:20: upstream_proxies.default.port_forward.service: `selector` and `service` exclude each other; \
         remove one of them",
    );
    fails(
        "targets:\n  a:\n    host: a:1\n    ssl: {client_cert: c, client_certificate: c}\n",
        "4:11: targets.a.ssl.client_cert: `client_certificate` and `client_cert` are the same key; remove one of the two",
    );
}

/// They are keys or values of the Go project's chart, which the Go program ignores in a configuration.
#[test]
fn a_camel_case_key_of_the_chart_comes_with_its_right_name() {
    for (section, wrong, right) in [
        ("proxy", "listenAddr", "listen_addr"),
        ("proxy", "targetAcl", "target_acl"),
        ("proxy.ssl", "certificatePath", "certificate"),
        ("proxy.ssl", "clientCertificatePath", "client_certificate"),
        ("proxy.ssl", "clientPrivateKeyPath", "client_private_key"),
        ("proxy.ssl", "clientPrivateKey", "client_private_key"),
        ("proxy.ssl", "privateKey", "private_key"),
        ("proxy.target_acl", "allowedRDSTags", "allowed_rds_tags"),
        ("proxy.target_acl", "blockedRdsTags", "blocked_rds_tags"),
        ("targets.t", "localPort", "local_port"),
        ("targets.t.ssl", "clientCertificate", "client_certificate"),
        ("targets.t.ssl", "clientPrivateKey", "client_private_key"),
        ("targets.t.ssl", "rootCertificate", "root_certificate"),
        ("targets.t.ssl", "rootCertificatePath", "root_certificate"),
        ("targets.t.ssl", "Mode", "mode"),
        ("upstream_proxies.u", "portForward", "port_forward"),
        ("upstream_proxies.u.port_forward", "kubeConfig", "kube_config"),
        ("upstream_proxies.u.port_forward", "remotePort", "remote_port"),
    ] {
        let mut text = format!("{wrong}: x");
        for key in section.rsplit('.') {
            text = format!("{key}: {{{text}}}");
        }
        let message = error(&text);
        assert!(
            message.ends_with(&format!("{section}.{wrong}: there is no such key; did you mean `{right}`?")),
            "{message}"
        );
    }
}

/// A client would otherwise request changes that the server's file must not have.
#[test]
fn the_configuration_of_a_server_is_named_as_such_in_a_client() {
    let tags = "[{name: a, value: b}]";
    for (text, key) in [
        (
            format!("proxy:\n  target_acl:\n    allowed_rds_tags: {tags}\n"),
            "3:5: proxy.target_acl.allowed_rds_tags",
        ),
        (
            format!("proxy:\n  listen_addr: ':8000'\n  target_acl:\n    blocked_rds_tags: {tags}\n"),
            "4:5: proxy.target_acl.blocked_rds_tags",
        ),
        ("rds:\n  require_iam: true\n".to_owned(), "2:3: rds.require_iam"),
        ("proxy:\n  listen_addr: 0.0.0.0:8000\n".to_owned(), "2:3: proxy.listen_addr"),
    ] {
        let error = read(&text, Mode::Client).unwrap_err();
        let start = format!(
            "config.yaml:{key}: this is the configuration of a server: it has this key and no `upstream_proxies`"
        );
        assert!(error.starts_with(&start) && error.contains("--configfile"), "{error}");
        assert!(read(&text, Mode::Server).is_ok());
        let shared = format!("{text}upstream_proxies: {{default: {{host: 'a:1'}}}}\n");
        let shared = read(&shared, Mode::Client).map(drop);
        assert!(
            shared.as_ref().err().is_none_or(|error| error.contains("is not a loopback address")),
            "{shared:?}"
        );
    }
    for text in ["{}", "proxy: {listen_addr: '127.0.0.1:1'}", "rds: {regions: [a]}"] {
        assert!(read(text, Mode::Client).is_ok(), "{text}");
    }
}

#[test]
fn a_long_value_is_not_repeated() {
    let key = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2Vw\\n-----END PRIVATE KEY-----";
    fails(
        &format!("proxy:\n  ssl:\n    private_key: \"{key}\"\n"),
        "3:18: proxy.ssl.private_key: expected the path of a file, found a long text",
    );
}

#[test]
fn direct_tls_needs_tls_in_any_case() {
    for mode in ["disable", "prefer"] {
        let ssl = format!("    ssl: {{mode: {mode}, negotiation: direct}}\n");
        for section in ["targets", "upstream_proxies"] {
            let text = format!("{section}:\n  a:\n    host: a:1\n{ssl}");
            let expected = "direct TLS has no plaintext to go on with; it needs the mode require, verify-ca or verify-full";
            assert!(error(&text).contains(&format!("{section}.a.ssl.negotiation: {expected}")), "{text}");
        }
    }
    fails(
        "targets: {a: {host: 'a:1', ssl: {negotiation: both}}}",
        "1:47: targets.a.ssl.negotiation: expected postgres or direct, found `both`",
    );
}
