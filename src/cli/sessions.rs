//! `sessions`: lists the open sessions of a proxy on this machine, and ends one.

mod request;
mod table;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::args::{EndArguments, OutputFormat, SessionsAction, SessionsArguments};
use super::output;
use crate::admin::{MAX_REASON, SessionLine, SessionList};
use crate::app::start;
use crate::config::{self, SearchOrder};
use crate::process::{CommandError, Sanitized};
use table::Layout;

/// The time between two lists of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);

/// Lists sessions, or ends one.
pub(super) fn run(arguments: &SessionsArguments) -> Result<(), CommandError> {
    let socket = socket(arguments)?;
    match &arguments.action {
        Some(SessionsAction::End(end)) => end_session(&socket, end),
        None => list(&socket, arguments),
    }
}

/// The socket that is named, or that of the configuration.
fn socket(arguments: &SessionsArguments) -> Result<PathBuf, CommandError> {
    if let Some(path) = &arguments.socket {
        return Ok(path.clone());
    }
    let path = arguments.configfile.as_deref();
    // As `healthcheck`.
    let (file, addresses) =
        start::find_and_read(path, SearchOrder::WorkingDirectoryFirst, config::load_addresses)?;
    addresses.admin_socket.ok_or_else(|| {
        CommandError::usage(format!(
            "the configuration {} has no proxy.admin_socket; set it and restart the proxy, or name its socket with --socket",
            file.path.display()
        ))
    })
}

fn list(socket: &Path, arguments: &SessionsArguments) -> Result<(), CommandError> {
    let wanted = |filter: &Option<String>, name: &str| filter.as_ref().is_none_or(|filter| filter == name);
    let layout = Layout::of_stdout();
    loop {
        let mut list: SessionList = parse(&request::get(socket, "/sessions")?)?;
        list.sessions.retain(|session| {
            wanted(&arguments.target, &session.target) && wanted(&arguments.user, &session.user)
        });
        let text = match arguments.output {
            OutputFormat::Text => layout.render(&list.sessions, arguments.watch),
            OutputFormat::Json => serde_json::to_string(&list).map_err(CommandError::runtime)? + "\n",
        };
        if !output::print_while_read(text)? || !arguments.watch {
            return Ok(());
        }
        sleep(INTERVAL);
    }
}

fn end_session(socket: &Path, arguments: &EndArguments) -> Result<(), CommandError> {
    let reason = arguments.reason.as_deref().unwrap_or_default();
    if reason.len() > MAX_REASON {
        return Err(CommandError::usage(format!("the reason is longer than {MAX_REASON} bytes")));
    }
    let answer = request::post(socket, &format!("/sessions/{}/end", arguments.id), reason)?;
    let SessionLine { id, user, database, target, peer, .. } = parse(&answer)?;
    let text = format!("session {id} ends: {user} at {target}, database {database}, from {peer}");
    output::print(format!("{}\n", Sanitized(text)))
}

fn parse<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, CommandError> {
    serde_json::from_slice(answer).map_err(|error| {
        CommandError::runtime(format!("the answer of the admin_socket cannot be read: {error}"))
    })
}
