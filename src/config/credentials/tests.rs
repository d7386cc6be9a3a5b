//! The settings of configurations, and the errors of those that are not valid. The documents have the form of those in
//! CredProxy's documentation.

use std::path::Path;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::load::{from_text, section_from_text};
use super::settings::{CredentialsConfig, Flags};
use super::variables::Names;
use crate::config::environment::Environment;
use crate::services::{Base, Service};

type Variables = &'static [(&'static str, &'static str)];

const TOKEN: &str = "q8Tn2vXw5zRk7LpYc3HsJd9GfMb6AeUi";

fn read_with(text: &str, variables: Variables) -> Result<CredentialsConfig, String> {
    let names = Names::of(Environment::of(variables));
    let config = from_text(Path::new("config.yaml"), text, &names, Flags::default());
    config.map_err(|error| error.to_string())
}

#[track_caller]
fn read(text: &str) -> CredentialsConfig {
    read_with(text, &[]).unwrap()
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    let error = read_with(text, &[]).err().expect("it must be refused");
    assert_eq!(error, format!("config.yaml:{expected}"));
}

fn service(text: &str) -> String {
    format!(
        "services:\n  web:\n    auth_token: {TOKEN}\n    source_credentials: {{region: us-west-2}}\n    assumed_role:\n      \
         RoleArn: arn:aws:iam::123456789012:role/Web\n{text}"
    )
}

fn only(config: &CredentialsConfig) -> &Service {
    let [service] = config.services.as_slice() else { panic!("{}", config.services.len()) };
    service
}

#[test]
fn the_defaults_are_those_of_credproxy() {
    let config = read(&service(""));
    assert_eq!(config.listen.to_string(), "localhost:1338");
    assert_eq!(config.metrics.as_ref().unwrap().to_string(), "0.0.0.0:9090");
    assert_eq!(config.timing.refresh_buffer, Duration::from_mins(5));
    assert_eq!(config.timing.retry_delay, Duration::from_mins(1));
    assert_eq!(config.timing.request_timeout, Duration::from_secs(30));
    assert!(config.socket.is_none() && !config.log_health_checks && config.remarks.is_empty());
    assert_eq!(config.log_level, LevelFilter::INFO);
    let web = only(&config);
    assert_eq!((web.name.as_str(), web.token.expose()), ("web", TOKEN.as_bytes()));
    assert_eq!(web.role.session_name, "credproxy");
    assert_eq!(web.role.duration, Duration::from_mins(15));
    assert!(web.source.base == Base::Chain && web.source.region.as_deref() == Some("us-west-2"));
}

#[test]
fn a_whole_configuration_is_read() {
    let config = read(
        r#"
server:
  host: 127.0.0.1
  port: 8123
  debug: true
  log_health_checks: true
credentials:
  refresh_buffer_seconds: 600
  retry_delay: 30
  request_timeout: 10
aws_defaults:
  region: "us-west-2"
  iam_keys:
    aws_access_key_id: "AKIAIOSFODNN7EXAMPLE"
    aws_secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
services:
  orders:
    auth_token: "4f1c0f7be9d64b0e8a3dd0b5c2a7e6919b3c"
    x-owner: {team: orders}
    source_credentials:
      region: "eu-west-1"
      iam_profile:
        profile_name: "work"
        config_file: "/etc/aws/config"
        x-note: shared
    assumed_role:
      RoleArn: "arn:aws:iam::123456789012:role/team/Orders"
      RoleSessionName: "orders-session"
      DurationSeconds: 3600
      ExternalId: "partner-42"
      Policy: '{"Version": "2012-10-17", "Statement": []}'
      PolicyArns: [{arn: "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "arn:aws:iam::123456789012:policy/Narrow"]
      SourceIdentity: orders
      Tags: [{Key: team, Value: orders}]
      TransitiveTagKeys: [team]
      x-comment: kept for people
  x-ray:
    auth_token: "b1946ac92492d2347c6235b4d2611184aa77"
    source_credentials: {}
    assumed_role: {RoleArn: "arn:aws-cn:iam::123456789012:role/Tracing"}
metrics:
  prometheus: {enabled: true, host: 0.0.0.0, port: 9091}
"#,
    );
    assert_eq!(config.listen.to_string(), "127.0.0.1:8123");
    assert_eq!(config.metrics.as_ref().unwrap().to_string(), "0.0.0.0:9091");
    assert_eq!(config.log_level, LevelFilter::DEBUG);
    assert_eq!(config.timing.retry_delay, Duration::from_secs(30));
    let [orders, tracing] = config.services.as_slice() else { panic!("{}", config.services.len()) };
    assert_eq!(orders.source.region.as_deref(), Some("eu-west-1"));
    assert!(
        matches!(&orders.source.base, Base::Profile { name, config_file: Some(file) }
            if name == "work" && file == Path::new("/etc/aws/config")),
        "the service's own credentials beat the defaults"
    );
    assert_eq!(orders.role.external_id.as_deref(), Some("partner-42"));
    assert_eq!(orders.role.policy_arns.len(), 2);
    assert_eq!(orders.role.tags[0].value, "orders");
    assert_eq!(tracing.name, "x-ray", "a service may have any name");
    assert_eq!(tracing.source.region.as_deref(), Some("us-west-2"), "the region is inherited");
    assert!(
        matches!(&tracing.source.base, Base::Keys { access_key_id, .. } if access_key_id == "AKIAIOSFODNN7EXAMPLE")
    );
}

#[test]
fn references_and_variables_are_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let text = format!(
        "services:\n  web:\n    auth_token: \"${{fromFile:{}}}\"\n    source_credentials: {{region: \"${{fromEnv:AWS_DEFAULT_REGION}}\"}}\n    \
         assumed_role: {{RoleArn: \"${{fromEnv:WEB_ROLE}}\"}}\n",
        file.display()
    );
    let variables: Variables = &[
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("WEB_ROLE", "arn:aws:iam::123456789012:role/Web"),
        ("CREDPROXY_HOST", "127.0.0.2"),
        ("CREDPROXY_PORT", "4711"),
        ("CREDPROXY_LOG_LEVEL", "WARNING"),
        ("CREDPROXY_LOG_HEALTH_CHECKS", "on"),
        ("CREDPROXY_REFRESH_BUFFER_SECONDS", "100"),
        ("CREDPROXY_METRICS_PROMETHEUS_ENABLED", "false"),
        ("CREDPROXY_DEBUG", ""),
    ];
    let config = read_with(&text, variables).unwrap();
    assert_eq!(only(&config).token.expose(), TOKEN.as_bytes());
    assert_eq!(only(&config).source.region.as_deref(), Some("eu-west-3"));
    assert_eq!(config.listen.to_string(), "127.0.0.2:4711");
    assert_eq!(config.log_level, LevelFilter::WARN);
    assert!(config.metrics.is_none() && config.log_health_checks);
    assert_eq!(config.timing.refresh_buffer, Duration::from_secs(100));
}

#[test]
fn the_words_of_references_and_the_prefix_of_variables_can_be_chosen() {
    let text = service("").replace(TOKEN, "\"${secretEnv|THE_TOKEN}\"");
    let variables: Variables = &[
        ("CREDPROXY_NAMESPACE", "ACME_"),
        ("ACME_FROM_ENV_TAG", "secretEnv"),
        ("ACME_TAG_SEPARATOR", "|"),
        ("ACME_PORT", "1400"),
        ("CREDPROXY_PORT", "1500"),
        ("THE_TOKEN", TOKEN),
    ];
    let config = read_with(&text, variables).unwrap();
    assert_eq!(config.listen.port, 1400);
    assert_eq!(only(&config).token.expose(), TOKEN.as_bytes());
}

#[test]
fn a_wrong_variable_is_named_and_its_value_hidden() {
    let variables: Variables = &[("CREDPROXY_PORT", "hunter2")];
    let error = read_with(&service(""), variables).err().unwrap();
    assert_eq!(
        error,
        "config.yaml:1:1: server.port: expected a port from 1 to 65535, found something else in CREDPROXY_PORT"
    );
}

#[test]
fn errors_name_line_key_and_remedy() {
    fails(
        &service("      RoleSesionName: web\n"),
        "7:7: services.web.assumed_role.RoleSesionName: there is no such key; did you mean `RoleSessionName`?",
    );
    fails(
        &service("").replace("RoleArn", "RoleArm"),
        "6:7: services.web.assumed_role.RoleArm: there is no such key; did you mean `RoleArn`?",
    );
    fails(
        &service("      DurationSeconds: 60\n"),
        "7:24: services.web.assumed_role.DurationSeconds: `60` is not from 900 to 43200 seconds",
    );
    fails(
        &service("").replace("arn:aws:iam::123456789012:role/Web", "Web"),
        "6:16: services.web.assumed_role.RoleArn: expected the ARN of a role, such as arn:aws:iam::123456789012:role/NAME, \
         found `Web`",
    );
    fails(
        "services:\n  web:\n    assumed_role: {RoleArn: arn:aws:iam::123456789012:role/A}\n",
        "2:3: services.web: the key `auth_token` is missing here",
    );
    fails(
        &service("").replace("  web:", "  web.app:"),
        "2:3: services.\"web.app\": a service has a name of letters, digits, `-` and `_`",
    );
    fails(
        "server: {port: 1338}\n",
        "1:1: services: there is no service; write one below `services:`, or set `enabled: true` below `dynamic_services:`",
    );
    fails(
        &format!("server: {{host: 0.0.0.0}}\n{}", service("")),
        "1:16: server.host: `0.0.0.0` is neither a loopback address nor one of 169.254.170.2, 169.254.170.23 and \
         fd00:ec2::23: other machines could ask for credentials there, and no SDK takes them from it without TLS; use \
         localhost and share the network of this container (network_mode: service:…), or add the line \
         `allow_any_address: true` below `server:`",
    );
    let second = "  api:\n    auth_token: q8Tn2vXw5zRk7LpYc3HsJd9GfMb6AeUi\n    assumed_role: {RoleArn: arn:aws:iam::123456789012:role/A}\n";
    fails(
        &service(second),
        "3:17: services.web.auth_token: this token is the token of the service `api` too; give each its own",
    );
    let mfa = read_with(&service("      TokenCode: '123456'\n"), &[]).err().unwrap();
    assert!(
        mfa.starts_with("config.yaml:7:7: services.web.assumed_role.TokenCode: a code of a second factor"),
        "{mfa}"
    );
}

#[test]
fn the_addresses_of_container_agents_may_be_listened_on() {
    for host in [
        "127.0.0.9",
        "'::1'",
        "'[::1]'",
        "169.254.170.2",
        "169.254.170.23",
        "'fd00:ec2::23'",
        "web.localhost",
    ] {
        read(&format!("server: {{host: {host}}}\n{}", service("")));
    }
    for host in ["169.254.169.254", "10.0.0.1", "'::'", "web.example", "localhost.example"] {
        let text = format!("server: {{host: {host}}}\n{}", service(""));
        assert!(read_with(&text, &[]).is_err(), "{host}");
        read(&text.replacen("server: {", "server: {allow_any_address: true, ", 1));
    }
}

#[test]
fn weak_tokens_and_a_profile_beside_keys_are_reported() {
    let config = read(&service("").replace(TOKEN, "secure-token-here"));
    assert_eq!(config.remarks[0].key, "services.web.auth_token");
    assert!(config.remarks[0].text.contains("shorter than 32"), "{}", config.remarks[0].text);
    let both = "{iam_profile: {profile_name: a}, iam_keys: {aws_access_key_id: AKIAIOSFODNN7EXAMPLE, \
                aws_secret_access_key: wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY}}";
    let config = read(&service("").replace("{region: us-west-2}", both));
    assert!(matches!(&only(&config).source.base, Base::Profile { name, .. } if name == "a"));
    assert_eq!(config.remarks[0].key, "services.web.source_credentials.iam_profile");
}

#[test]
fn json_anchors_and_extensions_are_read() {
    let json = format!(
        r#"{{"services": {{"web": {{"auth_token": "{TOKEN}", "source_credentials": {{"region": "us-east-1"}},
            "assumed_role": {{"RoleArn": "arn:aws:iam::123456789012:role/Web"}}}}}}}}"#
    );
    assert_eq!(only(&read(&json)).name, "web");
    let text = format!("x-role: &role\n  RoleArn: arn:aws:iam::123456789012:role/Web\n{}", service(""));
    let text = text.replace("      RoleArn: arn:aws:iam::123456789012:role/Web\n", "      <<: *role\n");
    assert_eq!(only(&read(&text)).role.arn, "arn:aws:iam::123456789012:role/Web");
}

fn read_section(text: &str, variables: Variables) -> Result<Option<CredentialsConfig>, String> {
    let names = Names::of(Environment::of(variables));
    section_from_text(Path::new("config.yaml"), text, &names).map_err(|error| error.to_string())
}

fn section(text: &str) -> String {
    format!("proxy: {{nonsense: true}}\ncredentials:\n  {}\n", text.trim_end().replace('\n', "\n  "))
}

#[test]
fn a_section_of_our_own_configuration_has_the_same_keys_and_variables() {
    let text = section(&format!("server: {{port: 8123}}\nx-note: {{a: b}}\n{}", service("")));
    let config = read_section(&text, &[("CREDPROXY_HOST", "127.0.0.9")]).unwrap().unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.9:8123");
    assert_eq!(only(&config).token.expose(), TOKEN.as_bytes());
    assert!(config.metrics.is_none() && config.remarks.is_empty());
    for without in ["proxy: {}", "", "credentials:\n", "x-credentials: {services: {}}"] {
        assert!(read_section(without, &[("CREDPROXY_PORT", "1")]).unwrap().is_none(), "{without}");
    }
}

#[test]
fn errors_and_remarks_of_a_section_have_its_whole_path() {
    for (text, expected) in [
        (
            section(&service("").replace("RoleArn", "RoleArm")),
            "config.yaml:8:9: credentials.services.web.assumed_role.RoleArm: there is no such key; did you mean `RoleArn`?",
        ),
        (
            section("server: {port: 1338}"),
            "config.yaml:2:1: credentials.services: there is no service; write one below `services:`, or set `enabled: true` \
             below `dynamic_services:`",
        ),
        (
            section("services: 5"),
            "config.yaml:3:13: credentials.services: expected a section of keys, found `5`",
        ),
    ] {
        assert_eq!(read_section(&text, &[]).err().unwrap(), expected);
    }
    let port = read_section(&section(&service("")), &[("CREDPROXY_PORT", "hunter2")]).err().unwrap();
    assert!(
        port.ends_with("expected a port from 1 to 65535, found something else in CREDPROXY_PORT"),
        "{port}"
    );
    let without_effect = "server: {debug: true}\nmetrics: {prometheus: {enabled: true}}\n";
    let config = read_section(&section(&format!("{without_effect}{}", service(""))), &[]).unwrap().unwrap();
    let keys: Vec<_> = config.remarks.iter().map(|remark| remark.key.as_str()).collect();
    assert_eq!(keys, ["credentials.metrics.prometheus", "credentials.server.debug"]);
}

#[test]
fn every_configuration_in_the_guide_is_valid() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/credentials.md")).unwrap();
    let blocks: Vec<_> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        let block = block.replace("${fromFile:/run/secrets/orders-token}", TOKEN);
        if block.contains("upstream_proxies:") {
            assert!(read_section(&block, &[]).unwrap().is_some());
        } else {
            read(&block);
        }
    }
}
