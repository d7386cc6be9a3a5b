//! The arguments of `token`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueHint};

use super::values::{OutputFormat, path_or_empty};

/// Arguments of `token`.
#[derive(Args)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(in crate::cli) struct TokenArguments {
    /// The configuration of the client [default: config.yaml in the user's configuration directory, then here]
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CONFIGFILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(in crate::cli) configfile: Option<PathBuf>,
    /// The AWS profile, in place of `AWS_PROFILE` and of keys in the environment
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_PROFILE")]
    pub(in crate::cli) profile: Option<String>,
    /// The database, by its name in RDS or in `targets`
    #[arg(
        long,
        value_name = "NAME",
        env = "RDS_AUTH_PROXY_TARGET",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(in crate::cli) target: String,
    /// The database user
    #[arg(
        long,
        value_name = "NAME",
        env = "RDS_AUTH_PROXY_USER",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub(in crate::cli) user: String,
    /// The format of the output
    #[arg(long, value_name = "FORMAT", env = "RDS_AUTH_PROXY_OUTPUT", value_enum, default_value = "text")]
    pub(in crate::cli) output: OutputFormat,
}

const TOKEN_EXAMPLES: &str = "\
Examples:
  Log in without a proxy, where the database can be reached:
    PGPASSWORD=\"$(rds-auth-proxy token --target orders-db --user alice)\" psql \"host=… user=alice sslmode=verify-full\"
  The token with the time of its end:
    rds-auth-proxy token --target orders-db --user alice --output json";
