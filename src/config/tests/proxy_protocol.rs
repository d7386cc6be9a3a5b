//! The load balancers that send a header of the PROXY protocol.

use super::{client, error, server};
use crate::net::Peer;

#[test]
fn networks_and_addresses_are_the_load_balancers_of_a_server() {
    let text = "proxy: {proxy_protocol: {from: [10.0.0.0/16, 192.0.2.7, '2001:db8::/32', '::1']}}";
    let peer = |text: &str| Peer::Tcp(text.parse().unwrap());
    let load_balancers = server(text).load_balancers;
    for listed in ["10.0.255.1:1", "192.0.2.7:1", "[2001:db8::5]:1", "[::1]:1"] {
        assert!(load_balancers.contain(peer(listed)), "{listed}");
    }
    for unlisted in ["10.1.0.1:1", "192.0.2.8:1", "[::2]:1"] {
        assert!(!load_balancers.contain(peer(unlisted)), "{unlisted}");
    }
    assert!(!client(text).load_balancers.contain(peer("10.0.0.1:1")), "a client reads no header");
}

#[test]
fn what_is_no_network_is_an_error() {
    for network in
        ["10.0.0.1/16", "10.0.0.0/33", "10.0.0", "balancer.example", "::1/129", "10.0.0.0/", "*", ""]
    {
        let found = error(&format!("proxy:\n  proxy_protocol:\n    from: [192.0.2.7, '{network}']\n"));
        let expected = "config.yaml:3:23: proxy.proxy_protocol.from[1]: expected an IP address, or a network such as 10.0.0.0/16";
        assert!(found.starts_with(expected), "{network}: {found}");
    }
    let found = error("proxy: {proxy_protocol: {form: [10.0.0.0/16]}}");
    assert!(
        found.ends_with("proxy.proxy_protocol.form: there is no such key; did you mean `from`?"),
        "{found}"
    );
}

#[test]
fn a_section_without_effect_is_an_error() {
    let section = "config.yaml:1:9: proxy.proxy_protocol: ";
    for empty in ["{}", "{from: []}"] {
        let found = error(&format!("proxy: {{proxy_protocol: {empty}}}"));
        assert!(found.starts_with(&format!("{section}it names no network")), "{found}");
    }
    let text = "proxy: {proxy_protocol: {from: [10.0.0.0/16]}, listen_addr: 'unix:/run/proxy'}";
    let found = super::read(text, crate::config::Mode::Server).unwrap_err();
    assert!(found.starts_with(&format!("{section}a Unix socket has no network")), "{found}");
}
