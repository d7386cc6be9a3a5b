//! The error codes of AWS APIs, by what they mean.

/// The identity may not make the call (Amazon RDS API Reference, "Common Errors").
pub(super) const DENIED: [&str; 4] =
    ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"];

/// The account makes too many calls. The SDK has retried these codes, with exponential back-off.
pub(super) const THROTTLED: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
];

/// The session of the credentials is over.
pub(super) const EXPIRED: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];

/// The region does not know the credentials: nor does any other, or the account has not enabled this one (AWS Account Management
/// Reference Guide, "Enable or disable AWS Regions in your account").
pub(super) const UNKNOWN_CREDENTIALS: [&str; 4] =
    ["InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "OptInRequired"];

/// The clock here differs from that of AWS.
pub(super) const WRONG_TIME: [&str; 2] = ["RequestExpired", "RequestTimeTooSkewed"];

/// The secret key does not belong to the access key.
pub(super) const BAD_SIGNATURE: [&str; 2] = ["SignatureDoesNotMatch", "IncompleteSignature"];

/// An endpoint that is not AWS, or an older one, lacks the call.
pub(super) const UNKNOWN: [&str; 4] =
    ["InvalidAction", "UnknownOperationException", "UnsupportedOperation", "NotImplemented"];

/// RDS deletes the proxy, or did so after it was listed.
pub(super) const GONE: [&str; 3] =
    ["DBProxyNotFoundFault", "DBProxyTargetGroupNotFoundFault", "InvalidDBProxyStateFault"];
