//! The signer of an IAM token.

/// The access key id in an IAM token, which is no secret. `None` where the password is no IAM token.
///
/// A token is a presigned URL whose `X-Amz-Credential` begins with the access key id:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>
pub(super) fn access_key_id(password: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(password).ok()?;
    let (_, query) = text.split_once('?')?;
    let is_token = query.split('&').any(|parameter| parameter == "Action=connect");
    let credential = query.split('&').find_map(|parameter| parameter.strip_prefix("X-Amz-Credential="))?;
    let end =
        credential.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(credential.len());
    let id = credential.get(..end)?;
    (is_token && !id.is_empty() && id.len() <= 128).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_access_key_id_of_a_token_only() {
        let token = b"db:5432/?Action=connect&DBUser=a&X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Fus-east-1&X-Amz-Date=x";
        assert_eq!(access_key_id(token).unwrap(), "AKIDEXAMPLE");
        assert_eq!(access_key_id(b"what?X-Amz-Credential=AKIDEXAMPLE"), None);
        assert_eq!(access_key_id(b"hunter2"), None);
        assert_eq!(access_key_id(b"?Action=connect&X-Amz-Credential=%2F"), None);
        assert_eq!(access_key_id(&[0xff, b'?']), None);
    }
}
