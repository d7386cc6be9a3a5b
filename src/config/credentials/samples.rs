//! One document for each form of configuration that CredProxy's documentation shows, with other values. What its pages show
//! and its schema refuses is an error.

use std::path::Path;

use super::load::from_text;
use super::settings::{CredentialsConfig, Flags};
use super::variables::Names;
use crate::config::environment::Environment;

/// Reads a document. Its files below `/run/secrets` are those of a new directory.
fn read(text: &str) -> Result<CredentialsConfig, String> {
    let secrets = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("token", "q8Tn2vXw5zRk7LpYc3HsJd9GfMb6AeUi"),
        ("aws-secret", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ] {
        std::fs::write(secrets.path().join(name), text).unwrap();
    }
    let text = text.replace("/run/secrets", &secrets.path().display().to_string());
    let environment = Environment::of(&[
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("WEB_TOKEN", "b1946ac92492d2347c6235b4d2611184aa77"),
        ("WEB_ROLE", "arn:aws:iam::123456789012:role/Web"),
    ]);
    let config = from_text(Path::new("config.yaml"), &text, &Names::of(environment), Flags::default());
    config.map_err(|error| error.to_string())
}

#[test]
fn a_region_as_default_and_one_service_are_read() {
    let config = read(
        r#"
aws_defaults:
  region: "eu-west-1"
services:
  web:
    auth_token: "short-token-2026"
    source_credentials:
      region: "eu-west-1"
    assumed_role:
      RoleArn: "arn:aws:iam::123456789012:role/Web"
      RoleSessionName: "web"
"#,
    );
    let config = config.unwrap();
    assert_eq!((config.services.len(), config.remarks[0].key.as_str()), (1, "services.web.auth_token"));
}

#[test]
fn keys_and_tokens_from_the_environment_and_from_files_are_read() {
    for text in [
        r#"
aws_defaults:
  iam_keys:
    aws_access_key_id: "${fromEnv:AWS_ACCESS_KEY_ID}"
    aws_secret_access_key: "${fromFile:/run/secrets/aws-secret}"
services:
  web:
    auth_token: "${fromFile:/run/secrets/token}"
    source_credentials:
      region: "eu-west-1"
    assumed_role:
      RoleArn: "arn:aws:iam::123456789012:role/Web"
"#,
        r#"
services:
  web:
    auth_token: "${fromEnv:WEB_TOKEN}"
    source_credentials:
      region: "${fromEnv:AWS_DEFAULT_REGION}"
    assumed_role:
      RoleArn: "${fromEnv:WEB_ROLE}"
"#,
    ] {
        let config = read(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.services.len(), 1, "{text}");
    }
}

#[test]
fn a_profile_is_read() {
    let config = read(
        r#"
services:
  web:
    auth_token: "short-token-2026"
    source_credentials:
      region: "eu-west-1"
      iam_profile:
        profile_name: "default"
    assumed_role:
      RoleArn: "arn:aws:iam::123456789012:role/Web"
      RoleSessionName: "web"
      DurationSeconds: 3600
"#,
    );
    assert_eq!(config.unwrap().services.len(), 1);
}

/// What its template for AWS `CloudFormation` writes: every section, and no source credentials.
#[test]
fn every_section_is_read() {
    let config = read(
        r"
aws_defaults:
  region: ${fromEnv:AWS_DEFAULT_REGION}
server:
  host: localhost
  port: 1338
  debug: false
  log_health_checks: false
credentials:
  refresh_buffer_seconds: 300
  retry_delay: 60
  request_timeout: 30
metrics:
  prometheus:
    enabled: true
    host: 0.0.0.0
    port: 9090
dynamic_services:
  enabled: true
  directories:
  - path: /credproxy/dynamic
    include_patterns:
    - .*\.yaml$
    - .*\.yml$
    exclude_patterns:
    - ^\..*
    - .*~$
    - .*\.bak$
  reload_interval: 5
services:
  web:
    auth_token: ${fromFile:/run/secrets/token}
    source_credentials: {}
    assumed_role:
      RoleArn: arn:aws:iam::123456789012:role/Web
      RoleSessionName: web
      DurationSeconds: 3600
",
    );
    assert_eq!(config.unwrap().services.len(), 1);
}

#[test]
fn several_directories_with_patterns_are_read() {
    let text = r#"
dynamic_services:
  enabled: true
  directories:
    - path: "/credproxy/dynamic"
      include_patterns: [".*\\.yaml$", ".*\\.yml$"]
      exclude_patterns: ["^\\..*", ".*~$", ".*\\.bak$"]
    - path: "/credproxy/dynamic-dev"
      include_patterns: ["^dev-.*\\.yaml$"]
      exclude_patterns: ["^\\..*"]
    - path: "/credproxy/dynamic-json"
      include_patterns: [".*\\.json$"]
    - path: "/credproxy/dynamic-unfiltered"
      include_patterns: []
      exclude_patterns: []
  reload_interval: 5
"#;
    let root = tempfile::tempdir().unwrap();
    for (directory, names) in [
        ("dynamic", ["a.yaml", ".hidden.yaml", "b.yml.bak"]),
        ("dynamic-dev", ["dev-c.yaml", "prod-c.yaml", ".dev-c.yaml"]),
        ("dynamic-json", ["d.json", "d.yaml", "d.txt"]),
        ("dynamic-unfiltered", ["e.yml", "e.json", "e.yaml"]),
    ] {
        let directory = root.path().join(directory);
        std::fs::create_dir(&directory).unwrap();
        for name in names {
            std::fs::write(directory.join(name), "").unwrap();
        }
    }
    let config = read(&text.replace("/credproxy", &root.path().display().to_string())).unwrap();
    let listing = config.dynamic.unwrap().list();
    let names: Vec<_> =
        listing.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.yaml", "dev-c.yaml", "d.json", "e.json", "e.yaml", "e.yml"]);
    assert!(listing.unreadable.is_empty());
}

#[test]
fn documented_forms_that_its_schema_refuses_are_errors() {
    for (form, expected) in [
        ("services:\n  web:\n    auth_token: web-token\n", "`assumed_role` is missing"),
        (
            "aws_defaults: {iam_keys: {access_key_id: A, secret_access_key: S}}\nservices: {}\n",
            "aws_access_key_id",
        ),
        (
            "dynamic_services: {enabled: true, directory: /credproxy/dynamic, reload_interval: 5}\n",
            "directories",
        ),
    ] {
        let error = read(form).err().unwrap_or_else(|| panic!("it is read: {form}"));
        assert!(error.contains(expected), "{error}");
    }
}
