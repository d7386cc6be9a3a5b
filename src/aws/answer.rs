//! What went wrong with a call to the RDS API, and what to do about it.

use aws_sdk_rds::config::http::HttpResponse;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};

use super::fault::{CredentialsFault, causes};
use super::origin::Origin;

/// What the IAM policy of the proxy must allow for discovery.
const NEEDED: &str = "rds:DescribeDBInstances, rds:DescribeDBClusters and rds:DescribeDBClusterEndpoints";

/// A sentence about a failed call of `action`, such as `rds:DescribeDBInstances`.
pub(super) fn explain<E>(action: &str, origin: &Origin, error: &SdkError<E, HttpResponse>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    if let Some(fault) = credentials_fault(error) {
        return fault.to_string();
    }
    match error {
        SdkError::ServiceError(refusal) => refused(action, origin, refusal.err()),
        SdkError::TimeoutError(_) => {
            format!("{action} was not answered in time; check the network, or the VPC endpoint for RDS")
        }
        SdkError::DispatchFailure(_) => format!(
            "the RDS API could not be reached ({}); check the network, DNS, the region's name, or the VPC endpoint for RDS",
            causes(error)
        ),
        SdkError::ResponseError(_) => unreadable(action),
        _ => format!("{action} could not be asked: {}", causes(error)),
    }
}

fn refused(action: &str, origin: &Origin, error: &impl ProvideErrorMetadata) -> String {
    let code = error.code().unwrap_or_default();
    let message = error.message().unwrap_or("no message");
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "NotAuthorized" => format!(
            "the AWS identity may not call {action}; allow {NEEDED} in its IAM policy (AWS says: {message})"
        ),
        "ExpiredToken" | "ExpiredTokenException" => CredentialsFault::refused_as_expired(origin).to_string(),
        "InvalidClientTokenId" | "UnrecognizedClientException" | "AuthFailure" | "OptInRequired" => format!(
            "AWS does not know the credentials of {origin}, or the region is not enabled for the account; {}",
            origin.remedy()
        ),
        "RequestExpired" | "RequestTimeTooSkewed" => {
            "AWS finds the request too old or too new; set the clock of this machine".into()
        }
        // The message quotes the request that was signed, which is nobody's business.
        "SignatureDoesNotMatch" | "IncompleteSignature" => format!(
            "AWS refuses the signature: the secret key of {origin} does not belong to its access key, or the clock of \
             this machine is wrong; {}",
            origin.remedy()
        ),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            format!(
                "AWS throttles {action} for this account; the next refresh tries again, fewer replicas ask less often"
            )
        }
        // What is no answer of RDS has no code either, with status 200 as well.
        "" => unreadable(action),
        _ => format!("{action} failed with {code}: {message}"),
    }
}

fn unreadable(action: &str) -> String {
    format!("the answer to {action} is not one of RDS; check for an HTTP proxy that answers in place of AWS")
}

/// The fault of our own credentials, which the SDK wraps several times.
fn credentials_fault(error: &(dyn std::error::Error + 'static)) -> Option<CredentialsFault> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<CredentialsFault>() {
            return Some(fault.clone());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::stand_in::aws_with;
    use super::*;

    #[tokio::test]
    async fn a_fault_of_the_credentials_is_found_in_the_sdks_wrapping() {
        let aws = aws_with("http://127.0.0.1:1", Some("us-east-1"), None).await;
        let client = aws_sdk_rds::Client::new(&aws.config);
        let error = client.describe_db_instances().send().await.unwrap_err();
        let text = explain("rds:DescribeDBInstances", &Origin::Environment, &error);
        assert!(text.starts_with("no AWS credentials were found"), "{text}");
        assert!(text.contains("service account"), "the remedy is that of the fault: {text}");
    }
}
