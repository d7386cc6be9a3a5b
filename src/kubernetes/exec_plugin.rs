//! Runs the credential plugin of a kubeconfig.
//!
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins>.

use std::process::{Command, Output};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::config::{AuthInfo, ExecConfig};
use serde::Deserialize;
use serde_json::json;

use super::error::TunnelError;
use super::explain::quote;
use super::plugin_process::Runner;

/// What a plugin prints. It holds secrets, so it has no `Debug`.
#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Time>,
}

/// Runs the plugin and replaces it by the credentials that it prints. Returns when they expire, if the plugin says so.
/// Blocks until the plugin ends.
pub(super) fn run(user: &mut AuthInfo, runner: &Runner) -> Result<Option<SystemTime>, TunnelError> {
    let Some(exec) = user.exec.take() else { return Ok(None) };
    let command = exec.command.clone().unwrap_or_default();
    let output = runner.run(&mut start(&exec, &command), &command).map_err(|error| {
        TunnelError::PluginMissing { command: command.clone(), reason: hint(&exec, &error.to_string()) }
    })?;
    let failed = |reason: String| TunnelError::PluginFailed { command: command.clone(), reason };
    // The plugin's standard output is a credential and its environment may hold one, so only standard error is shown.
    if !output.status.success() {
        return Err(failed(errors_of(&output)));
    }
    let printed: Option<ExecCredential> = serde_yaml::from_slice(&output.stdout).ok();
    let status = printed.and_then(|printed| printed.status);
    let status = status.ok_or_else(|| failed("it printed no ExecCredential".into()))?;
    take(user, status).map_err(failed)
}

/// Whether an HTTP header can carry the token.
pub(super) fn is_token(token: &str) -> bool {
    !token.is_empty() && HeaderValue::from_str(token).is_ok()
}

/// Like kubectl, the plugin inherits the environment.
fn start(exec: &ExecConfig, command: &str) -> Command {
    let mut started = Command::new(command);
    started.args(exec.args.iter().flatten());
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            started.env(name, value);
        }
    }
    let version = exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
    let mut spec = json!({"interactive": false});
    if let (true, Some(cluster), Some(spec)) =
        (exec.provide_cluster_info, &exec.cluster, spec.as_object_mut())
    {
        spec.insert("cluster".into(), serde_json::to_value(cluster).unwrap_or_default());
    }
    let information = json!({"apiVersion": version, "kind": "ExecCredential", "spec": spec});
    started.env("KUBERNETES_EXEC_INFO", information.to_string());
    started
}

fn errors_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    if text.trim().is_empty() { output.status.to_string() } else { quote(&text) }
}

/// The reason with the `installHint` of the kubeconfig, which kubectl shows here too.
fn hint(exec: &ExecConfig, reason: &str) -> String {
    match exec.install_hint.as_deref().map(quote).filter(|hint| !hint.is_empty()) {
        Some(hint) => format!("{reason}; the kubeconfig says: {hint}"),
        None => reason.to_owned(),
    }
}

/// Puts the credentials into `user`. White space around the token belongs to the plugin's output, not to the token.
fn take(user: &mut AuthInfo, status: Status) -> Result<Option<SystemTime>, String> {
    let token = status.token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    if token.as_deref().is_some_and(|token| !is_token(token)) {
        return Err("its token has characters that an HTTP header cannot carry".into());
    }
    let present = |data: Option<String>| data.filter(|data| !data.trim().is_empty());
    let identity = match (present(status.client_certificate_data), present(status.client_key_data)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("it printed a client certificate or a key, not both".into()),
    };
    if token.is_none() && identity.is_none() {
        return Err("it printed neither a token nor a client certificate".into());
    }
    user.token = token.map(Into::into);
    if let Some((certificate, key)) = identity {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    Ok(status.expiration_timestamp.map(|time| time.0.into()))
}
