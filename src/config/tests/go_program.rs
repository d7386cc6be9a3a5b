//! Files that the Go program reads: its parsers are yaml.v2 and encoding/json, behind spf13/viper 1.8.1. Each expectation was
//! compared with its configuration package.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{client, error, read, server};
use crate::config::{Config, ConfigError, Mode, Remark, UpstreamTransport, load, load_addresses, load_again};
use crate::tls::SslMode;

fn modes(config: &Config) -> Vec<(&str, SslMode)> {
    config.targets.iter().map(|target| (target.name.as_str(), target.tls.mode.unwrap())).collect()
}

#[test]
fn anchors_merge_keys_and_free_sections_are_read() {
    let config = server(
        r"
x-ssl: &ssl {mode: verify-full}
x-weak: &weak {mode: disable}
x-notes: [anything, {at: all}, '${fromEnv:NOWHERE}']
x-tags: &tags
  - {name: a, value: b}
proxy:
  target_acl: {allowed_rds_tags: *tags}
targets:
  alias: &alias {host: 'a:1', ssl: *ssl}
  merged: {<<: *alias, host: 'b:1'}
  own: {host: 'c:1', ssl: {<<: *ssl, mode: require}}
  list: {host: 'd:1', ssl: {<<: [*weak, *ssl]}}
",
    );
    assert_eq!(
        modes(&config),
        [
            ("alias", SslMode::VerifyFull),
            ("list", SslMode::Disable),
            ("merged", SslMode::VerifyFull),
            ("own", SslMode::Require),
        ]
    );
    assert_eq!(super::address(&config.targets[2].location), "b:1");
    assert_eq!(config.acl.allowed[0].to_string(), "a=b");
    assert_eq!(config.remarks, []);
}

/// In the Go program the merge key replaces the keys before it.
#[test]
fn a_key_before_a_merge_key_counts_and_is_reported() {
    let config = server(
        "x-ssl: &ssl {mode: verify-full}\ntargets:\n  a: {host: 'a:1', ssl: {mode: require, <<: *ssl}}\n  \
         b: {host: 'b:1', ssl: {mode: verify-full, <<: *ssl}}\n",
    );
    assert_eq!(modes(&config), [("a", SslMode::Require), ("b", SslMode::VerifyFull)]);
    let [remark] = &config.remarks[..] else { panic!("{:?}", config.remarks) };
    assert_eq!(remark.key, "targets.a.ssl.mode");
    assert!(remark.text.contains("which counts in the Go program"), "{remark:?}");
}

#[test]
fn an_error_in_a_merged_section_has_its_line() {
    for (merge, line) in [("*second", 2), ("[*first, *second]", 2), ("[*second, *first]", 2)] {
        let text = format!(
            "x-a: &first {{client_cert: c}}\nx-b: &second {{mode: none}}\ntargets:\n  a:\n    host: a:1\n    ssl:\n      <<: {merge}\n"
        );
        let message = error(&text);
        assert!(message.starts_with(&format!("config.yaml:{line}:")), "{message}");
        assert!(message.contains("targets.a.ssl.mode: expected one of disable"), "{message}");
    }
    for value in ["a", "[{}, a]", "", "[[{}]]"] {
        let message = error(&format!("proxy:\n  <<: {value}\n"));
        assert_eq!(
            message,
            "config.yaml:2:3: proxy.\"<<\": a merge key (`<<`) takes a section of keys, or a list of such sections"
        );
    }
}

#[test]
fn a_file_with_free_sections_only_has_no_values() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    for (text, values) in [("x-a: {b: c}\n", false), ("x-a: {b: c}\nproxy: {}\n", true), ("{}", true)] {
        fs::write(&path, text).unwrap();
        assert_eq!(load_again(&path, Mode::Server).unwrap().is_some(), values, "{text}");
    }
}

/// yaml.v2 has the words of YAML 1.1, mapstructure takes numbers and the words of Go's `strconv.ParseBool`.
#[test]
fn the_words_of_yaml_1_1_are_booleans_with_a_remark() {
    let enabled = |word: &str| {
        let config =
            read(&format!("rds: {{enabled: false}}\nproxy: {{ssl: {{enabled: {word}}}}}"), Mode::Server);
        config.map(|config| (config.acceptor.is_some(), config.remarks))
    };
    let key = "proxy.ssl.enabled";
    for word in ["true", "True", "TRUE", "'true'"] {
        assert_eq!(enabled(word), Ok((true, vec![])), "{word}");
    }
    for word in ["false", "False", "FALSE"] {
        assert_eq!(enabled(word), Ok((false, vec![])), "{word}");
    }
    for word in ["yes", "Yes", "YES", "on", "On", "ON", "y", "Y", "1", "t", "T", "'1'"] {
        let text = "this boolean is read as true; write true";
        assert_eq!(enabled(word), Ok((true, vec![Remark { key: key.into(), text }])), "{word}");
    }
    for word in ["no", "off", "OFF", "n", "0", "f"] {
        let text = "this boolean is read as false; write false";
        assert_eq!(enabled(word), Ok((false, vec![Remark { key: key.into(), text }])), "{word}");
    }
    for word in ["2", "-1", "perhaps", "''", "1.0"] {
        assert!(enabled(word).unwrap_err().contains("expected true or false"), "{word}");
    }
    let config = client("upstream_proxies: {a: {host: 'a:1', aws_auth_only: on}}\nrds: {enabled: no}");
    let mut keys: Vec<_> = config.remarks.iter().map(|remark| remark.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["rds.enabled", "upstream_proxies.a.aws_auth_only"]);
}

/// Helm and other templates write them for values that are not set.
#[test]
fn an_empty_name_counts_as_not_set() {
    let text = r#"
upstream_proxies: {a: {port_forward: {deployment: d, context: "", namespace: "", selector: ""}}}
targets: {t: {host: 'a:1', database: ""}}
"#;
    let config = client(text);
    let UpstreamTransport::PortForward(forward) = &config.upstreams["a"].transport else {
        panic!("no tunnel")
    };
    assert_eq!((&forward.context, &forward.namespace), (&None, &None));
    assert_eq!(config.targets[0].database, None);
    let message = error("upstream_proxies: {a: {port_forward: {deployment: ''}}}");
    assert!(message.contains("`deployment`, `selector` and `service` are missing"), "{message}");
}

/// A file, and the directory that holds it.
fn file(name: &str, bytes: &[u8]) -> (PathBuf, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    (path, directory)
}

const TEXT: &str = "# é\nproxy: {listen_addr: 'a:1'}\n";

#[test]
fn byte_order_marks_are_skipped() {
    let utf_16 = |bytes: fn(u16) -> [u8; 2]| TEXT.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
    for bytes in [
        [b"\xef\xbb\xbf", TEXT.as_bytes()].concat(),
        [b"\xff\xfe", &utf_16(u16::to_le_bytes)[..]].concat(),
        [b"\xfe\xff", &utf_16(u16::to_be_bytes)[..]].concat(),
        TEXT.replace('\n', "\r\n").into_bytes(),
    ] {
        let file = file("config.yaml", &bytes);
        assert_eq!(load(&file.0, Mode::Server).unwrap().listen.to_string(), "a:1");
        assert_eq!(load_addresses(&file.0).unwrap().listen[0].to_string(), "a:1");
    }
    let wrong = file("config.yaml", b"\xef\xbb\xbfproxy: {listen_adr: 'a:1'}\n");
    let message = load(&wrong.0, Mode::Server).unwrap_err().to_string();
    assert!(message.contains("config.yaml:1:9: proxy.listen_adr: there is"), "{message}");
    let latin = file("config.yaml", b"# \xe9\nproxy: {}\n");
    let message = load(&latin.0, Mode::Server).unwrap_err().to_string();
    assert!(message.ends_with("cannot be read: it is not UTF-8 text; save it as UTF-8"), "{message}");
}

/// With tabs, which YAML does not allow in the indentation of a block, and the escapes of JSON.
#[test]
fn json_is_read() {
    let text = r#"{
	"proxy": {"listen_addr":"a:1","ssl":{"enabled":true}, "target_acl": {"allowed_rds_tags": [
		{"name": "a\/b", "value": "\u00e9"}
	]}},
	"targets": {"t": {"host": "a:1", "local_port": 54000, "database": null}}
}"#;
    let file = file("config.json", text.as_bytes());
    let config = load(&file.0, Mode::Server).unwrap();
    assert!(config.acceptor.is_some());
    assert_eq!(config.acl.allowed[0].to_string(), "a/b=\u{e9}");
    assert_eq!((config.targets[0].local_port, &config.targets[0].database), (Some(54000), &None));
    fs::write(&file.0, text.replace("listen_addr", "listen")).unwrap();
    let message = load(&file.0, Mode::Server).unwrap_err().to_string();
    assert!(message.contains("config.json:2:12: proxy.listen: there is no such key"), "{message}");
}

#[test]
fn another_format_is_named() {
    for (name, format) in [
        ("config.toml", "TOML"),
        ("x.TOML", "TOML"),
        ("config.ini", "INI"),
        ("config.properties", "Java properties"),
        ("config.hcl", "HCL"),
        ("prod.env", "dotenv"),
    ] {
        let file = file(name, b"");
        for error in [load(&file.0, Mode::Server).err(), load_addresses(&file.0).err()] {
            let error = error.unwrap();
            assert!(matches!(error, ConfigError::OtherFormat { .. }));
            let text = error.to_string();
            assert!(
                text.contains(&format!("{name} is {format} by its name, and this program reads YAML")),
                "{text}"
            );
        }
    }
}
