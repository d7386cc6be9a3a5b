//! How requests end, for the log and the metrics.

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It got credentials.
    Served,
    /// It had no token.
    NoToken,
    /// No service has its token.
    WrongToken,
    /// There are no credentials.
    Unavailable,
}

impl Outcome {
    /// The word in the log; the label `result` of `credproxy_requests_total` too.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Served => "success",
            Self::NoToken => "denied_missing_token",
            Self::WrongToken => "denied_invalid_token",
            Self::Unavailable => "error",
        }
    }
}
