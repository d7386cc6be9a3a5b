//! The three ways to load a file.

use std::fs;

use crate::config::{Addresses, Config, ConfigError, Mode, load, load_addresses, load_again};

#[test]
fn a_reload_tells_a_file_without_values_from_one_with_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let again = |text: &str| {
        fs::write(&path, text).unwrap();
        load_again(&path, Mode::Server)
    };
    for text in
        ["", " \n", "# all of it\n", "---\n", "--- # all\n", "~", "null\n", "proxy:\n  # target_acl:\nrds:\n"]
    {
        assert!(again(text).unwrap().is_none(), "{text:?}");
    }
    for text in ["{}", "# all defaults\n---\n{}\n", "proxy: {}", "proxy:\n  target_acl:\n  log_level: info"] {
        assert!(again(text).is_ok_and(|config| config.is_some()), "{text:?}");
    }
    assert!(again("proxi:\n").is_err(), "an error counts in a file without values too");
}

#[test]
fn addresses_are_read_without_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let text = "
proxy:
  listen_addr: unix:/run/proxy.sock
  admin_addr: ':9090'
  handshake_timeout: 0
  ssl: {enabled: true, certificate: none.pem, private_key: none.key}
";
    fs::write(&path, text).unwrap();
    assert!(load(&path, Mode::Server).is_err());
    let admin = Some("0.0.0.0:9090".parse().unwrap());
    let listen = vec!["unix:/run/proxy.sock".parse().unwrap()];
    assert_eq!(load_addresses(&path).unwrap(), Addresses { admin, admin_socket: None, listen });
    fs::write(&path, "proxy:\n  admin_addr: x\n").unwrap();
    let error = load_addresses(&path).unwrap_err().to_string();
    assert!(error.contains("config.yaml:2:15: proxy.admin_addr: expected an address"), "{error}");
}

#[test]
fn a_configuration_can_be_loaded_on_another_thread() {
    fn can_be_sent<T: Send + 'static>() {}
    can_be_sent::<Result<Option<Config>, ConfigError>>();
}
