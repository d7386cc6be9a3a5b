//! The configuration: any text, loaded in all modes.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use rds_auth_proxy::config::{ConfigError, Mode, fuzzing};

/// The value of `${fromEnv:SENSITIVE}`.
const SENSITIVE: &str = "hunter2";

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    // A configuration may name any file. Some of these never end, and a fuzzer must not read the others.
    if ["/dev", "/proc", "/sys", ".."].iter().any(|path| text.contains(path)) || text.contains(SENSITIVE) {
        return Corpus::Reject;
    }
    let [client, direct, server] =
        [Mode::Client, Mode::DirectClient, Mode::Server].map(|mode| fuzzing::read(text, mode));
    let message = |error: &ConfigError| error.to_string();
    // Only a client refuses to listen beyond loopback.
    let remote = |error: &ConfigError| message(error).contains("is not a loopback address");
    if !direct.as_ref().is_err_and(remote) {
        let errors = [&direct, &server].map(|result| result.as_ref().err().map(message));
        assert_eq!(errors[0], errors[1], "both use the same files");
    }
    for error in [&client, &server].into_iter().filter_map(|result| result.as_ref().err().map(message)) {
        assert!(error.starts_with("config.yaml"), "the error does not name the file: {error}");
        assert!(!error.contains(SENSITIVE), "the error contains a value of the environment: {error}");
    }
    match (client, server) {
        (Ok(client), Ok(server)) => {
            assert_eq!(client.rds.regions, server.rds.regions);
            assert!(client.limits.max_connections > 0 && !client.limits.handshake_timeout.is_zero());
            let _debug = format!("{client:?}");
        }
        // A client uses no file of `targets` and `rds`.
        (Ok(_) | Err(_), Err(_)) => {}
        (Err(error), Ok(_)) => {
            let of_server = message(&error).contains("this is the configuration of a server");
            assert!(of_server || remote(&error), "only the client refuses it: {error}");
        }
    }
    Corpus::Keep
});
