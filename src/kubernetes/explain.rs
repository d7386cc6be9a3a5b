//! From what the API server or the credential plugin said to a [`TunnelError`].

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kube::Error;
use kube::client::{AuthError, UpgradeConnectionError};
use kube::core::Status;
use tokio::time::timeout;

use super::cluster::Access;
use super::error::TunnelError;

/// How much of somebody else's text goes into ours.
const QUOTED: usize = 300;

/// What was asked of the API server.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    Pods,
    Service(&'a str),
    Forward { pod: &'a str },
}

/// Waits for an answer and explains a bad one.
pub(super) async fn answer<T>(
    access: &Access,
    asked: Asked<'_>,
    limit: Duration,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, TunnelError> {
    match timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| explain(&error, access, asked)),
        Err(_) => Err(silent(access, asked, format!("no answer within {limit:.0?}"))),
    }
}

/// The API server that has just listed the pods is there; who says nothing is the node it asks for the stream.
fn silent(access: &Access, asked: Asked<'_>, reason: String) -> TunnelError {
    match asked {
        Asked::Forward { pod } => TunnelError::PodUnreachable { pod: pod.to_owned(), reason },
        _ => TunnelError::Unreachable { server: access.server.clone(), reason },
    }
}

/// Why no client could be made.
pub(super) fn not_built(error: &Error, plugin: Option<&str>) -> TunnelError {
    match find::<AuthError>(error) {
        Some(failure) => credentials(failure, plugin),
        None => TunnelError::Kubeconfig { reason: innermost(error) },
    }
}

/// Somebody else's text as a part of a sentence: one line, not too long, no full stop.
pub(super) fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted: String = line.chars().filter(|character| !character.is_control()).take(QUOTED).collect();
    quoted.trim_end_matches('.').to_owned()
}

fn explain(error: &Error, access: &Access, asked: Asked<'_>) -> TunnelError {
    let server = access.server.clone();
    if let Some(failure) = find::<AuthError>(error) {
        return credentials(failure, access.plugin.as_deref());
    }
    match error {
        Error::Api(status) => refused(status, access, asked),
        Error::UpgradeConnection(UpgradeConnectionError::GetPendingUpgrade(error)) => {
            TunnelError::Unreachable { server, reason: innermost(error) }
        }
        Error::UpgradeConnection(error) => TunnelError::NoWebsocket { server, reason: error.to_string() },
        Error::SerdeError(_) | Error::FromUtf8(_) => {
            TunnelError::Refused { server, reason: "its answer is not one of Kubernetes".to_owned() }
        }
        other => TunnelError::Unreachable { server, reason: innermost(other) },
    }
}

fn refused(status: &Status, access: &Access, asked: Asked<'_>) -> TunnelError {
    let server = access.server.clone();
    let reason = quote(&status.message);
    match (status.code, asked) {
        (401, _) => TunnelError::Unauthorized { server },
        (403, _) => forbidden(&status.message, access, asked),
        (404, Asked::Forward { pod }) => TunnelError::PodGone { pod: pod.to_owned() },
        (404, Asked::Service(service)) => {
            TunnelError::NoService { service: service.to_owned(), namespace: access.namespace.clone() }
        }
        (429, _) => TunnelError::Busy { server, reason },
        (_, Asked::Forward { pod }) => TunnelError::PodUnreachable { pod: pod.to_owned(), reason },
        (500.., _) => TunnelError::Busy { server, reason },
        _ => TunnelError::Refused { server, reason },
    }
}

/// Reads `User "U" cannot VERB resource "R" in API group "" in the namespace "N"`, the wording of the RBAC authorizer
/// (`ForbiddenMessage` in apiserver/pkg/endpoints/handlers/responsewriters/errors.go); another authorizer's wording is
/// replaced by what was asked.
fn forbidden(message: &str, access: &Access, asked: Asked<'_>) -> TunnelError {
    let (verb, resource, verbs) = match asked {
        Asked::Pods => ("list", "pods", "[\"get\", \"list\"]"),
        Asked::Service(_) => ("get", "services", "[\"get\"]"),
        Asked::Forward { .. } => ("get", "pods/portforward", "[\"get\", \"create\"]"),
    };
    let user =
        between(message, "User \"", "\"").map_or_else(|| "you".to_owned(), |user| format!("user {user}"));
    let verb = between(message, "cannot ", " ").unwrap_or(verb);
    let namespace = between(message, "in the namespace \"", "\"").unwrap_or(&access.namespace);
    TunnelError::Forbidden {
        user: quote(&user),
        verb: quote(verb),
        resource: resource.to_owned(),
        namespace: quote(namespace),
        verbs,
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// The plugin's standard output is a credential and its environment may hold some; only what it wrote to standard
/// error is shown.
fn credentials(error: &AuthError, plugin: Option<&str>) -> TunnelError {
    let command = plugin.unwrap_or("auth-provider").to_owned();
    match error {
        AuthError::AuthExecStart(error) => TunnelError::PluginMissing { command, reason: error.to_string() },
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = if said.trim().is_empty() { out.status.to_string() } else { quote(&said) };
            TunnelError::PluginFailed { command, said }
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            TunnelError::PluginFailed { command, said: "it printed no ExecCredential".to_owned() }
        }
        AuthError::ReadTokenFile(error, path) => {
            TunnelError::Kubeconfig { reason: format!("its token file {}: {error}", path.display()) }
        }
        AuthError::InvalidBearerToken(_) | AuthError::InvalidBasicAuth(_) => TunnelError::Kubeconfig {
            reason: "its token or password has characters that cannot be sent".to_owned(),
        },
        other => TunnelError::Kubeconfig { reason: quote(&other.to_string()) },
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn StdError + 'static) = *error;
        // An io::Error shows its inner error but does not count it as its source.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    // What the libraries say of an end in the middle of TLS is meant for those who program with them.
    let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    if chain(error).filter_map(|error| error.downcast_ref()).any(is_end) {
        return "it hung up".to_owned();
    }
    chain(error).last().map(|error| quote(&error.to_string())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_tamed() {
        assert_eq!(quote("two\r\n  lines.\n"), "two lines");
        assert_eq!(quote(&"x".repeat(QUOTED + 1)).len(), QUOTED);
        assert_eq!(quote("a\u{1b}[31mb"), "a[31mb");
    }

    #[test]
    fn the_innermost_error_tells_most() {
        let inner = io::Error::other("certificate has expired");
        let outer = Error::Service(Box::new(io::Error::other(inner)));
        assert_eq!(innermost(&outer), "certificate has expired");
        let end = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(innermost(&Error::Service(Box::new(io::Error::other(end)))), "it hung up");
    }

    #[test]
    fn reads_the_wording_of_rbac() {
        let text = "pods is forbidden: User \"dev\" cannot list resource \"pods\" in API group \"\" in the namespace \"db\"";
        assert_eq!(between(text, "User \"", "\""), Some("dev"));
        assert_eq!(between(text, "cannot ", " "), Some("list"));
        assert_eq!(between(text, "in the namespace \"", "\""), Some("db"));
        assert_eq!(between("no", "User \"", "\""), None);
    }
}
