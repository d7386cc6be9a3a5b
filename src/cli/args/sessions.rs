//! The arguments of `sessions`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueHint};

use super::values::{OutputFormat, path_or_empty};

/// Arguments of `sessions`.
#[derive(Args)]
#[command(after_help = SESSIONS_EXAMPLES)]
pub(in crate::cli) struct SessionsArguments {
    /// What to do; without it, lists the sessions
    #[command(subcommand)]
    pub(in crate::cli) action: Option<SessionsAction>,
    /// The configuration of that proxy
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CONFIGFILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(in crate::cli) configfile: Option<PathBuf>,
    /// The socket of that proxy [default: that of the configuration]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_SOCKET",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(in crate::cli) socket: Option<PathBuf>,
    /// Only sessions at this target
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_TARGET")]
    pub(in crate::cli) target: Option<String>,
    /// Only sessions of this database user
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_USER")]
    pub(in crate::cli) user: Option<String>,
    /// The format of the list
    #[arg(long, value_name = "FORMAT", env = "RDS_AUTH_PROXY_OUTPUT", value_enum, default_value = "text")]
    pub(in crate::cli) output: OutputFormat,
    /// List again every 2 seconds, until Ctrl-C
    #[arg(long, env = "RDS_AUTH_PROXY_WATCH", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) watch: bool,
}

/// What `sessions` can do beside listing.
#[derive(Subcommand)]
pub(in crate::cli) enum SessionsAction {
    /// End a session: cancels its query, and the application reads SQLSTATE 57P01
    End(EndArguments),
}

/// Arguments of `sessions end`.
#[derive(Args)]
pub(in crate::cli) struct EndArguments {
    /// The id in the list and in the log
    #[arg(value_parser = session_id)]
    pub(in crate::cli) id: u64,
    /// The reason, which the application and the log get
    #[arg(long, value_name = "TEXT", env = "RDS_AUTH_PROXY_REASON", allow_hyphen_values = true)]
    pub(in crate::cli) reason: Option<String>,
}

fn session_id(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "expected a number; `rds-auth-proxy sessions` lists them")
}

const SESSIONS_EXAMPLES: &str = "\
Examples:
  List the sessions of one database every 2 seconds:
    rds-auth-proxy sessions --target orders-db --watch
  In a pod, whose configuration has proxy.admin_socket:
    kubectl exec POD -- rds-auth-proxy sessions --configfile /etc/rds-auth-proxy/config/config.yaml
  End a session by its id:
    rds-auth-proxy sessions end 17 --reason \"blocks the migration\"";
