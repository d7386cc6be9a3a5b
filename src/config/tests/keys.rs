//! Every key and every default.

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::{client, error, rds, read, server};
use crate::catalog::Tag;
use crate::catalog::{Pods, PortForward};
use crate::config::{Drain, Mode, Rds, Stop, UpstreamTransport};
use crate::session::Limits;
use crate::tls::{self, ServerIdentity};

#[test]
fn an_empty_file_has_all_defaults() {
    for text in ["", "\n", "# only a comment\n", "---\n", "{}", "proxy:\nrds:\ntargets:\nupstream_proxies:\n"]
    {
        let config = client(text);
        assert_eq!(config.listen.to_string(), "127.0.0.1:8001");
        assert!(config.acceptor.is_none() && config.admin.is_none());
        assert!(config.admin_hosts.is_empty() && !config.allow_remote && !config.allow_other_users);
        assert_eq!(config.log_level, LevelFilter::INFO);
        assert!(config.upstreams.is_empty() && config.targets.is_empty());
        assert!(config.acl.allowed.is_empty() && config.acl.blocked.is_empty());
        let max_age = Some(Duration::from_hours(24));
        assert_eq!(config.rds, Rds { enabled: true, regions: vec![], require_iam: false, max_age });
        assert_eq!(config.default_tls.fixed.mode, tls::SslMode::Require);
        assert!(config.default_tls.fixed.roots.is_none());
        let discovered = config.default_tls.discovered(&rds("eu-west-1"));
        assert_eq!(discovered.mode, tls::SslMode::VerifyFull);
        assert_eq!(discovered.roots, Some(tls::Roots::Rds { region: "eu-west-1".into() }));
        let limits = Limits {
            max_connections: 1000,
            max_connections_per_peer: None,
            max_logins_per_target: 32,
            max_logins_per_peer: 64,
            handshake_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: None,
            cancel_on_disconnect: false,
        };
        let stop = Stop { delay: Duration::ZERO, drain: Drain::After(Duration::from_secs(30)) };
        assert_eq!((&config.limits, config.stop), (&limits, stop));
        let config = server(text);
        assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
        assert_eq!(config.limits, Limits { cancel_on_disconnect: true, ..limits });
    }
}

#[test]
fn the_profile_of_aws_is_a_name() {
    for text in ["aws: {profile: work}", "aws: {profile: ' work '}"] {
        assert_eq!(server(text).aws.profile.as_deref(), Some("work"), "{text}");
    }
    assert_eq!(client("aws:").aws.profile, None);
    let error = read("aws: {profile: ''}", Mode::Client).err().unwrap();
    assert!(error.contains("aws.profile") && error.contains("the name of an AWS profile"), "{error}");
    let error = read("aws: {profil: work}", Mode::Client).err().unwrap();
    assert!(error.contains("profile"), "{error}");
}

#[test]
fn roles_to_assume_are_one_or_a_chain() {
    let role = "role_arn: 'arn:aws:iam::123456789012:role/a', session_name: a@b, external_id: x:1, duration: 15m, region: eu-west-1";
    let one = server(&format!("aws: {{assume_role: {{{role}}}}}")).aws.roles;
    let [first] = &one[..] else { panic!("one role") };
    assert_eq!(
        (first.arn.as_str(), first.session_name.as_deref()),
        ("arn:aws:iam::123456789012:role/a", Some("a@b"))
    );
    assert_eq!((first.external_id.as_deref(), first.region.as_deref()), (Some("x:1"), Some("eu-west-1")));
    assert_eq!(first.duration, Some(Duration::from_mins(15)));
    let chain = format!(
        "aws:\n  assume_role:\n  - {{{role}}}\n  - role_arn: arn:aws-cn:iam::123456789012:role/p/b\n"
    );
    let roles = client(&chain).aws.roles;
    assert_eq!((roles.len(), roles[1].arn.as_str()), (2, "arn:aws-cn:iam::123456789012:role/p/b"));
    assert!(roles[1].session_name.is_none() && roles[1].duration.is_none());
    assert!(
        client("aws: {assume_role: []}").aws.roles.is_empty()
            && client("aws: {assume_role: }").aws.roles.is_empty()
    );
}

#[test]
fn a_role_that_sts_would_refuse_is_an_error_at_its_key() {
    let arn = "role_arn: 'arn:aws:iam::123456789012:role/a'";
    for (role, expected) in [
        (
            "text".to_owned(),
            "config.yaml:1:20: aws.assume_role: expected a section of keys, or a list of such sections, found `text`",
        ),
        ("{session_name: abc}".to_owned(), "aws.assume_role: the key `role_arn` is missing here"),
        (
            "{role_arn: 'arn:aws:iam::12:role/a'}".to_owned(),
            "aws.assume_role.role_arn: expected the ARN of a role",
        ),
        (
            "{role_arn: 'arn:aws:iam::123456789012:user/a'}".to_owned(),
            "aws.assume_role.role_arn: expected the ARN of a role",
        ),
        (
            format!("{{{arn}, sesion_name: x}}"),
            "aws.assume_role.sesion_name: there is no such key; did you mean `session_name`?",
        ),
        (format!("{{{arn}, session_name: 'a b'}}"), "aws.assume_role.session_name: expected 2 to 64 letters"),
        (format!("{{{arn}, external_id: x}}"), "aws.assume_role.external_id: expected 2 to 1224 letters"),
        (
            format!("{{{arn}, duration: 5m}}"),
            "aws.assume_role.duration: the credentials of a role last from 15m to 12h",
        ),
        (format!("{{{arn}, region: Ireland}}"), "aws.assume_role.region: expected an AWS region"),
        (
            format!("[{{{arn}, duration: 2h}}, {{{arn}, duration: 2h}}]"),
            "aws.assume_role[1].duration: the credentials of a role that another",
        ),
    ] {
        let error = read(&format!("aws: {{assume_role: {role}}}"), Mode::Client).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn accounts_are_identities_with_regions() {
    let config = server(
        "rds: {regions: [us-east-1]}\naccounts:\n  dev: {profile: dev}\n  own:\n  prod_1:\n    regions: [eu-west-1]\n    assume_role: \
         {role_arn: 'arn:aws:iam::123456789012:role/a'}\n",
    );
    let accounts: Vec<_> =
        config.accounts.iter().map(|account| (&*account.name, account.regions.join(","))).collect();
    let regions = |text: &str| text.to_owned();
    assert_eq!(
        accounts,
        [("dev", regions("us-east-1")), ("own", regions("us-east-1")), ("prod_1", regions("eu-west-1"))]
    );
    let [dev, own, prod] = &config.accounts[..] else { panic!("three accounts") };
    assert_eq!((dev.identity.profile.as_deref(), prod.identity.profile.as_deref()), (Some("dev"), None));
    assert_eq!((own.identity.roles.len(), prod.identity.roles.len()), (0, 1));
    for (text, expected) in [
        ("accounts: {a/b: {}}", "accounts.\"a/b\": the name of an account begins the names of its targets"),
        ("accounts: {a.b: {}}", "accounts.\"a.b\": the name of an account begins"),
        ("accounts: {Dev: {}, dev: {}}", "accounts.dev: another account has this name in another case"),
        ("accounts: {dev: {regions: [Ireland]}}", "accounts.dev.regions[0]: expected an AWS region"),
        (
            "accounts: {dev: {profil: x}}",
            "accounts.dev.profil: there is no such key; did you mean `profile`?",
        ),
        (
            "rds: {enabled: false}\naccounts: {dev: {}}",
            "config.yaml:2:12: accounts.dev: `rds.enabled: false` turns discovery off",
        ),
    ] {
        let error = read(text, Mode::Client).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_key_of_proxy_is_used() {
    let config = server(
        r#"
proxy:
  listen_addr: unix:/run/proxy.sock
  admin_addr: :9090
  admin_hosts: [Metrics.internal, rds-auth-proxy.databases.svc]
  allow_remote: true
  allow_other_users: true
  log_level: debug
  max_connections: 7
  max_connections_per_peer: "3"
  max_logins_per_target: 5
  max_logins_per_peer: 6
  handshake_timeout: 1m
  connect_timeout: 1500ms
  idle_timeout: 2h
  drain_timeout: forever
  shutdown_delay: 5s
  cancel_on_disconnect: false
  target_acl:
    allowed_rds_tags: [{name: a, value: "1"}, {name: b, value: true}]
    blocked_rds_tags:
      - name: c
        value: 1.10
      - {name: d, value: True}
      - {name: e, value: 0x10}
      - {name: f, value: ""}
"#,
    );
    assert_eq!(config.listen.to_string(), "unix:/run/proxy.sock");
    assert_eq!(config.admin.unwrap().to_string(), "0.0.0.0:9090");
    assert_eq!(config.admin_hosts, ["Metrics.internal", "rds-auth-proxy.databases.svc"]);
    assert!(config.allow_remote && config.allow_other_users);
    assert_eq!(config.log_level, LevelFilter::DEBUG);
    let limits = Limits {
        max_connections: 7,
        max_connections_per_peer: Some(3),
        max_logins_per_target: 5,
        max_logins_per_peer: 6,
        handshake_timeout: Duration::from_mins(1),
        connect_timeout: Duration::from_millis(1500),
        idle_timeout: Some(Duration::from_hours(2)),
        cancel_on_disconnect: false,
    };
    assert_eq!(config.limits, limits);
    assert_eq!(config.stop, Stop { delay: Duration::from_secs(5), drain: Drain::Forever });
    let tag = |name: &str, value: &str| Tag { name: name.into(), value: value.into() };
    assert_eq!(config.acl.allowed, [tag("a", "1"), tag("b", "true")]);
    // The value of a tag is its letters, not the YAML value.
    assert_eq!(config.acl.blocked, [tag("c", "1.10"), tag("d", "True"), tag("e", "0x10"), tag("f", "")]);
}

#[test]
fn the_logins_of_a_peer_are_no_more_than_its_connections() {
    let logins = |text: &str| server(&format!("proxy: {{{text}}}")).limits.max_logins_per_peer;
    assert_eq!(logins("max_connections_per_peer: 20"), 20);
    assert_eq!(logins("max_connections_per_peer: 200"), 64);
    assert_eq!(logins("max_connections_per_peer: 20, max_logins_per_peer: 50"), 50);
}

/// As in the variable `LOG_LEVEL`.
#[test]
fn log_levels_may_be_upper_case() {
    let level = |text: &str| server(&format!("proxy: {{log_level: {text}}}")).log_level;
    assert_eq!([level("INFO"), level("Warn")], [LevelFilter::INFO, LevelFilter::WARN]);
    for text in ["off", "OFF", "3", "loud"] {
        assert!(error(&format!("proxy: {{log_level: {text}}}")).contains("one of trace, debug"), "{text}");
    }
}

#[test]
fn zero_turns_off_a_timeout_that_is_optional() {
    let config = client("proxy: {idle_timeout: 0, drain_timeout: 0, shutdown_delay: 0}");
    assert_eq!(config.limits.idle_timeout, None);
    assert_eq!(config.stop, Stop { delay: Duration::ZERO, drain: Drain::After(Duration::ZERO) });
    let config = client("proxy: {drain_timeout: '90s', cancel_on_disconnect: true}");
    assert_eq!(config.stop.drain, Drain::After(Duration::from_secs(90)));
    assert!(config.limits.cancel_on_disconnect);
}

#[test]
fn a_listen_address_may_omit_the_host() {
    assert_eq!(server("proxy: {listen_addr: ':8000'}").listen.to_string(), "0.0.0.0:8000");
    assert_eq!(client("proxy: {listen_addr: '[::1]:1'}").listen.to_string(), "[::1]:1");
}

#[test]
fn rds_has_regions_and_can_be_off() {
    let rds =
        server("rds: {enabled: false, regions: [us-east-1, eu-west-1], require_iam: true, max_age: 1h 30m}")
            .rds;
    let regions = vec!["us-east-1".into(), "eu-west-1".into()];
    let max_age = Some(Duration::from_mins(90));
    assert_eq!(rds, Rds { enabled: false, regions, require_iam: true, max_age });
    assert_eq!(client("rds: {max_age: forever}").rds.max_age, None);
}

#[test]
fn tls_for_applications_is_self_signed_without_a_certificate() {
    let hosts = vec!["localhost".into(), "127.0.0.1".into()];
    let acceptor = client("proxy: {ssl: {enabled: true}}").acceptor;
    assert_eq!(
        acceptor.as_ref().map(|acceptor| &acceptor.settings().identity),
        Some(&ServerIdentity::SelfSigned { hosts })
    );
    assert!(client("proxy: {ssl: {enabled: false}}").acceptor.is_none());
    let required =
        |text: &str| client(&format!("proxy: {{ssl: {text}}}")).acceptor.unwrap().settings().required;
    assert!(!required("{enabled: true}") && required("{enabled: true, required: true}"));
}

#[test]
fn an_upstream_proxy_has_a_host_or_a_tunnel() {
    let upstreams = client(
        r#"
upstream_proxies:
  default:
    host: Proxy.example.com:8000
  strict:
    host: unix:/run/proxy.sock
    ssl: {mode: verify-full}
    aws_auth_only: true
  tunnel:
    port_forward: {deployment: rds-auth-proxy}
  named:
    port_forward:
      kube_config: ~/.kube/config
      context: dev
      namespace: databases
      selector: app=proxy,tier=db
      local_port: "8001"
      remote_port: "9000"
    ssl: {mode: preferred}
  served:
    port_forward: {service: proxy, local_port: 8002, remote_port: 9001}
  with-config:
    port_forward: {kube_config: ~/.kube/config, deployment: rds-auth-proxy}
"#,
    )
    .upstreams;
    let tls_mode = |name: &str| upstreams[name].connector().unwrap().mode();
    assert_eq!(upstreams["default"].name, "default");
    assert!(matches!(&upstreams["default"].transport,
        UpstreamTransport::Host(address) if address.to_string() == "proxy.example.com:8000"));
    assert_eq!(tls_mode("default"), tls::SslMode::Require);
    assert!(!upstreams["default"].connector().unwrap().verifies() && !upstreams["default"].aws_auth_only);
    assert_eq!(tls_mode("strict"), tls::SslMode::VerifyFull);
    assert!(upstreams["strict"].aws_auth_only);
    let plain = PortForward {
        kube_config: None,
        context: None,
        namespace: None,
        pods: Pods::Deployment("rds-auth-proxy".into()),
        local_port: None,
        remote_port: 8000,
    };
    assert_eq!(upstreams["tunnel"].transport, UpstreamTransport::PortForward(plain.clone()));
    assert_eq!(tls_mode("tunnel"), tls::SslMode::Prefer);
    let named = PortForward {
        kube_config: Some("/home/someone/.kube/config".into()),
        context: Some("dev".into()),
        namespace: Some("databases".into()),
        pods: Pods::Selector("app=proxy,tier=db".into()),
        local_port: Some(8001),
        remote_port: 9000,
    };
    assert_eq!(upstreams["named"].transport, UpstreamTransport::PortForward(named));
    assert_eq!(tls_mode("named"), tls::SslMode::Prefer);
    let served = PortForward {
        pods: Pods::Service("proxy".into()),
        local_port: Some(8002),
        remote_port: 9001,
        ..plain
    };
    assert_eq!(upstreams["served"].transport, UpstreamTransport::PortForward(served));
    // In the Go program the default depends on `kube_config`.
    assert_eq!(tls_mode("with-config"), tls::SslMode::Prefer);
}

#[test]
fn a_target_has_only_the_settings_of_its_section() {
    let targets = server(
        r"
targets:
  b: {host: postgres:5432}
  a: {host: 'DB.example.com:5433', database: app, local_port: '54000', ssl: {mode: disable}}
  c: {host: '[::1]:5432', local_port: 54001, ssl: {}}
",
    )
    .targets;
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let [a, b, c] = <[_; 3]>::try_from(targets).unwrap();
    assert_eq!(super::address(&a.location), "db.example.com:5433");
    assert_eq!((a.database.as_deref(), a.local_port), (Some("app"), Some(54000)));
    assert_eq!(a.tls.mode, Some(tls::SslMode::Disable));
    assert!(b.database.is_none() && b.local_port.is_none() && b.tls.mode.is_none());
    assert_eq!(c.local_port, Some(54001));
    assert_eq!(c.tls.mode, None);
}

#[test]
fn every_tls_mode_is_parsed_by_its_name() {
    for name in tls::SslMode::NAMES {
        let text = format!("targets: {{db: {{host: 'db:5432', ssl: {{mode: {name}}}}}}}");
        for mode in [Mode::DirectClient, Mode::Server] {
            let config = read(&text, mode).unwrap();
            assert_eq!(config.targets[0].tls.mode.unwrap().name(), name);
        }
    }
}
