//! When credentials are renewed.

use std::time::Duration;

/// The times of `credentials` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Credentials are renewed so long before they expire.
    pub refresh_buffer: Duration,
    /// The longest pause between two attempts that fail.
    pub retry_delay: Duration,
    /// How long one attempt may take, and how long a request waits for the first credentials.
    pub request_timeout: Duration,
}

impl Default for Timing {
    /// The defaults of CredProxy.
    fn default() -> Self {
        Self {
            refresh_buffer: Duration::from_mins(5),
            retry_delay: Duration::from_mins(1),
            request_timeout: Duration::from_secs(30),
        }
    }
}
