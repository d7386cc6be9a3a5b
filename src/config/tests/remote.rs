//! A client beyond loopback.

use super::{client, environment, read, server};
use crate::config::load::from_text;
use crate::config::{Config, Mode};
use crate::net::Address;

/// The check of this address as that of `proxy.listen_addr`.
fn bound(config: &Config, address: &Address) -> Result<bool, String> {
    config.check_bound("proxy.listen_addr", &config.listen, address)
}

/// A flag replaces the address of the configuration, which then does not count.
#[test]
fn the_address_of_a_flag_is_checked_under_the_name_of_the_flag() {
    let text = "proxy: {listen_addr: ':8000'}\nupstream_proxies: {default: {host: 'a:1'}}";
    let config = from_text("config.yaml".as_ref(), text, Mode::Client, &environment()).unwrap();
    let [local, remote] = ["127.0.0.1:1", "0.0.0.0:1"].map(|text| text.parse().unwrap());
    assert_eq!(config.check_bound("--listen", &local, &local), Ok(false));
    let error = config.check_bound("--listen", &remote, &remote).unwrap_err();
    assert!(error.starts_with("--listen: 0.0.0.0:1 is not a loopback address"), "{error}");
}

#[test]
fn a_client_listens_on_loopback_unless_the_configuration_says_more() {
    for address in ["':8001'", "0.0.0.0:8001", "'[::]:8001'", "192.0.2.7:8001", "'[::ffff:0.0.0.0]:8001'"] {
        let text =
            format!("upstream_proxies: {{default: {{host: 'a:1'}}}}\nproxy:\n  listen_addr: {address}\n");
        let error = read(&text, Mode::Client).unwrap_err();
        for part in [
            "config.yaml:3:16: proxy.listen_addr: `",
            ":8001` is not a loopback address",
            "the line `allow_remote: true`",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!server(&text).allow_remote, "a server may listen everywhere");
        let config = client(&format!("{text}  allow_remote: true\n"));
        assert!(config.allow_remote);
        assert_eq!(bound(&config, &config.listen), Ok(true));
        read(&format!("{text}  allow_remote: false\n"), Mode::Client).unwrap_err();
    }
    for address in [
        "127.0.0.1:8001",
        "127.1.2.3:1",
        "'[::1]:1'",
        "'[::ffff:127.0.0.1]:1'",
        "localhost:8001",
        "unix:/run/me/.s.PGSQL.5432",
    ] {
        let config = client(&format!("proxy: {{listen_addr: {address}}}"));
        assert_eq!(bound(&config, &config.listen), Ok(false), "{address}");
    }
}

/// Only the system knows the addresses of a name.
#[test]
fn the_address_of_a_name_is_checked_when_it_is_bound() {
    let config = client("proxy: {listen_addr: 'laptop:8001'}");
    assert_eq!(bound(&config, &"127.0.1.1:8001".parse().unwrap()), Ok(false));
    let error = bound(&config, &"192.0.2.7:8001".parse().unwrap()).unwrap_err();
    let begin = "proxy.listen_addr: laptop:8001 is 192.0.2.7:8001 here, which is not a loopback address";
    assert!(error.starts_with(begin) && error.contains("`allow_remote: true`"), "{error}");
}

#[test]
fn an_address_from_the_environment_is_refused_without_it() {
    let text = "proxy: {listen_addr: '${fromEnv:HOST}:1'}";
    assert!(read(text, Mode::Client).is_ok(), "a name");
    let environment = environment();
    assert_eq!(environment.variable("PORT").as_deref(), Some("6543"));
    let text = "proxy: {listen_addr: '0.0.0.0:${fromEnv:PORT}'}\nupstream_proxies: {default: {host: 'a:1'}}";
    let config = from_text("config.yaml".as_ref(), text, Mode::Client, &environment).unwrap();
    let error = config.check_listen().unwrap_err().to_string();
    assert!(error.contains("the value of 0.0.0.0:${fromEnv:PORT} is not a loopback address"), "{error}");
    assert!(error.contains("`allow_remote: true`") && !error.contains("6543"), "{error}");
}
