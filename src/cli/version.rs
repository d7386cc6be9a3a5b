//! `version`: the build of this program.

use serde::Serialize;

use super::args::{OutputFormat, VersionArguments};
use super::output;
use crate::process::CommandError;

/// The build; commit and date come from `build/build.rs` and are `unknown` without git.
#[derive(Serialize)]
struct Build {
    name: &'static str,
    version: &'static str,
    commit: &'static str,
    date: &'static str,
}

const BUILD: Build = Build {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("RDS_AUTH_PROXY_BUILD_COMMIT"),
    date: env!("RDS_AUTH_PROXY_BUILD_DATE"),
};

/// Prints version, commit and date: in the three lines of the Go program, or as JSON.
pub(super) fn run(arguments: &VersionArguments) -> Result<(), CommandError> {
    let text = match arguments.output {
        OutputFormat::Text => {
            let Build { name, version, commit, date } = BUILD;
            format!("{name}: {version}\ncommit: {commit}\ndate: {date}")
        }
        OutputFormat::Json => serde_json::to_string(&BUILD).map_err(CommandError::runtime)?,
    };
    output::print(format!("{text}\n"))
}
