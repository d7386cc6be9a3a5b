//! The arguments of `doctor`.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::source::SourceArguments;
use super::values::OutputFormat;
use crate::cli::candidates;

/// Arguments of `doctor`.
#[derive(Args)]
#[command(after_help = DOCTOR_EXAMPLES)]
pub(in crate::cli) struct DoctorArguments {
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
    /// The database, by its name in RDS or in `targets` [default: the only one]
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_TARGET", add = candidates::targets())]
    pub(in crate::cli) target: Option<String>,
    /// The upstream proxy, by its name in `upstream_proxies` [default: the one called "default", or the only one]
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_PROXY_TARGET", add = candidates::upstream_proxies())]
    pub(in crate::cli) proxy_target: Option<String>,
    /// The database user; without it, nothing logs in
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_USER")]
    pub(in crate::cli) user: Option<String>,
    /// The way without a server; ignores --proxy-target
    #[arg(long, env = "RDS_AUTH_PROXY_DIRECT", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) direct: bool,
    /// The format of the checks
    #[arg(long, value_name = "FORMAT", env = "RDS_AUTH_PROXY_OUTPUT", value_enum, default_value = "text")]
    pub(in crate::cli) output: OutputFormat,
}

impl DoctorArguments {
    /// An empty text counts as not given.
    pub(in crate::cli) fn drop_empty_values(&mut self) {
        self.source.drop_empty_values();
        self.target.take_if(|name| name.is_empty());
        self.user.take_if(|name| name.is_empty());
        self.proxy_target.take_if(|name| name.is_empty());
    }
}

const DOCTOR_EXAMPLES: &str = "\
Examples:
  What keeps alice from the database orders-db:
    rds-auth-proxy doctor --target orders-db --user alice
  The checks that failed, for a script:
    rds-auth-proxy doctor --target orders-db --output json | jq -r '.checks[] | select(.status == \"failed\") | .name'";
