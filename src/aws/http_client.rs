//! The HTTP client for AWS: the proxies of the environment and the CA bundle, as the AWS CLI reads them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use hyper_util::client::proxy::matcher::Intercept;

use super::credentials::{Files, NoCredentials, SharedConfig};
use crate::file_access;
use crate::net::{environment_proxy, proxy_variable};
use crate::tls::usable_certificates;

/// The client, and the error of a CA bundle that cannot be used.
pub(super) fn http_client(files: &Files, shared: &SharedConfig) -> (SharedHttpClient, Option<NoCredentials>) {
    let (context, problem) = match tls_context(files, shared) {
        Ok(context) => (context, None),
        Err(problem) => (TlsContext::default(), Some(problem)),
    };
    let client = |proxy: ProxyConfig| client(context.clone(), proxy);
    let proxied = |scheme| Some((scheme, named(scheme).map(|proxy| proxy.map(client))?));
    let proxied = ["http", "https"].into_iter().filter_map(proxied).collect();
    (
        SharedHttpClient::new(ByProxy {
            direct: client(ProxyConfig::disabled()),
            proxied: Arc::new(proxied),
        }),
        problem,
    )
}

fn client(context: TlsContext, proxy: ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder()
            .proxy_config(proxy.clone())
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(context.clone());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    })
}

/// `AWS_CA_BUNDLE`, else `ca_bundle` of the profile. It replaces the roots of the system.
fn tls_context(files: &Files, shared: &SharedConfig) -> Result<TlsContext, NoCredentials> {
    let variable =
        files.environment.get("AWS_CA_BUNDLE").map(|path| ("AWS_CA_BUNDLE".to_owned(), path.to_owned()));
    let of_profile = || {
        let path = shared.profile(&files.profile).remove("ca_bundle")?;
        Some((format!("ca_bundle of the AWS profile \"{}\"", files.profile), path))
    };
    let Some((name, path)) = variable.or_else(of_profile) else { return Ok(TlsContext::default()) };
    let path = files.environment.expand(&path);
    let unusable = |reason: String| NoCredentials {
        reason: format!("{name} is {}, which cannot be used: {reason}", path.display()),
        remedy: "name a PEM file with the certificates of the CAs".into(),
        login: None,
    };
    let store = trust_store(&path).map_err(&unusable)?;
    TlsContext::builder().with_trust_store(store).build().map_err(|error| unusable(error.to_string()))
}

/// The client panics over a certificate that rustls cannot use, so only the others pass.
fn trust_store(path: &Path) -> Result<TrustStore, String> {
    let text = file_access::read(path).map_err(|error| error.to_string())?;
    let certificates = usable_certificates(&text);
    if certificates.is_empty() {
        return Err("it has no certificate".into());
    }
    let store = TrustStore::empty().with_native_roots(false);
    Ok(certificates.iter().fold(store, |store, certificate| store.with_pem_certificate(pem(certificate))))
}

fn pem(certificate: &[u8]) -> String {
    let data = STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, letter) in data.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            text.push('\n');
        }
        text.push(letter);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

/// The proxy that the environment names for URLs with this scheme. The error is a sentence without the URL, which may
/// have a password.
fn named(scheme: &'static str) -> Option<Result<ProxyConfig, String>> {
    // No name of NO_PROXY matches it.
    let server = Uri::builder().scheme(scheme).authority("aws.invalid").path_and_query("/").build().ok()?;
    let name = if proxy_variable(&format!("{}_PROXY", scheme.to_ascii_uppercase())).is_empty() {
        "ALL_PROXY".to_owned()
    } else {
        format!("{}_PROXY", scheme.to_ascii_uppercase())
    };
    let value = proxy_variable(&name);
    if value.is_empty() {
        return None;
    }
    let refused = || format!("{name} is not the URL of an HTTP proxy; write http://HOST:PORT");
    Some(intercept(&server).ok_or_else(refused).and_then(|proxy| config(&proxy).ok_or_else(refused)))
}

fn intercept(server: &Uri) -> Option<Intercept> {
    environment_proxy(server, &proxy_variable("ALL_PROXY"))
}

fn config(proxy: &Intercept) -> Option<ProxyConfig> {
    let config = ProxyConfig::all(proxy.uri().clone()).ok()?;
    Some(match proxy.raw_auth() {
        Some((user, password)) => config.with_basic_auth(user, password),
        None => config,
    })
}

type Proxied<C> = (&'static str, Result<C, String>);

/// Chooses the proxy for each request.
struct ByProxy<C> {
    direct: C,
    /// By the scheme of the URL.
    proxied: Arc<Vec<Proxied<C>>>,
}

/// Without the clients, whose proxies may have a password.
impl<C> fmt::Debug for ByProxy<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = self.proxied.iter().map(|(scheme, _)| scheme);
        formatter.debug_set().entries(schemes).finish()
    }
}

impl HttpClient for ByProxy<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = |client: &SharedHttpClient| client.http_connector(settings, components);
        let proxied = self.proxied.iter();
        let proxied =
            proxied.map(|(scheme, client)| (*scheme, client.as_ref().map(connector).map_err(Clone::clone)));
        SharedHttpConnector::new(ByProxy {
            direct: connector(&self.direct),
            proxied: Arc::new(proxied.collect()),
        })
    }
}

impl HttpConnector for ByProxy<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let server: Uri = request.uri().parse().unwrap_or_default();
        let is_direct = is_excluded(&server);
        let proxied =
            self.proxied.iter().find(|(scheme, _)| !is_direct && server.scheme_str() == Some(scheme));
        match proxied {
            None => self.direct.call(request),
            Some((_, Ok(connector))) => connector.call(request),
            Some((_, Err(reason))) => {
                HttpConnectorFuture::ready(Err(ConnectorError::user(reason.clone().into())))
            }
        }
    }
}

/// Whether `NO_PROXY` excludes the server.
fn is_excluded(server: &Uri) -> bool {
    environment_proxy(server, "http://any.invalid").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_output_shows_the_proxy() {
        let client = ByProxy { direct: "hunter2", proxied: Arc::new(vec![("http", Ok("hunter2"))]) };
        assert_eq!(format!("{client:?}"), "{\"http\"}");
    }
}
