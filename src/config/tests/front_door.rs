//! Keys of the front door: the targets of connections that name none.

use super::{client, error, fails, read, server};
use crate::config::Mode;

const TLS: &str = "proxy: {ssl: {enabled: true}}\n";

#[test]
fn without_keys_no_connection_has_a_target() {
    for config in [server(""), client("")] {
        assert!(config.front_door.is_closed() && !config.front_door.refuses_host);
    }
}

#[test]
fn server_names_and_the_default_lead_to_targets() {
    let text = "
proxy: {default_target: a, accept_host_parameter: false, ssl: {enabled: true}}
targets:
  a: {host: 'a:1', server_names: [A.Example, '*.a.example']}
  b: {server_names: [b.example]}
";
    for config in [server(text), client(text)] {
        let door = &config.front_door;
        let target = |name| door.target(Some(name)).unwrap().to_string();
        assert!(door.refuses_host);
        assert_eq!([target("a.example"), target("x.a.example"), target("b.example")], ["a", "a", "b"]);
        assert_eq!(door.target(None).unwrap().as_ref(), "a");
    }
}

#[test]
fn a_default_that_does_not_exist_is_an_error_with_the_nearest_name() {
    let text = "proxy:\n  default_target: odrers\ntargets: {orders: {host: 'a:1'}}\n";
    fails(text, "2:19: proxy.default_target: `odrers` is no target in `targets`; did you mean `orders`?");
    let text = "proxy:\n  default_target: orders\n";
    fails(
        text,
        "2:19: proxy.default_target: `orders` is no target in `targets`; add it there; an entry for a discovered database needs \
         only `server_names`, `local_port` or `database`",
    );
}

#[test]
fn two_targets_with_the_same_server_name_are_an_error() {
    let text = format!(
        "{TLS}targets:\n  a: {{host: 'a:1', server_names: [db.example]}}\n  b:\n    host: b:1\n    server_names: [b.example, DB.example]\n"
    );
    fails(
        &text,
        "6:31: targets.b.server_names[1]: `DB.example` is a server name of the target \"a\" already; a name leads to one target",
    );
}

#[test]
fn a_server_name_is_a_host_name() {
    for name in ["127.0.0.1", "::1", "a b", "*", "a.*.example", "**.example", "", "a..example", "a.example."]
    {
        let text = format!("{TLS}targets: {{a: {{host: 'a:1', server_names: ['{name}']}}}}");
        let found = error(&text);
        assert!(found.contains("targets.a.server_names[0]: expected a host name"), "{name}: {found}");
    }
}

#[test]
fn keys_that_refuse_every_connection_are_errors() {
    let text = "proxy: {accept_host_parameter: false}";
    fails(
        text,
        "1:9: proxy.accept_host_parameter: without the parameter, no connection has a target; set `proxy.default_target`, or \
         `server_names` of a target",
    );
    let text = "targets: {a: {host: 'a:1', server_names: [a.example]}}";
    client(text);
    let found = read(text, Mode::Server).unwrap_err();
    assert!(
        found.contains("targets.a.server_names: a connection has a server name only with TLS"),
        "{found}"
    );
}
