//! Profiles that cannot work here, and what their owners are told.

use super::*;
use crate::catalog::MintError;

const ROLE: &str = "arn:aws:iam::111122223333:role/dba";

/// A process whose profile `work` has these lines; STS refuses it every role.
async fn told(lines: &str) -> (String, String) {
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: \
                   arn:aws:iam::111122223333:user/a is not authorized to perform: sts:AssumeRole</Message></Error>\
                   </ErrorResponse>";
    let stand_in = StandIn::start(|_| (403, refusal.into())).await;
    let config = format!("[profile work]\n{lines}\n[profile base]\nregion = us-east-1\n");
    let keys = "[base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = sEcReT\n";
    let home = home(&[(".aws/config", &config), (".aws/credentials", keys)]);
    let variables = [("AWS_PROFILE", "work"), ("AWS_ENDPOINT_URL", stand_in.url())];
    Proxy::start(home.path(), &variables).fault()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_refused_is_named_and_no_keys_are_blamed() {
    let (reason, remedy) = told(&format!("role_arn = {ROLE}\nsource_profile = base")).await;
    assert!(
        reason.starts_with(&format!("AWS does not let the profile \"base\" assume the role {ROLE}")),
        "{reason}"
    );
    assert!(reason.contains("is not authorized to perform: sts:AssumeRole"), "{reason}");
    assert!(remedy.contains("trust policy") && remedy.contains("sts:AssumeRole"), "{remedy}");
    assert!(!remedy.contains("keys"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_cannot_be_asked_for() {
    let serial = "mfa_serial = arn:aws:iam::111122223333:mfa/a";
    let (reason, remedy) = told(&format!("role_arn = {ROLE}\nsource_profile = base\n{serial}")).await;
    let expected = format!(
        "the profile \"work\" needs a code of a second factor (`mfa_serial`) for the role {ROLE}, and this program \
         cannot ask for one"
    );
    assert_eq!(reason, expected);
    let process = "`credential_process = aws configure export-credentials --profile work --format process`";
    assert!(remedy.contains(process) && remedy.contains("aws sso login"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_aws_login_cannot_be_used() {
    let (reason, remedy) = told("login_session = arn:aws:iam::111122223333:user/a").await;
    assert_eq!(reason, "this program cannot use sessions of `aws login`, and the profile \"work\" is one");
    let process = "`credential_process = aws configure export-credentials --profile work --format process`";
    assert!(remedy.contains(process) && remedy.contains("aws sso login"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_denied_something_is_no_refused_role() {
    let source = "[profile source]\ncredential_process = echo AccessDenied >&2; exit 1";
    let (reason, remedy) = told(&format!("role_arn = {ROLE}\nsource_profile = source\n{source}")).await;
    assert!(
        reason.starts_with("the AWS credentials of the profile \"source\" could not be loaded"),
        "{reason}"
    );
    assert!(remedy.contains("credential_process"), "{remedy}");
}

/// What a credential source says of itself is passed on. Where it holds a secret in a form that cannot be read, the
/// secret is not.
#[test]
fn no_fault_of_the_credentials_shows_them() {
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
    let (reason, remedy) = Proxy::start(home, &[]).fault();
    let fault = credentials::CredentialsFault { reason, remedy };
    let shown = format!("{fault:?} {fault:#?} {:?}", MintError::from(fault.clone()));
    assert!(shown.contains("CredentialsFault {") && shown.contains("MintError {"), "{shown}");
    assert!(!shown.contains("hunter2"), "{cause}: {shown}");
}
