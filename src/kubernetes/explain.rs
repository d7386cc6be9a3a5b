//! What the errors of other programs and libraries mean here.

use std::error::Error as StdError;
use std::io;

use kube::Error;
use kube::client::AuthError;

use super::error::TunnelError;
use crate::error_chain::errors;

/// The most characters of a foreign text that one of ours quotes.
const MAX_QUOTED: usize = 300;

/// Why the client for the cluster could not be built.
pub(super) fn client_error(error: &Error, plugin: Option<&str>) -> TunnelError {
    match find::<AuthError>(error) {
        Some(error) => credentials_error(error, plugin),
        None => TunnelError::Kubeconfig { reason: innermost(error) },
    }
}

/// Why the kubeconfig gave no credentials.
pub(super) fn credentials_error(error: &AuthError, plugin: Option<&str>) -> TunnelError {
    let command = plugin.unwrap_or("auth-provider").to_owned();
    match error {
        AuthError::AuthExecStart(error) => TunnelError::PluginMissing { command, reason: error.to_string() },
        // The plugin's standard output is a credential and its environment may hold one, so only standard error is shown.
        AuthError::AuthExecRun { out, .. } => {
            let stderr = String::from_utf8_lossy(&out.stderr);
            let reason = if stderr.trim().is_empty() { out.status.to_string() } else { quote(&stderr) };
            TunnelError::PluginFailed { command, reason }
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            TunnelError::PluginFailed { command, reason: "it printed no ExecCredential".to_owned() }
        }
        AuthError::ReadTokenFile(error, path) => {
            TunnelError::Kubeconfig { reason: format!("its token file {}: {error}", path.display()) }
        }
        AuthError::InvalidBearerToken(_) | AuthError::InvalidBasicAuth(_) => TunnelError::Kubeconfig {
            reason: "its token or password has characters that an HTTP header cannot carry".to_owned(),
        },
        other => TunnelError::Kubeconfig { reason: quote(&other.to_string()) },
    }
}

/// A foreign text as a part of a sentence: one line, at most [`MAX_QUOTED`] characters, no control characters, no full
/// stop.
pub(super) fn quote(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted: String = line.chars().filter(|character| !character.is_control()).take(MAX_QUOTED).collect();
    quoted.trim_end_matches('.').to_owned()
}

/// The first error of this type among `error` and its sources.
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    errors(error).find_map(|error| error.downcast_ref())
}

/// The text of the last source, which is the most specific one.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    // The libraries' texts about an end within TLS are for their programmers.
    let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    if errors(error).filter_map(|error| error.downcast_ref()).any(is_end) {
        return "the peer closed the connection".to_owned();
    }
    errors(error).last().map(|error| quote(&error.to_string())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_short_line() {
        assert_eq!(quote("two\r\n  lines.\n"), "two lines");
        assert_eq!(quote(&"x".repeat(MAX_QUOTED + 1)).len(), MAX_QUOTED);
        assert_eq!(quote("a\u{1b}[31mb"), "a[31mb");
    }

    #[test]
    fn the_innermost_error_is_reported() {
        let inner = io::Error::other("certificate has expired");
        let outer = Error::Service(Box::new(io::Error::other(inner)));
        assert_eq!(innermost(&outer), "certificate has expired");
        let end = io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(
            innermost(&Error::Service(Box::new(io::Error::other(end)))),
            "the peer closed the connection"
        );
    }
}
