//! The password methods of PostgreSQL, for the side that has the password.

use std::ops::RangeInclusive;

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use zeroize::Zeroizing;

use super::Failure;
use super::connect::HopStream;
use crate::net::Framed;
use crate::secret::Secret;
use crate::tls::server_end_point;
use crate::wire::{
    Authentication, EncodeError, encode_password, encode_sasl_initial_response, encode_sasl_response,
};

/// The PBKDF2 rounds that are computed for a server. The default of PostgreSQL is 4,096 (`scram_iterations`), the least that
/// RFC 7677 section 4 allows. A hostile server could demand one round, to guess the password from the answer, or hours of
/// work.
const ROUNDS: RangeInclusive<u32> = 4096..=1_000_000;

/// Why there is no channel binding at a database, and no login without it.
const NO_HASH: &str = "its certificate has no hash for channel binding, and TLS does not verify it; set ssl.mode to verify-full";

/// The same at another half.
const NO_PASSAGE: &str =
    "channel binding cannot pass it, and TLS does not verify its certificate; set ssl.mode to verify-full";

/// A login in progress.
pub(super) struct Exchange<'a> {
    password: &'a Secret,
    user: &'a [u8],
    hop: &'a str,
    scram: Option<ScramSha256>,
    /// The server has proved that it knows the password too, as SCRAM demands.
    proved: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(password: &'a Secret, user: &'a [u8], hop: &'a str) -> Self {
        Self { password, user, hop, scram: None, proved: false }
    }

    /// Writes the answer to one request of the hop into its buffer. Returns whether there is something to send.
    pub(super) async fn answer(
        &mut self,
        request: &Authentication<'_>,
        hop: &mut HopStream,
    ) -> Result<bool, Failure> {
        let password = self.password.expose();
        match request {
            Authentication::Ok if self.scram.is_some() && !self.proved => {
                return Err(self.failed("it let us in without proving that it knows the password"));
            }
            Authentication::Ok => return Ok(false),
            Authentication::CleartextPassword => encode_password(password, hop.framed.out()),
            Authentication::Md5Password { salt } => {
                let hash = Zeroizing::new(md5_hash(self.user, password, *salt));
                encode_password(hash.as_bytes(), hop.framed.out())
            }
            Authentication::Sasl { mechanisms } => self.choose(mechanisms, hop)?,
            Authentication::SaslContinue(data) => self.continue_scram(data, &mut hop.framed).await?,
            Authentication::SaslFinal(data) => {
                let Some(scram) = &mut self.scram else { return Err(self.no_exchange()) };
                let finished = scram.finish(data);
                finished.map_err(|error| self.failed(&error.to_string()))?;
                self.proved = true;
                return Ok(false);
            }
            Authentication::Other { code, .. } => {
                return Err(Failure::UnsupportedMethod(self.hop.to_owned(), *code));
            }
        }
        .map_err(Failure::Password)?;
        Ok(true)
    }

    /// Chooses the mechanism and its channel binding (RFC 5802 section 6). The flag `y` shows a server that has -PLUS that its
    /// offer was shortened on the way. Another half relays the exchange to a database that has a different TLS session.
    fn choose(
        &mut self,
        mechanisms: &[&str],
        hop: &mut HopStream,
    ) -> Result<Result<(), EncodeError>, Failure> {
        let stream = hop.framed.stream();
        let is_tls = stream.is_tls();
        let binding = if hop.is_database { server_end_point(stream) } else { None };
        let has = |name| mechanisms.contains(&name);
        let (mechanism, binding) = match binding {
            Some(hash) if has(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            // A man in the middle could present such a certificate to switch the binding off.
            None if is_tls && has(SCRAM_SHA_256_PLUS) && !hop.trusted => {
                return Err(self.failed(if hop.is_database { NO_HASH } else { NO_PASSAGE }));
            }
            None if has(SCRAM_SHA_256) && (!is_tls || has(SCRAM_SHA_256_PLUS)) => {
                (SCRAM_SHA_256, ChannelBinding::unsupported())
            }
            _ if has(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            _ => {
                let offered = mechanisms.join(", ");
                return Err(Failure::UnsupportedSasl { hop: self.hop.to_owned(), offered });
            }
        };
        let scram = ScramSha256::new(self.password.expose(), binding);
        let encoded = encode_sasl_initial_response(mechanism, scram.message(), hop.framed.out());
        self.scram = Some(scram);
        Ok(encoded)
    }

    async fn continue_scram(
        &mut self,
        data: &[u8],
        hop: &mut Framed,
    ) -> Result<Result<(), EncodeError>, Failure> {
        let mut scram = self.scram.take().ok_or_else(|| self.no_exchange())?;
        if !rounds(data).is_some_and(|rounds| ROUNDS.contains(&rounds)) {
            return Err(self.failed("it demands fewer than 4,096 or more than 1,000,000 iterations"));
        }
        let data = data.to_vec();
        // Thousands of hash rounds would block the other sessions of this thread.
        let computed = tokio::task::spawn_blocking(move || scram.update(&data).map(|()| scram)).await;
        let scram = match computed {
            Ok(Ok(scram)) => scram,
            Ok(Err(error)) => return Err(self.failed(&error.to_string())),
            Err(_) => return Err(self.failed("its SCRAM message could not be handled")),
        };
        let encoded = encode_sasl_response(scram.message(), hop.out());
        self.scram = Some(scram);
        Ok(encoded)
    }

    fn no_exchange(&self) -> Failure {
        self.failed("it continued an exchange that never began")
    }

    fn failed(&self, reason: &str) -> Failure {
        Failure::Scram { hop: self.hop.to_owned(), reason: reason.to_owned() }
    }
}

/// The iteration count `i=` of a server-first-message (RFC 5802 section 7).
fn rounds(message: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(message).ok()?;
    text.split(',').find_map(|attribute| attribute.strip_prefix("i="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_iteration_count_is_read_from_its_attribute() {
        assert_eq!(rounds(b"r=abc,s=c2FsdA==,i=4096"), Some(4096));
        assert_eq!(rounds(b"r=i=1,s=c2FsdA==,i=4294967295"), Some(u32::MAX));
        assert_eq!(rounds(b"r=abc,s=c2FsdA=="), None);
        assert_eq!(rounds(b"i=99999999999"), None);
        assert_eq!(rounds(&[0xff, 0xfe]), None);
    }
}
