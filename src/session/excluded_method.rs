//! A login method that a hop may not use.

/// The hop uses a login method that `require_auth` or its default excludes.
#[derive(Debug, thiserror::Error)]
#[error("{hop} uses the login method {method}, which {}", self.excluded())]
pub struct ExcludedMethod {
    /// The name of the hop.
    pub hop: String,
    /// The method's name in `require_auth`.
    pub method: &'static str,
    /// The configuration key.
    pub key: String,
    /// The default for unverified TLS excludes it, not the configuration.
    pub unverified: bool,
    /// Why there is no token for the login, where that is the cause.
    pub no_token: Option<String>,
}

impl ExcludedMethod {
    fn excluded(&self) -> String {
        let by_default = "is not allowed where TLS does not verify its certificate";
        if self.unverified { by_default.to_owned() } else { format!("{} excludes", self.key) }
    }

    /// What to do, if the text does not say it.
    pub(super) fn hint(&self) -> Option<String> {
        let Self { method, key, unverified, no_token, .. } = self;
        let allow = format!(
            "Set ssl.mode to verify-full, with a root_certificate if its CA is not public, or allow the method with {key}: \
             {method}."
        );
        let sentences: Vec<_> = no_token.iter().cloned().chain(unverified.then_some(allow)).collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}
