//! Tokens of services: how hard they are to guess, and new ones.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// CredProxy's documentation asks for at least so many characters.
const MIN_LENGTH: usize = 32;

/// Fewer bits than a random UUID has are few.
const MIN_ENTROPY_BITS: f64 = 80.0;

/// The bytes of a new token: 256 bits.
const NEW_TOKEN_BYTES: usize = 32;

/// A remark on a token that may be guessed.
pub(super) fn remark(token: &[u8]) -> Option<&'static str> {
    if token.len() < MIN_LENGTH {
        return Some(
            "this token is shorter than 32 characters; `rds-auth-proxy credentials new-token` prints a good one",
        );
    }
    (entropy_bits(token) < MIN_ENTROPY_BITS).then_some(
        "this token repeats a few characters and may be guessed; `rds-auth-proxy credentials new-token` prints a good one",
    )
}

/// A new token of 43 letters, digits, `-` and `_`.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_token() -> Result<Zeroizing<String>, &'static str> {
    let mut bytes = Zeroizing::new([0; NEW_TOKEN_BYTES]);
    rand::fill(&mut *bytes).map_err(|_| "the system gives no random bytes")?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// The entropy of the text by the frequencies of its characters (Shannon), in bits: an upper bound for what an
/// attacker has to guess.
fn entropy_bits(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let bits = |count: &u32| f64::from(*count) * (length / f64::from(*count)).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_tokens_are_good_and_differ() {
        let [one, other] = [new_token().unwrap(), new_token().unwrap()];
        assert_ne!(*one, *other);
        assert_eq!(one.len(), 43);
        assert_eq!(remark(one.as_bytes()), None);
    }

    #[test]
    fn short_and_repetitive_tokens_are_reported() {
        assert!(remark(b"secure-token-2025").unwrap().contains("shorter than 32"));
        assert!(remark(&[b'a'; 64]).unwrap().contains("repeats"));
        assert!(remark(&b"abab".repeat(12)).unwrap().contains("repeats"));
        assert_eq!(remark(b"0123456789abcdef0123456789abcdef"), None);
    }
}
