//! The HTTP client for an API server: sockets, proxies, TLS, credentials.

use std::future::Future;
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::{Client, Config, Error};
use tokio::net::TcpStream;
use tower::util::{MapResponse, option_layer};
use tower::{BoxError, Layer, Service, ServiceExt};

use crate::net::{Tcp, environment_proxy};
use crate::tls::install_provider;

/// For the TCP connection to one address of the API server or of the proxy before it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// For an idle connection in the pool: the spare one for the next websocket. API servers close theirs after 90 s. A laptop that
/// has changed its network may find a dead one once, and tries again on another.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Builds the client. Blocks: it reads certificate files and runs the credential plugin, if the kubeconfig has one.
pub(super) fn client(config: Config, proxy: Option<&str>) -> Result<Client, Error> {
    install_provider();
    match proxy_for(&config.cluster_url, proxy) {
        None => assemble(config, tcp_connector()),
        Some(proxy) if is_socks(&proxy) => {
            let mut socks = SocksV5::new(proxy.uri().clone(), tcp_connector());
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            assemble(config, socks)
        }
        Some(proxy) if proxy.uri().scheme_str() == Some("https") => {
            let secured = config.rustls_https_connector_with_connector(tcp_connector())?;
            assemble(config, authenticated(&proxy, Tunnel::new(proxy.uri().clone(), secured)))
        }
        Some(proxy) => {
            assemble(config, authenticated(&proxy, Tunnel::new(proxy.uri().clone(), tcp_connector())))
        }
    }
}

/// The proxy for this server: the one of the kubeconfig, else the one of the environment. Like kubectl, it does not use
/// the latter for a cluster on this machine.
fn proxy_for(server: &Uri, proxy: Option<&str>) -> Option<Intercept> {
    if let Some(proxy) = proxy {
        return Matcher::builder().all(proxy.to_owned()).build().intercept(server);
    }
    if server.host().is_none_or(is_local) {
        return None;
    }
    environment_proxy(server, "")
}

/// Whether `host` is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_socks(proxy: &Intercept) -> bool {
    proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks5"))
}

fn authenticated<C>(proxy: &Intercept, tunnel: Tunnel<C>) -> Tunnel<C> {
    match proxy.basic_auth() {
        Some(value) => tunnel.with_auth(value.clone()),
        None => tunnel,
    }
}

/// Opens TCP connections with the socket options of [`Tcp`].
type TcpConnector = MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> TokioIo<Tcp>>;

fn tcp_connector() -> TcpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.map_response(|stream| TokioIo::new(Tcp::new(stream.into_inner())))
}

impl Connection for Tcp {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

fn assemble<C>(mut config: Config, connector: C) -> Result<Client, Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Future<Output = Result<C::Response, C::Error>> + Send + 'static,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    let credentials = config.auth_layer()?;
    if credentials.is_some() {
        // The plugin gave a token and not a certificate. Without this, the TLS configuration would run it again.
        config.auth_info.exec = None;
    }
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .pool_max_idle_per_host(2)
        .build::<_, Body>(connector);
    let service = config.extra_headers_layer()?.layer(client.map_err(BoxError::from));
    let service = option_layer(credentials).layer(service);
    let service = config.base_uri_layer().layer(service);
    Ok(Client::new(service, config.default_namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn connections_have_the_socket_options_of_all_others() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let connected = tcp_connector().oneshot(address).await.unwrap();
        let socket = socket2::SockRef::from(connected.inner().stream());
        assert!(socket.tcp_user_timeout().unwrap().is_some() && socket.keepalive().unwrap());
    }

    fn through(server: &str, proxy: Option<&str>) -> Option<String> {
        proxy_for(&server.parse().unwrap(), proxy).map(|found| found.uri().to_string())
    }

    #[test]
    fn the_proxy_of_the_kubeconfig_applies_to_every_server() {
        let proxy = Some("http://proxy.example.com:3128");
        assert_eq!(
            through("https://127.0.0.1:6443", proxy).as_deref(),
            Some("http://proxy.example.com:3128/")
        );
        assert_eq!(
            through("https://k.example.com", proxy).as_deref(),
            Some("http://proxy.example.com:3128/")
        );
    }

    #[test]
    fn loopback_hosts_are_local() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        assert!(!is_local("10.0.0.1") && !is_local("localhost.example.com"));
    }

    #[test]
    fn the_address_of_a_proxy_does_not_contain_its_credentials() {
        let server = "https://k.example.com".parse().unwrap();
        let found = proxy_for(&server, Some("http://user:pa%40ss@proxy.example.com:3128")).unwrap();
        assert!(!found.uri().to_string().contains("pa"), "{}", found.uri());
        assert!(found.basic_auth().is_some());
        assert!(is_socks(&proxy_for(&server, Some("socks5://127.0.0.1:1080")).unwrap()));
    }
}
