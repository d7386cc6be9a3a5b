//! The address of the cluster and credentials for it, found as kubectl finds them
//! (<https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/>).

mod fields;
mod identity;
mod server;

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use kube::Config;
use kube::config::{AuthInfo, Context, KubeConfigOptions, Kubeconfig, KubeconfigError};
use tokio::task::spawn_blocking;

use super::connector::is_local;
use super::error::TunnelError;
use super::exec_plugin;
use super::plugin_process::Runner;
use crate::catalog::{Pods, PortForward};
use crate::file_access::explained;
use crate::stamp::Stamp;

/// A cluster and credentials for it.
pub(super) struct ClusterConfig {
    pub(super) config: Config,
    /// The `proxy-url` of the cluster. It takes precedence over the proxies of the environment.
    pub(super) proxy: Option<String>,
    /// The command of the credential plugin, for texts.
    pub(super) plugin: Option<String>,
    /// When the credentials of the plugin expire, if it says so.
    pub(super) expires: Option<SystemTime>,
    /// When the client certificate expires, if there is one.
    pub(super) certificate_expires: Option<SystemTime>,
    /// The `tokenFile` with its stamp from before it was read.
    pub(super) token_file: Option<(PathBuf, Stamp)>,
    /// Whether TLS or a loopback address proves that the API server is the right one.
    pub(super) verified: bool,
}

/// The kubeconfig files with their stamps. As long as these stay equal, nothing has to be read again.
pub(super) type Stamps = Vec<(PathBuf, Stamp)>;

/// The stamps of the kubeconfig files and of the token file as they are now. They are read on a thread that may block,
/// because a home directory may be on a network.
pub(super) async fn stamps(settings: &PortForward, token_file: Option<PathBuf>) -> (Stamps, Option<Stamp>) {
    let files = files(settings);
    let read = move || {
        let stamps = files.into_iter().map(|path| (path.clone(), Stamp::of(&path))).collect();
        (stamps, token_file.map(|path| Stamp::of(&path)))
    };
    // A task that failed has no stamps, so the files are read again.
    spawn_blocking(read).await.unwrap_or_default()
}

/// Reads the kubeconfig, or the service account of the pod that this process runs in, and runs the credential plugin.
/// Blocks meanwhile.
pub(super) async fn load(settings: &PortForward, runner: &Runner) -> Result<ClusterConfig, TunnelError> {
    let Some(mut kubeconfig) = read(settings)? else {
        let config = Config::incluster().map_err(|_| TunnelError::NoKubeconfig)?;
        return Ok(ClusterConfig {
            config,
            proxy: None,
            plugin: None,
            expires: None,
            certificate_expires: None,
            token_file: None,
            verified: true,
        });
    };
    let proxy = normalize_cluster(&mut kubeconfig, settings.context.as_deref()).map_err(unusable)?;
    let known = names(&kubeconfig);
    let options = KubeConfigOptions { context: settings.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| not_usable(error, known))?;
    let user = &mut config.auth_info;
    let token_file = identity::read_token(user).map_err(unusable)?;
    // Like kubectl, which does not need a plugin where there is a token or a password.
    user.exec = user.exec.take().filter(|_| user.token.is_none() && user.username.is_none());
    let plugin = user.exec.as_ref().and_then(|exec| exec.command.clone());
    let expires = exec_plugin::run(user, runner)?;
    identity::check(user).map_err(unusable)?;
    let certificate_expires = identity::certificate_expires(user);
    let verified = is_verified(&config);
    Ok(ClusterConfig { config, proxy, plugin, expires, certificate_expires, token_file, verified })
}

/// Whether credentials for the cluster come from a plugin, which may wait for a login of a person. A kubeconfig that cannot be read
/// has none. Blocks meanwhile.
pub(super) fn has_plugin(settings: &PortForward) -> bool {
    let Ok(Some(kubeconfig)) = read(settings) else { return false };
    let context = context(&kubeconfig, settings.context.as_deref());
    let user = context.and_then(|context| user(&kubeconfig, context));
    user.is_some_and(|user| user.exec.is_some() || user.auth_provider.is_some())
}

/// The names of the contexts of the default kubeconfig; none if it cannot be read. Blocks meanwhile.
#[must_use]
pub fn context_names() -> Vec<String> {
    let settings = PortForward {
        kube_config: None,
        context: None,
        namespace: None,
        pods: Pods::Selector(String::new()),
        local_port: None,
        remote_port: 0,
    };
    let Ok(Some(kubeconfig)) = read(&settings) else { return Vec::new() };
    kubeconfig.contexts.into_iter().map(|context| context.name).collect()
}

fn context<'a>(kubeconfig: &'a Kubeconfig, name: Option<&'a str>) -> Option<&'a Context> {
    let name = name.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|named| Some(named.name.as_str()) == name);
    context?.context.as_ref()
}

fn user<'a>(kubeconfig: &'a Kubeconfig, context: &Context) -> Option<&'a AuthInfo> {
    let user = kubeconfig.auth_infos.iter().find(|named| Some(&named.name) == context.user.as_ref());
    user?.auth_info.as_ref()
}

/// Makes a URL of the server of the context's cluster. Returns the proxy for it. A context that does not exist is
/// reported later.
fn normalize_cluster(kubeconfig: &mut Kubeconfig, name: Option<&str>) -> Result<Option<String>, String> {
    let Some(context) = context(kubeconfig, name).cloned() else { return Ok(None) };
    let user = user(kubeconfig, &context).cloned();
    let cluster = kubeconfig.clusters.iter_mut().find(|named| named.name == context.cluster);
    let Some(cluster) = cluster.and_then(|named| named.cluster.as_mut()) else { return Ok(None) };
    cluster.server = Some(server::server_url(cluster, user.as_ref())?);
    server::proxy_url(cluster)
}

fn files(settings: &PortForward) -> Vec<PathBuf> {
    if let Some(path) = &settings.kube_config {
        return vec![path.clone()];
    }
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<_> = env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if !listed.is_empty() {
        return listed;
    }
    env::home_dir().map(|home| home.join(".kube").join("config")).into_iter().collect()
}

/// Reads and merges the files. Like kubectl, it skips missing files of the list `KUBECONFIG`. `None` if no file exists.
fn read(settings: &PortForward) -> Result<Option<Kubeconfig>, TunnelError> {
    let mut merged = None;
    for path in files(settings) {
        let read = match read_one(&path) {
            Err(KubeconfigError::ReadConfig(error, _))
                if error.kind() == io::ErrorKind::NotFound && settings.kube_config.is_none() =>
            {
                continue;
            }
            read => read.map_err(|error| unreadable(&path, &error))?,
        };
        merged = match merged {
            None => Some(read),
            Some(before) => Some(Kubeconfig::merge(before, read).map_err(|error| unreadable(&path, &error))?),
        };
    }
    Ok(merged)
}

fn read_one(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let mut read = Kubeconfig::read_from(path)?;
    fields::clean(&mut read, path.parent().unwrap_or(Path::new("")));
    Ok(read)
}

/// Leaves out the text of the parser, which may quote the file and with it a token.
fn unreadable(path: &Path, error: &KubeconfigError) -> TunnelError {
    let reason = match error {
        KubeconfigError::ReadConfig(error, _) => {
            explained(path, io::Error::new(error.kind(), error.to_string())).to_string()
        }
        KubeconfigError::Parse(_) => "it is not valid YAML or not a kubeconfig".to_owned(),
        other => other.to_string(),
    };
    TunnelError::Kubeconfig { reason: format!("{}: {reason}", path.display()) }
}

fn not_usable(error: KubeconfigError, known: String) -> TunnelError {
    match error {
        KubeconfigError::CurrentContextNotSet => TunnelError::NoCurrentContext,
        KubeconfigError::LoadContext(context) => TunnelError::NoContext { context, known },
        other => TunnelError::Kubeconfig { reason: other.to_string() },
    }
}

fn names(kubeconfig: &Kubeconfig) -> String {
    let names: Vec<_> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn unusable(reason: String) -> TunnelError {
    TunnelError::Kubeconfig { reason }
}

/// Without TLS only a server on this machine is trusted, such as `kubectl proxy`.
fn is_verified(config: &Config) -> bool {
    let server = &config.cluster_url;
    match server.scheme_str() {
        Some("http") => server.host().is_some_and(is_local),
        _ => !config.accept_invalid_certs,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::kubernetes::plugin_process::Plugin;

    async fn load(settings: &PortForward) -> Result<ClusterConfig, TunnelError> {
        super::load(settings, &Plugin::default().runner()).await
    }

    const TWO: &str = r"
apiVersion: v1
kind: Config
clusters:
- {name: a, cluster: {server: 'https://a.example.com', proxy-url: 'http://proxy.example.com:3128'}}
- {name: b, cluster: {server: 'https://b.example.com'}}
contexts:
- {name: one, context: {cluster: a, user: u, namespace: apps}}
- {name: two, context: {cluster: b, user: u}}
current-context: two
users:
- {name: u, user: {token: a-token}}
";

    fn settings(path: &Path, context: Option<&str>) -> PortForward {
        PortForward {
            kube_config: Some(path.to_owned()),
            context: context.map(str::to_owned),
            namespace: None,
            pods: Pods::Deployment("proxy".to_owned()),
            remote_port: 8000,
            local_port: None,
        }
    }

    #[tokio::test]
    async fn the_context_is_chosen_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, TWO).unwrap();
        let current = load(&settings(&path, None)).await.unwrap();
        assert_eq!(current.config.cluster_url.host(), Some("b.example.com"));
        assert_eq!(current.proxy, None);
        let other = load(&settings(&path, Some("one"))).await.unwrap();
        assert_eq!(other.config.default_namespace, "apps");
        assert_eq!(other.proxy.as_deref(), Some("http://proxy.example.com:3128"));
        let error = load(&settings(&path, Some("three"))).await.err().unwrap();
        assert!(error.to_string().contains("no context \"three\"; it has: one, two"), "{error}");
    }

    #[tokio::test]
    async fn an_empty_current_context_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, TWO.replace("current-context: two", "current-context: \"\"")).unwrap();
        let error = load(&settings(&path, None)).await.err().unwrap();
        assert!(matches!(error, TunnelError::NoCurrentContext), "{error}");
        let other = load(&settings(&path, Some("one"))).await.unwrap();
        assert_eq!(other.config.cluster_url.host(), Some("a.example.com"));
    }

    #[tokio::test]
    async fn a_remote_cluster_without_verified_tls_is_not_verified() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        for (server, expected) in [
            ("'https://b.example.com'", true),
            ("'https://b.example.com', insecure-skip-tls-verify: false", true),
            ("'https://b.example.com', insecure-skip-tls-verify: true", false),
            ("'https://127.0.0.1:6443', insecure-skip-tls-verify: true", false),
            ("'http://b.example.com'", false),
            ("'http://127.0.0.1:8001'", true),
        ] {
            fs::write(&path, TWO.replace("'https://b.example.com'", server)).unwrap();
            assert_eq!(load(&settings(&path, None)).await.unwrap().verified, expected, "{server}");
        }
    }

    #[tokio::test]
    async fn a_broken_file_is_named_but_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(&path, "users: [{name: u, user: {token: s3cret, oops: }}]]").unwrap();
        let error = load(&settings(&path, None)).await.err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(text.contains("not valid YAML") && !text.contains("s3cret"), "{text}");
        let text = load(&settings(Path::new("/nowhere"), None)).await.err().unwrap().to_string();
        assert!(text.contains("/nowhere"), "{text}");
    }

    #[tokio::test]
    async fn a_rewritten_file_has_another_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        let settings = settings(&path, None);
        let absent = stamps(&settings, None).await.0;
        fs::write(&path, TWO).unwrap();
        let first = stamps(&settings, None).await.0;
        assert_ne!(absent, first);
        assert_eq!(first, stamps(&settings, None).await.0);
        fs::write(&path, format!("{TWO}\n")).unwrap();
        assert_ne!(first, stamps(&settings, None).await.0);
    }
}
