//! Calls of the Kubernetes API, and what a failed one means.

use std::time::{Duration, SystemTime};

use kube::Error;
use kube::client::{AuthError, UpgradeConnectionError};
use kube::core::Status;
use tokio::time::timeout;

use super::cluster::Access;
use super::error::{Retry, Rule, TunnelError};
use super::explain::{credentials_error, find, innermost, quote};
use crate::error_chain::errors;

pub(super) const LIST_PODS: Rule = Rule { resource: "pods", verbs: r#"["get", "list"]"#, values: ROLE };
pub(super) const GET_SERVICE: Rule = Rule {
    resource: "services",
    verbs: r#"["get"]"#,
    values: "rbac.create, rbac.portforwardSubjects and service.enabled",
};
/// Websockets open with a GET (`get`). Kubernetes 1.35 and later also check `create`, as for the POST of older clients.
pub(super) const PORT_FORWARD: Rule =
    Rule { resource: "pods/portforward", verbs: r#"["get", "create"]"#, values: ROLE };
const ROLE: &str = "rbac.create and rbac.portforwardSubjects";

/// A call of the Kubernetes API.
#[derive(Clone, Copy)]
pub(super) enum ApiCall<'a> {
    /// Lists the pods of the namespace.
    ListPods,
    /// Reads the service of this name.
    GetService(&'a str),
    /// Opens a port-forward to this pod.
    PortForward { pod: &'a str },
}

/// Waits at most `limit` for the response to `request`, which is `call`.
pub(super) async fn response<T>(
    access: &Access,
    call: ApiCall<'_>,
    limit: Duration,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, TunnelError> {
    match timeout(limit, request).await {
        Ok(response) => response.map_err(|error| explain(&error, access, call)),
        Err(_) => Err(no_answer(access, call, limit)),
    }
}

/// The API server has just listed the pods, so a port-forward without an answer is a node that does not answer the API
/// server.
fn no_answer(access: &Access, call: ApiCall<'_>, limit: Duration) -> TunnelError {
    let reason = format!("no answer within {limit:.0?}");
    match call {
        ApiCall::PortForward { pod } => TunnelError::PodUnreachable { pod: pod.to_owned(), reason },
        ApiCall::ListPods | ApiCall::GetService(_) => {
            TunnelError::Unreachable { server: access.server.clone(), reason, retry: Retry::AfterPause }
        }
    }
}

fn explain(error: &Error, access: &Access, call: ApiCall<'_>) -> TunnelError {
    let server = access.server.clone();
    if let Some(error) = find::<AuthError>(error) {
        return credentials_error(error, access.plugin.as_deref());
    }
    if let Some(rustls::Error::AlertReceived(_)) = find(error)
        && let Some(expired) = expired_certificate(access)
    {
        return expired;
    }
    match error {
        Error::Api(status) => explain_status(status, access, call),
        Error::UpgradeConnection(UpgradeConnectionError::GetPendingUpgrade(error)) => {
            TunnelError::Unreachable { server, reason: innermost(error), retry: Retry::AfterPause }
        }
        Error::UpgradeConnection(error) => TunnelError::NoWebsocket { server, reason: error.to_string() },
        Error::SerdeError(_) | Error::FromUtf8(_) => {
            TunnelError::Refused { server, reason: "its answer is not a Kubernetes object".to_owned() }
        }
        other => TunnelError::Unreachable { server, reason: innermost(other), retry: retry_of(other) },
    }
}

/// An API server that restarts refuses connections, hangs or breaks off for a while. No wait helps against a certificate that is
/// not trusted, and little against a name that is not known.
fn retry_of(error: &Error) -> Retry {
    match find::<rustls::Error>(error) {
        Some(rustls::Error::InvalidCertificate(_)) => Retry::Never,
        _ if errors(error).any(|error| error.to_string() == "dns error") => Retry::Once,
        _ => Retry::AfterPause,
    }
}

fn explain_status(status: &Status, access: &Access, call: ApiCall<'_>) -> TunnelError {
    let server = access.server.clone();
    let reason = quote(&status.message);
    match (status.code, call) {
        (401, _) => unauthorized(access),
        (403, _) => forbidden(&status.message, access, call),
        (404, ApiCall::PortForward { pod }) => TunnelError::PodGone { pod: pod.to_owned() },
        (404, ApiCall::GetService(service)) => {
            TunnelError::NoService { service: service.to_owned(), namespace: access.namespace.clone() }
        }
        (429, _) | (500.., ApiCall::ListPods | ApiCall::GetService(_)) => {
            TunnelError::Busy { server, reason }
        }
        (_, ApiCall::PortForward { pod }) => TunnelError::PodUnreachable { pod: pod.to_owned(), reason },
        (_, ApiCall::ListPods | ApiCall::GetService(_)) => TunnelError::Refused { server, reason },
    }
}

/// An expired client certificate passes the TLS of the API server, which then does not know the user.
fn unauthorized(access: &Access) -> TunnelError {
    expired_certificate(access).unwrap_or_else(|| TunnelError::Unauthorized { server: access.server.clone() })
}

fn expired_certificate(access: &Access) -> Option<TunnelError> {
    let expired = access.certificate_expires.filter(|expires| *expires < SystemTime::now())?;
    let date = humantime::format_rfc3339_seconds(expired).to_string();
    Some(TunnelError::CertificateExpired { server: access.server.clone(), date })
}

/// Reads `User "U" cannot VERB resource "R" in API group "" in the namespace "N"`, the wording of the API server for every
/// authorizer (`ForbiddenMessage` in apiserver/pkg/endpoints/handlers/responsewriters/errors.go). Where a proxy before it
/// words it differently, the values of the call itself stand in, if it needs one verb only.
fn forbidden(message: &str, access: &Access, call: ApiCall<'_>) -> TunnelError {
    let verb = between(message, "cannot ", " ");
    let (verb, rule) = match call {
        ApiCall::ListPods => (verb.unwrap_or("list"), LIST_PODS),
        ApiCall::GetService(_) => (verb.unwrap_or("get"), GET_SERVICE),
        ApiCall::PortForward { pod } => match verb {
            Some(verb) => (verb, PORT_FORWARD),
            None => return TunnelError::Denied { pod: pod.to_owned(), reason: quote(message) },
        },
    };
    let user =
        between(message, "User \"", "\"").map_or_else(|| "you".to_owned(), |user| format!("user {user}"));
    let namespace = between(message, "in the namespace \"", "\"").unwrap_or(&access.namespace);
    TunnelError::Forbidden { user: quote(&user), verb: quote(verb), namespace: quote(namespace), rule }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rbac_message_is_parsed() {
        let text = "pods is forbidden: User \"dev\" cannot list resource \"pods\" in API group \"\" in the namespace \"db\"";
        assert_eq!(between(text, "User \"", "\""), Some("dev"));
        assert_eq!(between(text, "cannot ", " "), Some("list"));
        assert_eq!(between(text, "in the namespace \"", "\""), Some("db"));
        assert_eq!(between("no", "User \"", "\""), None);
    }
}
