//! The password methods of PostgreSQL, for the side that has the password.

use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use zeroize::Zeroizing;

use super::Failure;
use crate::net::Framed;
use crate::secret::Secret;
use crate::tls::server_end_point;
use crate::wire::{
    Authentication, EncodeError, encode_password, encode_sasl_initial_response, encode_sasl_response,
};

/// The most PBKDF2 rounds that are computed for a server. The default of PostgreSQL is 4,096 (`scram_iterations`); a
/// hostile server could demand hours of work.
const MAX_ROUNDS: u32 = 1_000_000;

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
        hop: &mut Framed,
    ) -> Result<bool, Failure> {
        let password = self.password.expose();
        match request {
            Authentication::Ok if self.scram.is_some() && !self.proved => {
                return Err(self.failed("it let us in without proving that it knows the password"));
            }
            Authentication::Ok => return Ok(false),
            Authentication::CleartextPassword => encode_password(password, hop.out()),
            Authentication::Md5Password { salt } => {
                let hash = Zeroizing::new(md5_hash(self.user, password, *salt));
                encode_password(hash.as_bytes(), hop.out())
            }
            Authentication::Sasl { mechanisms } => self.choose(mechanisms, hop)?,
            Authentication::SaslContinue(data) => self.continue_scram(data, hop).await?,
            Authentication::SaslFinal(data) => {
                let scram = self.scram.as_mut().ok_or(Failure::UnaskedSasl { hop: self.hop.to_owned() })?;
                let finished = scram.finish(data);
                finished.map_err(|error| self.failed(&error.to_string()))?;
                self.proved = true;
                return Ok(false);
            }
            Authentication::Other { code, .. } => {
                return Err(Failure::UnsupportedMethod { hop: self.hop.to_owned(), code: *code });
            }
        }
        .map_err(|source| Failure::Password { source })?;
        Ok(true)
    }

    fn choose(&mut self, mechanisms: &[&str], hop: &mut Framed) -> Result<Result<(), EncodeError>, Failure> {
        let binding = server_end_point(hop.stream());
        let has = |name| mechanisms.contains(&name);
        let (mechanism, binding) = match binding {
            Some(hash) if has(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash))
            }
            // Shows a server that has -PLUS that its offer was shortened on the way.
            Some(_) if has(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if has(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => {
                let offered = mechanisms.join(", ");
                return Err(Failure::UnsupportedSasl { hop: self.hop.to_owned(), offered });
            }
        };
        let scram = ScramSha256::new(self.password.expose(), binding);
        let encoded = encode_sasl_initial_response(mechanism, scram.message(), hop.out());
        self.scram = Some(scram);
        Ok(encoded)
    }

    async fn continue_scram(
        &mut self,
        data: &[u8],
        hop: &mut Framed,
    ) -> Result<Result<(), EncodeError>, Failure> {
        let mut scram = self.scram.take().ok_or(Failure::UnaskedSasl { hop: self.hop.to_owned() })?;
        if rounds(data).is_none_or(|rounds| rounds > MAX_ROUNDS) {
            return Err(self.failed("it asks for an unreasonable number of SCRAM iterations"));
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
