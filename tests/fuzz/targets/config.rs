//! The configuration: any text, read in both modes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use rds_auth_proxy::config::{Mode, fuzzing};

/// The value of `${fromEnv:SENSITIVE}`.
const SENSITIVE: &str = "hunter2";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    // A configuration may name any file, and these never end or are no business of a fuzzer.
    if ["/dev", "/proc", "/sys", ".."].iter().any(|place| text.contains(place)) || text.contains(SENSITIVE) {
        return Corpus::Reject;
    }
    let [client, server] = [Mode::Client, Mode::Server].map(|mode| fuzzing::read(text, mode));
    match (client, server) {
        (Ok(client), Ok(server)) => {
            assert_eq!(client.rds.regions, server.rds.regions);
            assert!(client.limits.max_connections > 0 && !client.limits.handshake_timeout.is_zero());
            let _shown = format!("{client:?}");
        }
        (Err(client), Err(server)) => {
            let said = client.to_string();
            assert_eq!(said, server.to_string(), "both modes find the same fault");
            assert!(said.starts_with("config.yaml"), "the file is named: {said}");
            assert!(!said.contains(SENSITIVE), "a value from outside is repeated: {said}");
        }
        _ => panic!("one mode takes what the other refuses"),
    }
    Corpus::Keep
});
