//! The arguments of `targets`.

use clap::Args;
use clap::builder::{BoolishValueParser, StringValueParser, TypedValueParser};

use super::source::SourceArguments;
use super::values::OutputFormat;
use crate::catalog::NamePattern;
use crate::cli::candidates;

/// Arguments of `targets`.
#[derive(Args)]
#[command(after_help = TARGETS_EXAMPLES)]
pub(in crate::cli) struct TargetsArguments {
    /// Only targets with these names; `*` stands for any text, `?` for one character
    #[arg(value_name = "PATTERN", value_parser = pattern(), add = candidates::targets())]
    pub(in crate::cli) patterns: Vec<NamePattern>,
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
    /// The format of the list
    #[arg(long, value_name = "FORMAT", env = "RDS_AUTH_PROXY_OUTPUT", value_enum, default_value = "text")]
    pub(in crate::cli) output: OutputFormat,
    /// Also list databases that cannot be used, each with the reason
    #[arg(long, env = "RDS_AUTH_PROXY_HIDDEN", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) hidden: bool,
    /// List again when something changed, until Ctrl-C; RDS is queried every minute
    #[arg(long, env = "RDS_AUTH_PROXY_WATCH", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) watch: bool,
}

pub(super) fn pattern() -> impl TypedValueParser<Value = NamePattern> {
    StringValueParser::new().map(|text| NamePattern::of(&text))
}

const TARGETS_EXAMPLES: &str = "\
Examples:
  The databases that a client can reach, and their local ports:
    rds-auth-proxy targets
  Why a database is not among them:
    rds-auth-proxy targets 'orders*' --hidden
  The endpoints in one region, for a script:
    rds-auth-proxy targets --output json | jq -r '.[] | select(.region == \"eu-west-1\") | .endpoint'";
