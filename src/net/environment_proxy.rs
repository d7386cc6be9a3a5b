//! The HTTP proxy that the environment names for a server.

use std::env;

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// The proxy for the server: that of `HTTPS_PROXY` or `HTTP_PROXY`, else `fallback` (the value of `ALL_PROXY` for programs
/// that read it). `None` if there is none, or if `NO_PROXY` excludes the server. Each variable may be in lower case. An
/// empty one counts as unset.
#[must_use]
pub fn environment_proxy(server: &Uri, fallback: &str) -> Option<Intercept> {
    let port = server.port_u16().or_else(|| match server.scheme_str() {
        Some("http") => Some(80),
        _ => Some(443),
    });
    let matcher = Matcher::builder()
        .all(fallback.to_owned())
        .https(proxy_variable("HTTPS_PROXY"))
        .http(proxy_variable("HTTP_PROXY"))
        .no(excluded(&proxy_variable("NO_PROXY"), port))
        .build();
    matcher.intercept(server)
}

/// The value of a variable about proxies, of that name or of the same in lower case; empty if neither is set.
#[must_use]
pub fn proxy_variable(name: &str) -> String {
    let set = |name: String| env::var(name).ok().filter(|value| !value.trim().is_empty());
    set(name.to_owned()).or_else(|| set(name.to_ascii_lowercase())).unwrap_or_default().trim().to_owned()
}

/// The hosts of the list that count for a server on this port. `HOST:PORT` counts for that port alone, as in Go
/// (`golang.org/x/net/http/httpproxy`) and curl.
fn excluded(list: &str, port: Option<u16>) -> String {
    let hosts = list.split(',').map(str::trim).filter_map(|entry| match entry.rsplit_once(':') {
        // An IPv6 address has more than one colon, or brackets around it.
        Some((host, own)) if (!host.contains(':') || host.ends_with(']')) && own.parse::<u16>().is_ok() => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (own.parse().ok() == port).then_some(host)
        }
        _ => Some(entry.trim_start_matches('[').trim_end_matches(']')),
    });
    hosts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_a_port_counts_for_that_port() {
        let list = "a.example.com:443, .b.example.com,10.0.0.0/8,[::1]:443,[::2],fd00::1,*:8080";
        assert_eq!(excluded(list, Some(443)), "a.example.com,.b.example.com,10.0.0.0/8,::1,::2,fd00::1");
        assert_eq!(excluded(list, Some(8080)), ".b.example.com,10.0.0.0/8,::2,fd00::1,*");
        assert_eq!(excluded("", Some(1)), "");
    }
}
