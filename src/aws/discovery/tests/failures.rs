//! Calls that fail.

use super::*;

async fn reason_of(respond: impl Fn(&Call) -> Response + Send + Sync + 'static) -> String {
    let fake_aws = FakeAws::start(respond).await;
    let error = discover(&fake_aws, &[]).await.0.unwrap_err();
    assert_eq!(error.region, "us-east-1");
    error.reason
}

#[tokio::test]
async fn a_failure_on_the_second_page_discards_the_first() {
    let reason = reason_of(|call| match (call.action(), call.parameter("Marker")) {
        ("DescribeDBInstances", "") => response(call.action(), "DBInstances", &instance(&PLAIN), "2"),
        ("DescribeDBInstances", _) => failure(500, "InternalFailure", "sorry"),
        _ => account(call, "", "", ""),
    })
    .await;
    assert_eq!(reason, "rds:DescribeDBInstances failed with InternalFailure: sorry");
}

#[tokio::test]
async fn a_response_truncated_anywhere_is_rejected() {
    let (_, complete) = response("DescribeDBInstances", "DBInstances", &instance(&PLAIN), "");
    let lengths = (0..complete.len()).step_by(7).chain([complete.len() - 1]);
    let shared_length = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let length = Arc::clone(&shared_length);
    let fake_aws = FakeAws::start(move |call| match call.action() {
        "DescribeDBInstances" => {
            let (_, complete) = response(call.action(), "DBInstances", &instance(&PLAIN), "");
            (200, complete[..length.load(std::sync::atomic::Ordering::SeqCst)].to_owned())
        }
        _ => account(call, "", "", ""),
    })
    .await;
    for end in lengths {
        shared_length.store(end, std::sync::atomic::Ordering::SeqCst);
        let error = discover(&fake_aws, &[]).await.0.expect_err(&complete[..end]);
        assert!(
            error.reason.contains("the response to rds:DescribeDBInstances is not a complete RDS document"),
            "{error}"
        );
    }
    shared_length.store(complete.len(), std::sync::atomic::Ordering::SeqCst);
    assert_eq!(names(&discover(&fake_aws, &[]).await.0.unwrap()), ["db-1"]);
}

#[tokio::test]
async fn errors_of_rds_come_with_a_remedy() {
    let denied = reason_of(|call| match call.action() {
        "DescribeDBInstances" => failure(403, "AccessDenied", "no"),
        _ => account(call, &instance(&PLAIN), "", ""),
    })
    .await;
    for part in ["may not call rds:DescribeDBInstances", "rds:DescribeDBClusters", "IAM policy"] {
        assert!(denied.contains(part), "{denied}");
    }
    let throttled = reason_of(|_| failure(400, "Throttling", "Rate exceeded")).await;
    assert!(throttled.contains("throttles"), "{throttled}");
    let expired = reason_of(|_| failure(403, "ExpiredToken", "expired")).await;
    assert!(expired.contains("expired") && expired.contains("aws sso login --profile dev"), "{expired}");
    let unknown = reason_of(|_| failure(403, "InvalidClientTokenId", "invalid")).await;
    assert!(unknown.contains("not enabled for the account"), "{unknown}");
    let signature = reason_of(|_| failure(403, "SignatureDoesNotMatch", "canonical request")).await;
    assert!(signature.contains("clock") && !signature.contains("canonical"), "{signature}");
    let malformed = reason_of(|_| (200, "<html>log in to the hotel network</html>".into())).await;
    assert!(malformed.contains("HTTP proxy"), "{malformed}");
}

#[tokio::test]
async fn missing_and_expired_credentials_are_distinguished() {
    let expired = aws_credential_types::Credentials::new(
        "AKIDEXPIRED",
        "secret",
        None,
        Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(9)),
        "test",
    );
    for (credentials, expected) in [
        (None, "no AWS credentials were found"),
        (Some(expired), "the AWS credentials of this machine expired at 1970-01-01T00:00:09Z"),
    ] {
        let aws = aws_with("http://127.0.0.1:1", Some("us-east-1"), credentials).await;
        let error = aws.discovery(&[], None).unwrap().discover().await.unwrap_err();
        assert!(error.reason.starts_with(expected), "{error}");
        assert!(error.reason.contains("aws sso login --profile dev"), "{error}");
    }
}

#[tokio::test]
async fn throttled_calls_are_retried() {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let fake_aws = FakeAws::start(move |call| {
        let first = call.action() == "DescribeDBInstances"
            && calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if first { failure(400, "Throttling", "slow") } else { account(call, &instance(&PLAIN), "", "") }
    })
    .await;
    assert_eq!(names(&discover(&fake_aws, &[]).await.0.unwrap()), ["db-1"]);
}

#[tokio::test]
async fn an_unreachable_api_is_reported_as_a_network_error() {
    // The port of tcpmux: unused today, and never assigned to a listener by chance.
    let discovery = aws("http://127.0.0.1:1", Some("us-east-1")).await.discovery(&[], None).unwrap();
    let reason = discovery.discover().await.unwrap_err().reason;
    assert!(reason.contains("could not be reached") && reason.contains("refused"), "{reason}");
}
