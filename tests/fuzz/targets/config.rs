//! The configuration: any text, loaded in both modes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use rds_auth_proxy::config::{Mode, fuzzing};

/// The value of `${fromEnv:SENSITIVE}`.
const SENSITIVE: &str = "hunter2";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    // A configuration may name any file. Some of these never end, and a fuzzer must not read the others.
    if ["/dev", "/proc", "/sys", ".."].iter().any(|path| text.contains(path)) || text.contains(SENSITIVE) {
        return Corpus::Reject;
    }
    let [client, server] = [Mode::Client, Mode::Server].map(|mode| fuzzing::read(text, mode));
    match (client, server) {
        (Ok(client), Ok(server)) => {
            assert_eq!(client.rds.regions, server.rds.regions);
            assert!(client.limits.max_connections > 0 && !client.limits.handshake_timeout.is_zero());
            let _debug = format!("{client:?}");
        }
        (Err(client), Err(server)) => {
            let error = client.to_string();
            assert_eq!(error, server.to_string(), "both modes report the same error");
            assert!(error.starts_with("config.yaml"), "the error does not name the file: {error}");
            assert!(!error.contains(SENSITIVE), "the error contains a value of the environment: {error}");
        }
        _ => panic!("one mode accepts a configuration that the other refuses"),
    }
    Corpus::Keep
});
