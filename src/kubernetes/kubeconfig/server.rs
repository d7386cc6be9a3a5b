//! The address of the API server as kubectl reads it.

use kube::config::{AuthInfo, Cluster};

/// The proxies that kubectl supports (client-go, `parseProxyURL` in `tools/clientcmd/client_config.go`).
const PROXIES: [&str; 3] = ["http", "https", "socks5"];

/// The URL of the server. Without a scheme it is `https` if something about TLS is configured, else `http` (client-go,
/// `DefaultServerURL` and `defaultServerUrlFor` in `rest/url_utils.go`). The error is a part of a sentence.
pub(super) fn server_url(cluster: &Cluster, user: Option<&AuthInfo>) -> Result<String, String> {
    let server = cluster.server.as_deref().ok_or("its cluster has no server")?;
    if let Some((scheme, rest)) = server.split_once("://") {
        let scheme = scheme.to_ascii_lowercase();
        if !["http", "https"].contains(&scheme.as_str()) || rest.starts_with(['/', ':']) || rest.is_empty() {
            return Err(format!("its server \"{server}\" is not a URL; write https://HOST:PORT"));
        }
        return Ok(format!("{scheme}://{rest}"));
    }
    let (host, path) = server.split_once('/').unwrap_or((server, ""));
    if host.is_empty() || !path.is_empty() {
        return Err(format!(
            "its server \"{server}\" is neither a URL nor HOST:PORT; write https://HOST:PORT/PATH"
        ));
    }
    let scheme = if expects_tls(cluster, user) { "https" } else { "http" };
    Ok(format!("{scheme}://{host}"))
}

fn expects_tls(cluster: &Cluster, user: Option<&AuthInfo>) -> bool {
    let has_certificate =
        |user: &AuthInfo| user.client_certificate.is_some() || user.client_certificate_data.is_some();
    cluster.certificate_authority.is_some()
        || cluster.certificate_authority_data.is_some()
        || cluster.insecure_skip_tls_verify == Some(true)
        || user.is_some_and(has_certificate)
}

/// The `proxy-url` of the cluster. The error does not quote it, because it may have a password.
pub(super) fn proxy_url(cluster: &Cluster) -> Result<Option<String>, String> {
    let Some(proxy) = &cluster.proxy_url else { return Ok(None) };
    let scheme = proxy.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if proxy.parse::<http::Uri>().is_err() || !scheme.is_some_and(|scheme| PROXIES.contains(&scheme.as_str()))
    {
        return Err(
            "the proxy-url of its cluster must be a URL that begins with http://, https:// or socks5://"
                .into(),
        );
    }
    Ok(Some(proxy.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(server: &str) -> Result<String, String> {
        server_url(&Cluster { server: Some(server.to_owned()), ..Cluster::default() }, None)
    }

    /// The expected values are those of kubectl 1.32. It accepts `ftp` and an empty host, and fails later.
    #[test]
    fn a_server_without_a_scheme_is_read_as_kubectl_reads_it() {
        for (server, expected) in [
            ("localhost:8080", "http://localhost:8080"),
            ("10.0.0.1", "http://10.0.0.1"),
            ("host/", "http://host"),
            ("[::1]:6443", "http://[::1]:6443"),
            ("HTTPS://host:6443/path", "https://host:6443/path"),
        ] {
            assert_eq!(url(server).as_deref(), Ok(expected));
        }
        for server in ["host/path", "ftp://host", "https://", "https:///path", "/", "unix:///socket"] {
            assert!(url(server).unwrap_err().contains("write https://HOST:PORT"), "{server}");
        }
        let server = Some("host:6443".to_owned());
        let data = Some("Y2E=".to_owned());
        let with_ca = Cluster {
            server: server.clone(),
            certificate_authority_data: data.clone(),
            ..Cluster::default()
        };
        assert_eq!(server_url(&with_ca, None).as_deref(), Ok("https://host:6443"));
        let insecure =
            Cluster { server: server.clone(), insecure_skip_tls_verify: Some(true), ..Cluster::default() };
        assert_eq!(server_url(&insecure, None).as_deref(), Ok("https://host:6443"));
        let plain = Cluster { server, ..Cluster::default() };
        let user = AuthInfo { client_certificate_data: data, ..AuthInfo::default() };
        assert_eq!(server_url(&plain, Some(&user)).as_deref(), Ok("https://host:6443"));
    }

    #[test]
    fn a_proxy_that_kubectl_refuses_is_refused() {
        for (proxy, is_valid) in [
            ("http://proxy:3128", true),
            ("socks5://user:hunter2@proxy:1080", true),
            ("proxy:3128", false),
            ("socks4://hunter2@proxy", false),
            ("http://hunter2 proxy", false),
        ] {
            let cluster = Cluster { proxy_url: Some(proxy.to_owned()), ..Cluster::default() };
            let url = proxy_url(&cluster);
            assert_eq!(url.is_ok(), is_valid, "{proxy}");
            assert!(!url.is_err_and(|error| error.contains("hunter2")));
        }
    }
}
