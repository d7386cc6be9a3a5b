//! One document for each form of configuration that CredProxy's documentation shows, with other values. What it shows and its own
//! schema refuses gets an error here too.

use std::path::Path;

use super::load::from_text;
use super::settings::{CredentialsConfig, Flags};
use super::variables::Names;
use crate::config::environment::Environment;

/// The documents refer to `/run/secrets/…`: a directory of the test.
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

const ROLE: &str = "assumed_role: {RoleArn: 'arn:aws:iam::123456789012:role/Web', RoleSessionName: web}";

#[test]
fn documented_forms_are_read() {
    let forms = [
        // Defaults for the region, and one service.
        format!(
            "aws_defaults: {{region: eu-west-1}}\nservices:\n  web:\n    auth_token: short-token-2026\n    \
             source_credentials: {{region: eu-west-1}}\n    {ROLE}\n"
        ),
        // Keys from the environment and from a file.
        format!(
            "aws_defaults:\n  iam_keys:\n    aws_access_key_id: '${{fromEnv:AWS_ACCESS_KEY_ID}}'\n    \
             aws_secret_access_key: '${{fromFile:/run/secrets/aws-secret}}'\nservices:\n  web:\n    \
             auth_token: '${{fromFile:/run/secrets/token}}'\n    source_credentials: {{region: eu-west-1}}\n    {ROLE}\n"
        ),
        // Everything from the environment.
        "services:\n  web:\n    auth_token: '${fromEnv:WEB_TOKEN}'\n    source_credentials:\n      \
         region: '${fromEnv:AWS_DEFAULT_REGION}'\n    assumed_role:\n      RoleArn: '${fromEnv:WEB_ROLE}'\n"
            .to_owned(),
        // A profile.
        format!(
            "services:\n  web:\n    auth_token: short-token-2026\n    source_credentials:\n      region: eu-west-1\n      \
             iam_profile: {{profile_name: default}}\n    {ROLE}\n"
        ),
        // What its template for CloudFormation writes: every section, and no source credentials.
        format!(
            "aws_defaults:\n  region: ${{fromEnv:AWS_DEFAULT_REGION}}\nserver:\n  host: localhost\n  port: 1338\n  \
             debug: false\n  log_health_checks: false\ncredentials:\n  refresh_buffer_seconds: 300\n  retry_delay: 60\n  \
             request_timeout: 30\nmetrics:\n  prometheus:\n    enabled: true\n    host: 0.0.0.0\n    port: 9090\n\
             dynamic_services:\n  enabled: true\n  directories:\n  - path: /credproxy/dynamic\n    include_patterns:\n    \
             - .*\\.yaml$\n    - .*\\.yml$\n    exclude_patterns:\n    - ^\\..*\n    - .*~$\n    - .*\\.bak$\n  \
             reload_interval: 5\nservices:\n  web:\n    auth_token: ${{fromFile:/run/secrets/token}}\n    \
             source_credentials: {{}}\n    {ROLE}\n"
        ),
    ];
    for form in &forms {
        let config = read(form).unwrap_or_else(|error| panic!("{error}\n{form}"));
        assert_eq!(config.services.len(), 1, "{form}");
    }
    let weak = read(&forms[0]).unwrap().remarks;
    assert_eq!(weak[0].key, "services.web.auth_token");
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
