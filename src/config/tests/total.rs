//! Any text gives a configuration or an error.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::read;
use crate::config::Mode;

/// Pieces that pass the first checks more often than random text.
const PIECES: &[&str] = &[
    "proxy",
    "rds",
    "targets",
    "upstream_proxies",
    "ssl",
    "host",
    "listen_addr",
    "value",
    "name",
    ":",
    ": ",
    "\n",
    "\n  ",
    "\n    ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "&a ",
    "*a",
    "!t ",
    "|",
    ">",
    "#",
    "? ",
    "<<: ",
    "${fromEnv:",
    "${fromFile:",
    "${",
    "$",
    "~",
    "0",
    "1.5",
    "30s",
    "true",
    "null",
    "a:1",
    "\t",
    "---\n",
    "é",
    "\u{feff}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_text_never_panics(text in "\\PC*", mode in modes()) {
        let _ = read(&text, mode);
    }

    #[test]
    fn text_like_yaml_never_panics(pieces in vec(proptest::sample::select(PIECES), 0..40), mode in modes()) {
        let _ = read(&pieces.concat(), mode);
    }

    #[test]
    fn every_error_names_file_and_key(key in "[a-z_]{1,12}", value in "[a-z0-9 ]{0,12}") {
        if let Err(error) = read(&format!("proxy:\n  {key}: {value}\n"), Mode::Client) {
            prop_assert!(error.starts_with("config.yaml:2:"), "{}", error);
            prop_assert!(error.contains(&format!("proxy.{key}")), "{}", error);
        }
    }
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Client), Just(Mode::Server)]
}

#[test]
fn nesting_and_aliases_are_limited() {
    let deep = "[".repeat(100_000);
    assert!(read(&deep, Mode::Client).is_err());
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = level - 1;
        let ten = vec![format!("*a{before}"); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{ten}]").unwrap();
    }
    assert!(read(&bomb, Mode::Client).is_err());
}
