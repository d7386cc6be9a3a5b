//! Why the AWS configuration is not usable.

/// The AWS configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// Nothing names the region of the databases.
    #[error(
        "no AWS region is set: name the regions under `rds.regions` in the configuration, or set AWS_REGION, or \
         `region` in the AWS profile \"{profile}\""
    )]
    NoRegion {
        /// The profile in use.
        profile: String,
    },
    /// The file that may name the region has a syntax error.
    #[error(
        "no AWS region can be read: {0}; correct that line, or name the regions under `rds.regions` in the configuration"
    )]
    BrokenFile(String),
    /// A variable or a file has a setting with which no call can succeed.
    #[error("{0}")]
    Unusable(String),
    /// The same for an account of the configuration.
    #[error("the account \"{account}\" cannot be used: {error}")]
    OfAccount {
        /// Its name.
        account: String,
        /// Why.
        error: String,
    },
    /// A region is not a region.
    #[error(
        "\"{region}\" in {origin} is not an AWS region: a region consists of lower-case letters, digits and \
         hyphens, such as us-east-1"
    )]
    InvalidRegion {
        /// The value.
        region: String,
        /// What names it.
        origin: String,
    },
}
