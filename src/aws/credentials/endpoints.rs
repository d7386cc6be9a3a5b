//! Endpoints that variables and profiles name.

use http::Uri;

use super::files::Files;
use super::no_credentials::NoCredentials;
use super::shared_config::SharedConfig;

/// The first endpoint that is no URL. The SDK would take the host for the scheme.
pub(in crate::aws) fn unusable_endpoint(files: &Files, shared: &SharedConfig) -> Option<NoCredentials> {
    let variables = &files.environment;
    if variables
        .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return None;
    }
    let named = variables.endpoints().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let profile = &files.profile;
    let of_profile =
        shared.profile(profile).remove("endpoint_url").into_iter().chain(shared.service_endpoints(profile));
    let of_profile =
        of_profile.map(|value| (format!("endpoint_url of the AWS profile \"{profile}\""), value));
    let (name, value) = named.chain(of_profile).find(|(_, value)| !is_url(value))?;
    Some(NoCredentials {
        reason: format!("{name} is \"{value}\", which is not a URL"),
        remedy: "write http://HOST:PORT or https://HOST:PORT".into(),
        login: None,
    })
}

fn is_url(text: &str) -> bool {
    let url = text.parse::<Uri>().ok();
    url.is_some_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_scheme_is_named() {
        let problem = |name: &str, value: &str| {
            let variables = [(name, value)].into_iter().collect();
            unusable_endpoint(&Files::named_by(variables), &SharedConfig::default())
                .map(|problem| problem.to_string())
        };
        for value in ["localhost:4566", "rds.example.com", "ftp://a", "http://", "http:///a", "http:a", "a b"]
        {
            let text = problem("AWS_ENDPOINT_URL_RDS", value).unwrap();
            let expected = format!(
                "AWS_ENDPOINT_URL_RDS is \"{value}\", which is not a URL; write http://HOST:PORT or https://HOST:PORT"
            );
            assert_eq!(text, expected);
        }
        for value in ["", "http://localhost:4566", "https://a/b", "HTTPS://a", "http://[::1]:1"] {
            assert_eq!(problem("AWS_ENDPOINT_URL", value), None, "{value}");
        }
    }
}
