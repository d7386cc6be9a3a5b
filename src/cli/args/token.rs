//! The arguments of `token`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::source::SourceArguments;
use super::values::OutputFormat;
use crate::cli::candidates;

/// Arguments of `token`.
#[derive(Args)]
#[command(after_help = TOKEN_EXAMPLES)]
pub(in crate::cli) struct TokenArguments {
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
    /// The database, by its name in RDS or in `targets`
    #[arg(
        long,
        value_name = "NAME",
        env = "RDS_AUTH_PROXY_TARGET",
        add = candidates::targets(),
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
