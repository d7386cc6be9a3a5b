//! The fields of a kubeconfig as kubectl reads them: an empty one is absent, and base64 may have line breaks.
//!
//! Source: client-go, `tools/clientcmd/client_config.go` (fields are used if their length is not zero), and
//! encoding/base64 of Go, which ignores line ends.

use std::path::Path;

use kube::config::{AuthInfo, Cluster, Context, ExecConfig, Kubeconfig};
use secrecy::{ExposeSecret, SecretString};

/// Removes the empty fields of a file in `directory`.
pub(super) fn clean(file: &mut Kubeconfig, directory: &Path) {
    keep_text(&mut file.current_context);
    file.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()).for_each(|it| cluster(it, directory));
    file.contexts.iter_mut().filter_map(|named| named.context.as_mut()).for_each(context);
    file.auth_infos
        .iter_mut()
        .filter_map(|named| named.auth_info.as_mut())
        .for_each(|it| user(it, directory));
}

fn cluster(cluster: &mut Cluster, directory: &Path) {
    keep_text(&mut cluster.server);
    keep_text(&mut cluster.tls_server_name);
    keep_text(&mut cluster.proxy_url);
    keep_base64(&mut cluster.certificate_authority_data);
    keep_path(&mut cluster.certificate_authority, directory);
}

fn context(context: &mut Context) {
    keep_text(&mut context.namespace);
    keep_text(&mut context.user);
}

fn user(user: &mut AuthInfo, directory: &Path) {
    for path in [&mut user.client_certificate, &mut user.client_key, &mut user.token_file] {
        keep_path(path, directory);
    }
    keep_base64(&mut user.client_certificate_data);
    let key =
        user.client_key_data.take().map(|key| key.expose_secret().split_whitespace().collect::<String>());
    user.client_key_data = key.filter(|key| !key.is_empty()).map(SecretString::from);
    let token = user.token.take().map(|token| token.expose_secret().trim().to_owned());
    user.token = token.filter(|token| !token.is_empty()).map(SecretString::from);
    for name in [&mut user.username, &mut user.impersonate, &mut user.impersonate_uid] {
        keep_text(name);
    }
    // Without one of the two there is no basic authentication, and kubectl sends an empty password.
    user.password =
        user.username.as_ref().and_then(|_| user.password.take().or_else(|| Some(String::new().into())));
    if let Some(provider) = &mut user.auth_provider {
        for token in provider.config.values_mut() {
            *token = token.trim().to_owned();
        }
    }
    user.exec = user.exec.take().and_then(plugin);
}

fn plugin(mut exec: ExecConfig) -> Option<ExecConfig> {
    keep_text(&mut exec.command);
    exec.command.is_some().then_some(exec)
}

/// `None` in place of an empty text, and no white space around another one, such as the line end of a YAML block.
fn keep_text(field: &mut Option<String>) {
    *field = field.take().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
}

fn keep_base64(field: &mut Option<String>) {
    let data = field.take().map(|text| text.split_whitespace().collect::<String>());
    *field = data.filter(|data| !data.is_empty());
}

/// The library has resolved relative paths, also the empty one.
fn keep_path(field: &mut Option<String>, directory: &Path) {
    let is_empty =
        |path: &String| path.is_empty() || Path::new(path).as_os_str() == directory.join("").as_os_str();
    *field = field.take().filter(|path| !is_empty(path));
}
