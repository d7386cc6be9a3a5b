//! Why the password of a login is refused.

use std::time::Duration;

use super::IamService;

/// A password that must not be sent to the target. RDS would refuse the token as well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The rule demands a token, and the password has another form.
    #[error("the password is no IAM token, and rds.require_iam of this proxy accepts nothing else")]
    NotAToken,
    /// A parameter is missing, repeated or malformed.
    #[error("the IAM token has no valid {parameter}")]
    Malformed {
        /// The name of the parameter.
        parameter: &'static str,
    },
    /// It was signed for another service.
    #[error("the IAM token is for {found}, not for {expected}")]
    Service {
        /// The service whose form the token has.
        found: IamService,
        /// The service of the target.
        expected: IamService,
    },
    /// It was signed for another endpoint.
    #[error("the IAM token is for {found}, not for {expected}")]
    Address {
        /// The endpoint in the token.
        found: String,
        /// The endpoint of the target, in the form of the token.
        expected: String,
    },
    /// It was signed for another database user.
    #[error("the IAM token is for the user \"{found}\", not for \"{expected}\"")]
    User {
        /// The user in the token.
        found: String,
        /// The user of the startup packet.
        expected: String,
    },
    /// It was signed for another action of Aurora DSQL.
    #[error("the IAM token is for the action {found}, and the user \"{user}\" needs {expected}")]
    Action {
        /// The action in the token.
        found: String,
        /// The action that the user of the startup packet needs.
        expected: &'static str,
        /// The user of the startup packet.
        user: String,
    },
    /// It was signed for another region.
    #[error("the IAM token is for the region \"{found}\", not for \"{expected}\"")]
    Region {
        /// The region in the token.
        found: String,
        /// The region of the target.
        expected: String,
    },
    /// Its time is over.
    #[error("the IAM token expired {} s ago", .0.as_secs())]
    Expired(Duration),
    /// Its time has not begun.
    #[error("the IAM token was signed {} s in the future; check the clocks", .0.as_secs())]
    NotYetValid(Duration),
}
