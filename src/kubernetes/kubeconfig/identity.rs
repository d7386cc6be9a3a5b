//! The credentials of a kubeconfig, checked before the HTTP library receives them: it panics over some of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::AuthInfo;
use secrecy::{ExposeSecret, SecretString};

use crate::file_access;
use crate::kubernetes::exec_plugin::is_token;
use crate::stamp::Stamp;
use crate::tls;

/// Replaces `tokenFile` by the token in it. Like kubectl, the file takes precedence over `token`, which is used if the
/// file cannot be read or is empty (client-go, `NewBearerAuthWithRefreshRoundTripper` in `transport/round_trippers.go`
/// and `fileTokenSource` in `transport/token_source.go`, which trims white space). Returns the file with its stamp from
/// before. The error is a part of a sentence.
pub(super) fn read_token(user: &mut AuthInfo) -> Result<Option<(PathBuf, Stamp)>, String> {
    let Some(path) = user.token_file.take().map(PathBuf::from) else { return Ok(None) };
    let stamp = Stamp::of(&path);
    match token_in(&path) {
        Ok(token) => user.token = Some(SecretString::from(token)),
        Err(_) if user.token.is_some() => {}
        Err(reason) => return Err(format!("its token file {}: {reason}", path.display())),
    }
    Ok(Some((path, stamp)))
}

fn token_in(path: &Path) -> Result<String, String> {
    let text = file_access::read(path).map_err(|error| error.to_string())?;
    let token = String::from_utf8(text).map_err(|_| "it is not UTF-8")?.trim().to_owned();
    if token.is_empty() { Err("it is empty".into()) } else { Ok(token) }
}

/// Checks tokens and the client certificate. The error is a part of a sentence and quotes none of them.
pub(super) fn check(user: &AuthInfo) -> Result<(), String> {
    let token = user.token.as_ref().map(|token| token.expose_secret().to_owned());
    let provided = user.auth_provider.as_ref().and_then(|provider| {
        ["id-token", "access-token"].into_iter().find_map(|key| provider.config.get(key)).cloned()
    });
    if [token, provided].into_iter().flatten().any(|token| !is_token(&token)) {
        return Err("its token has characters that an HTTP header cannot carry".into());
    }
    match certificate(user) {
        Some(pem) if tls::is_version_1(&pem) => Err(
            "its client certificate is of X.509 version 1, which this program cannot show; request one of version 3".into(),
        ),
        _ => Ok(()),
    }
}

/// When the client certificate expires, if there is one.
pub(super) fn certificate_expires(user: &AuthInfo) -> Option<SystemTime> {
    let seconds = tls::not_after(&certificate(user)?)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// The client certificate as PEM, if it can be read. The HTTP library reports the reason if not.
fn certificate(user: &AuthInfo) -> Option<Vec<u8>> {
    match (&user.client_certificate_data, &user.client_certificate) {
        (Some(data), _) => STANDARD.decode(data).ok(),
        (None, Some(path)) => file_access::read(path.as_ref()).ok(),
        (None, None) => None,
    }
}
