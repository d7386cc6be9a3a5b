//! The command `server`: what its flags say in place of a configuration.

use std::fmt::Display;
use std::path::PathBuf;

use super::args::ServerArguments;
use crate::app::ServerSource;
use crate::config::OneTarget;
use crate::net::Address;
use crate::process::CommandError;

/// The file, or the target of the flags. An unusable value is a usage error.
pub(super) fn source(arguments: ServerArguments) -> Result<ServerSource, CommandError> {
    let Some(host) = arguments.target_host else { return Ok(ServerSource::File(arguments.configfile)) };
    Ok(ServerSource::Flags(OneTarget {
        host: host.parse().map_err(|error| unusable("--target-host", error, "db.example:5432"))?,
        ca: path(arguments.target_ca),
        server_name: arguments.target_name,
        certificate: path(arguments.certificate),
        private_key: path(arguments.private_key),
        listen: arguments.listen.as_deref().map(address).transpose()?,
        require_tls: arguments.require_tls,
    }))
}

fn path(path: Option<PathBuf>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned())
}

fn address(text: &str) -> Result<Address, CommandError> {
    // As in `proxy.listen_addr`.
    let everywhere = text.starts_with(':').then(|| format!("0.0.0.0{text}"));
    let parsed = everywhere.as_deref().unwrap_or(text).parse();
    parsed.map_err(|error| unusable("--listen", error, "0.0.0.0:5432"))
}

fn unusable(flag: &str, error: impl Display, example: &str) -> CommandError {
    CommandError::usage(format_args!("{flag}: {error}; write it as in {flag} {example}"))
}
