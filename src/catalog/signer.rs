//! The AWS identity that signed an IAM token.

use std::fmt;

/// The signer of a token, as far as it is known. Neither part is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The access key id, which the token has.
    pub access_key_id: String,
    /// The ARN of its owner; absent until AWS has returned it, and in a server.
    pub arn: Option<String>,
}

impl Signer {
    /// Its name in the log: the ARN, else the access key id.
    #[must_use]
    pub fn name(&self) -> &str {
        self.arn.as_deref().unwrap_or(&self.access_key_id)
    }

    /// The sentences of the other half of the proxy, with all that is known here about the signer. Absent if they name another
    /// signer, or none.
    #[must_use]
    pub fn complete(&self, sentences: &str) -> Option<String> {
        let Self { access_key_id, arn } = self;
        if arn.as_ref().is_some_and(|arn| sentences.contains(arn)) {
            return Some(sentences.to_owned());
        }
        let phrase = format!("the AWS identity with the access key {access_key_id}");
        sentences.contains(&phrase).then(|| sentences.replacen(&phrase, &self.to_string(), 1))
    }
}

/// For the middle of a sentence.
impl fmt::Display for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_key_id, arn } = self;
        match arn {
            Some(arn) => write!(formatter, "the AWS identity {arn} (access key {access_key_id})"),
            None => write!(formatter, "the AWS identity with the access key {access_key_id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_knows_is_completed_in_its_place() {
        let server = Signer { access_key_id: "AKIDEXAMPLE".into(), arn: None };
        let arn = "arn:aws:iam::123456789012:user/alice";
        let client = Signer { arn: Some(arn.into()), ..server.clone() };
        let whole = format!("the AWS identity {arn} (access key AKIDEXAMPLE)");
        assert_eq!((client.to_string(), client.name()), (whole.clone(), arn));
        assert_eq!(client.complete(&format!("x, {server}.")), Some(format!("x, {whole}.")));
        assert_eq!(server.complete(&format!("x, {server}.")), Some(format!("x, {server}.")));
        assert_eq!(client.complete(&format!("x, {whole}.")), Some(format!("x, {whole}.")));
        assert_eq!(client.complete("x, the AWS identity AKIDOTHER."), None);
    }
}
