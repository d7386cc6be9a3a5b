//! The errors of text that is no valid YAML, or that YAML reads otherwise than it was meant.

use super::{error, fails};

#[test]
fn invalid_yaml_is_reported_with_its_line() {
    for (text, line) in [
        ("proxy:\n  ssl: {enabled: true\ntargets: {}\n", 3),
        ("proxy: 'a\n", 2),
        ("a: *nothing\n", 1),
        ("proxy:\n  a: b\n c: d\n", 3),
    ] {
        let error = error(text);
        let position = error.strip_prefix("config.yaml:").unwrap();
        assert!(position.starts_with(&format!("{line}:")), "{text:?}: {error}");
        assert!(error.contains("not valid YAML"), "{error}");
    }
    fails(
        "proxy: {}\n---\nproxy: {}\n",
        "1:1: a configuration is one YAML document; remove the `---` that begins the second",
    );
}

#[test]
fn a_space_that_is_missing_behind_a_colon_is_named() {
    fails(
        "proxy:\n  listen_addr:127.0.0.1:8001\n",
        "2:3: proxy: expected a section of keys, found `listen_addr:127.0.0.1:8001`; put a space behind the colon of \
         `listen_addr:`",
    );
    fails("targets: db:5432", "1:10: targets: expected a section of keys, found `db:5432`");
}

#[test]
fn a_tab_is_named() {
    for (text, position) in [
        ("proxy:\n\tlisten_addr: a:1\n", "2:1"),
        ("proxy:\n  ssl:\n  \tenabled: true\n", "3:3"),
        ("rds:\n  regions: [a]\n\tmax_age: 1h\n", "3:1"),
        ("proxy: {}\n\n\trds: {}\n", "3:1"),
    ] {
        fails(
            text,
            &format!("{position}: a tab indents this line, which YAML does not allow; replace it by spaces"),
        );
    }
    assert!(!error("proxy: 'a\tb\n").contains("a tab"));
}

#[test]
fn a_key_that_is_set_twice_is_refused() {
    fails(
        "proxy:\n  listen_addr: a:1\n  max_connections: 1\n  listen_addr: b:1\n",
        "4:3: proxy.listen_addr: this key is set twice; remove one of the two",
    );
    fails(
        "targets: {}\nx-a: &a {}\nproxy:\n  <<: *a\n  <<: *a\n",
        "5:3: proxy.\"<<\": a section has one merge key; write `<<: [*a, *b]`, in which an earlier one counts more",
    );
    fails("targets: {}\ntargets: {}\n", "2:1: targets: this key is set twice; remove one of the two");
    fails(
        "targets:\n  a: {host: 'a:1'}\n  \"a\": {host: 'b:1'}\n",
        "3:3: targets.a: this key is set twice; remove one of the two",
    );
}
