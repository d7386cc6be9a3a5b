//! Whatever the text, there is an answer.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::read;
use crate::config::Mode;

/// Pieces that get past the first checks more often than plain noise.
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
    fn noise_never_panics(text in "\\PC*", mode in modes()) {
        let _ = read(&text, mode);
    }

    #[test]
    fn near_yaml_never_panics(pieces in vec(proptest::sample::select(PIECES), 0..40), mode in modes()) {
        let _ = read(&pieces.concat(), mode);
    }

    #[test]
    fn whatever_is_wrong_the_file_is_named(key in "[a-z_]{1,12}", value in "[a-z0-9 ]{0,12}") {
        if let Err(said) = read(&format!("proxy:\n  {key}: {value}\n"), Mode::Client) {
            prop_assert!(said.starts_with("config.yaml:2:"), "{}", said);
            prop_assert!(said.contains(&format!("proxy.{key}")), "{}", said);
        }
    }
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Client), Just(Mode::Server)]
}

#[test]
fn nesting_and_aliases_have_an_end() {
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
