//! The settings of configurations, and the errors of those that are not valid.

mod certificates;
mod chart;
mod client_auth;
mod documents;
mod errors;
mod expansion;
mod front_door;
mod go_program;
mod keys;
mod loading;
mod proxy_protocol;
mod remote;
mod total;
mod unused;
mod yaml;

use std::path::Path;

use super::environment::Environment;
use super::error::ConfigError;
use super::mode::Mode;
use super::settings::Config;
use crate::catalog::Location;
use crate::tls::Roots;

/// The environment of these tests.
const VARIABLES: &[(&str, &str)] = &[
    ("HOME", "/home/someone"),
    ("PORT", "6543"),
    ("HOST", "db.example.com"),
    ("ENABLED", "true"),
    ("SENSITIVE", "hunter2"),
];

/// The `host` of a target.
fn address(location: &Location) -> String {
    match location {
        Location::Host(address) => address.to_string(),
        Location::Rds { name, dial } => panic!("{name} at {dial:?}"),
    }
}

/// The embedded roots of a region.
fn rds(region: &str) -> Roots {
    Roots::Rds { region: region.into() }
}

fn environment() -> Environment {
    Environment::of(VARIABLES)
}

fn read(text: &str, mode: Mode) -> Result<Config, String> {
    let shown = |error: &ConfigError| {
        assert!(!format!("{error:?}").contains("hunter2"), "the value of SENSITIVE is in {error:?}");
        error.to_string()
    };
    let config = super::load::from_text(Path::new("config.yaml"), text, mode, &environment());
    let config = config.map_err(|error| shown(&error))?;
    config.check_listen().map_err(shown)?;
    Ok(config)
}

#[track_caller]
fn client(text: &str) -> Config {
    read(text, Mode::Client).unwrap()
}

#[track_caller]
fn server(text: &str) -> Config {
    read(text, Mode::Server).unwrap()
}

/// The error of a mode that uses the files of `targets` and `rds`.
#[track_caller]
fn error_of_databases(text: &str) -> String {
    let [direct, server] = [Mode::DirectClient, Mode::Server].map(|mode| read(text, mode).unwrap_err());
    assert_eq!(direct, server);
    server
}

#[track_caller]
fn error(text: &str) -> String {
    let [client, server] = [Mode::Client, Mode::Server].map(|mode| read(text, mode).unwrap_err());
    assert_eq!(client, server);
    client
}

#[track_caller]
fn fails(text: &str, expected: &str) {
    assert_eq!(error(text), format!("config.yaml:{expected}"));
}
