//! The errors for profiles that this program cannot use.

use super::*;
use crate::aws::credentials::NoCredentials;
use crate::catalog::MintError;

const ROLE: &str = "arn:aws:iam::111122223333:role/dba";

/// Reason and remedy for a profile `work` with these lines. STS refuses every role.
async fn error_of(lines: &str) -> (String, String) {
    let text = "User: arn:aws:iam::111122223333:user/a is not authorized to perform: sts:AssumeRole";
    error_after("AccessDenied", text, lines).await
}

/// The same where STS answers with this code and text.
async fn error_after(code: &str, text: &str, lines: &str) -> (String, String) {
    let refusal = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>"
    );
    let fake_aws = FakeAws::start(move |_| (403, refusal.clone())).await;
    let config = format!("[profile work]\n{lines}\n[profile base]\nregion = us-east-1\n");
    let keys = "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = sEcReT\n";
    let home = home(&[(".aws/config", &config), (".aws/credentials", keys)]);
    let variables = [("AWS_PROFILE", "work"), ("AWS_ENDPOINT_URL", fake_aws.url())];
    Proxy::start(home.path(), &variables).error()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_role_is_named_and_the_remedy_is_not_about_keys() {
    let (reason, remedy) = error_of(&format!("role_arn = {ROLE}\nsource_profile = base")).await;
    assert!(
        reason.starts_with(&format!("AWS does not let the profile \"base\" assume the role {ROLE}")),
        "{reason}"
    );
    assert!(reason.contains("is not authorized to perform: sts:AssumeRole"), "{reason}");
    assert!(remedy.contains("trust policy") && remedy.contains("sts:AssumeRole"), "{remedy}");
    assert!(!remedy.contains("keys"), "{remedy}");
}

/// The text of AWS (STS API Reference, `AssumeRole`, errors).
#[tokio::test(flavor = "multi_thread")]
async fn a_region_without_sts_is_not_about_keys() {
    let text = "STS is not activated in this region for account:111122223333.";
    let lines = format!("role_arn = {ROLE}\nsource_profile = base");
    let (reason, remedy) = error_after("RegionDisabledException", text, &lines).await;
    let named = "AWS STS is not activated for the account in the region of this process: ";
    assert!(reason.starts_with(named) && reason.contains(text), "{reason}");
    assert_eq!(
        remedy,
        "enable the region for the account, or name another one in AWS_REGION or in the profile"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_with_a_second_factor_gets_a_remedy() {
    let serial = "mfa_serial = arn:aws:iam::111122223333:mfa/a";
    let (reason, remedy) = error_of(&format!("role_arn = {ROLE}\nsource_profile = base\n{serial}")).await;
    let expected = format!(
        "the profile \"work\" needs a code of a second factor (`mfa_serial`) for the role {ROLE}, and this program \
         prompts for it only in a client on a terminal"
    );
    assert_eq!(reason, expected);
    let process = "`credential_process = aws configure export-credentials --profile work --format process`";
    assert!(remedy.contains(process) && remedy.contains("aws sso login"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_aws_login_cannot_be_used() {
    let (reason, remedy) = error_of("login_session = arn:aws:iam::111122223333:user/a").await;
    assert_eq!(reason, "the profile \"work\" is a session of `aws login`, which this program cannot use");
    let process = "`credential_process = aws configure export-credentials --profile work --format process`";
    assert!(remedy.contains(process) && remedy.contains("aws sso login"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_denied_from_a_process_is_not_a_refused_role() {
    let source = "[profile source]\ncredential_process = echo AccessDenied >&2; exit 1";
    let (reason, remedy) = error_of(&format!("role_arn = {ROLE}\nsource_profile = source\n{source}")).await;
    assert!(
        reason.starts_with("the AWS credentials of the profile \"source\" could not be loaded"),
        "{reason}"
    );
    assert!(remedy.contains("credential_process"), "{remedy}");
}

/// An error quotes the credential source, but not a secret in it, even if the source is malformed.
#[test]
fn no_error_about_credentials_shows_them() {
    let key = "\"Version\": 1, \"AccessKeyId\": \"AKID\"";
    let answers = [
        format!("{{{key}, \"SecretAccessKey\": \"hunter2"),
        format!("{{{key}, \"SecretAccessKey\": hunter2}}"),
        format!("{{{key}, \"SecretAccessKey\": \"hunter2\\q\"}}"),
        format!("{{{key}, \"SecretAccessKey\": \"hunter2\", \"Expiration\": \"hunter2\"}}"),
        "{\"Version\": 2, \"SecretAccessKey\": \"hunter2\"}".to_owned(),
        "hunter2".to_owned(),
    ];
    for answer in &answers {
        let home = home(&[("answer", answer)]);
        let process =
            format!("[default]\ncredential_process = {PRINT} {}\n", home.path().join("answer").display());
        write(home.path(), ".aws/config", &process);
        expect_no_secret(home.path(), answer);
    }
    for keys in [
        "[default]\naws_access_key_id = AKID\naws_secret_access_key hunter2\n",
        "[default\naws_access_key_id = AKID\naws_secret_access_key = hunter2\n",
        "aws_secret_access_key = hunter2\n",
        "[default]\naws_secret_access_key = hunter2\n",
    ] {
        expect_no_secret(home(&[(".aws/credentials", keys)]).path(), keys);
    }
}

fn expect_no_secret(home: &Path, cause: &str) {
    let (reason, remedy) = Proxy::start(home, &[]).error();
    let error = NoCredentials { reason, remedy, login: None };
    let shown = format!("{error:?} {error:#?} {:?}", MintError::from(error.clone()));
    assert!(shown.contains("NoCredentials {") && shown.contains("MintError {"), "{shown}");
    assert!(!shown.contains("hunter2"), "{cause}: {shown}");
}
