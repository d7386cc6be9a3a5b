//! How TLS towards a server begins.

use std::str::FromStr;

/// libpq's `sslnegotiation` (PostgreSQL manual, "SSL Session Encryption").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Negotiation {
    /// With an SSLRequest, which every PostgreSQL answers.
    #[default]
    Postgres,
    /// With a TLS handshake at once, which PostgreSQL accepts since version 17. It saves a round trip, and is the TLS that load
    /// balancers know.
    Direct,
}

impl FromStr for Negotiation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "postgres" => Ok(Self::Postgres),
            "direct" => Ok(Self::Direct),
            _ => Err(()),
        }
    }
}
