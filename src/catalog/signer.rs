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

    /// The name of its AWS session, or of the IAM user; absent for another identity, and where the ARN is. An ARN ends in
    /// `assumed-role/ROLE/SESSION`, `user/PATH/NAME` or `federated-user/NAME` (IAM User Guide, "IAM identifiers").
    #[must_use]
    pub fn session_name(&self) -> Option<&str> {
        let resource = self.arn.as_deref()?.rsplit(':').next()?;
        let (kind, path) = resource.split_once('/')?;
        let name = match kind {
            "assumed-role" => path.split_once('/')?.1,
            "user" | "federated-user" => path.rsplit('/').next()?,
            _ => return None,
        };
        (!name.is_empty()).then_some(name)
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
    fn the_name_of_a_session_is_the_end_of_its_arn() {
        for (arn, expected) in [
            ("arn:aws:sts::123456789012:assumed-role/dba/alice@example.com", Some("alice@example.com")),
            ("arn:aws-cn:sts::123456789012:assumed-role/AWSReservedSSO_dba_0123456789abcdef/a", Some("a")),
            ("arn:aws:iam::123456789012:user/alice", Some("alice")),
            ("arn:aws:iam::123456789012:user/division/team/alice", Some("alice")),
            ("arn:aws:sts::123456789012:federated-user/alice", Some("alice")),
            ("arn:aws:iam::123456789012:root", None),
            ("arn:aws:iam::123456789012:role/dba", None),
            ("arn:aws:sts::123456789012:assumed-role/dba", None),
            ("arn:aws:iam::123456789012:user/", None),
            ("arn", None),
        ] {
            let signer = Signer { access_key_id: "AKID".into(), arn: Some(arn.into()) };
            assert_eq!(signer.session_name(), expected, "{arn}");
        }
        assert_eq!(Signer { access_key_id: "AKID".into(), arn: None }.session_name(), None);
    }

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
