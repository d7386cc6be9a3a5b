//! The arguments of `credentials`. The flags and their variables are those of CredProxy.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use tracing::level_filters::LevelFilter;

use super::values::path_or_empty;
use crate::app::credentials::Source;
use crate::config::credentials::{Flags, Names, log_level};

/// Where CredProxy's image has its configuration.
const DEFAULT_PATH: &str = "/credproxy/config.yaml";

/// Arguments of `credentials`.
#[derive(Args)]
#[command(after_help = CREDENTIALS_EXAMPLES)]
pub(in crate::cli) struct CredentialsArguments {
    /// What to do instead of serving
    #[command(subcommand)]
    pub(in crate::cli) action: Option<CredentialsAction>,
    /// The configuration, in the form of CredProxy's [default: /credproxy/config.yaml]
    #[arg(
        long,
        value_name = "PATH",
        env = "CREDPROXY_CONFIG_FILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty(),
        global = true
    )]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Read the configuration and every file that it names, and exit
    #[arg(long, alias = "validate-only")]
    pub(in crate::cli) check: bool,
    /// The log level: debug, info, warning, error or critical
    #[arg(long, value_name = "LEVEL", value_parser = read_log_level)]
    pub(in crate::cli) log_level: Option<LevelFilter>,
    /// The log level debug
    #[arg(long)]
    pub(in crate::cli) dev: bool,
}

/// The commands of `credentials`.
#[derive(Subcommand)]
pub(in crate::cli) enum CredentialsAction {
    /// Print a new token for a service
    NewToken,
    /// Print the IAM policy that the source credentials need
    Policy(PolicyArguments),
    /// Check whether credentials are served: exit code 0 or 1
    Healthcheck,
}

/// Arguments of `credentials policy`.
#[derive(Args)]
pub(in crate::cli) struct PolicyArguments {
    /// Only the roles of these services
    #[arg(value_name = "SERVICE")]
    pub(in crate::cli) services: Vec<String>,
}

const CREDENTIALS_EXAMPLES: &str = "\
Examples:
  Serve with the configuration of CredProxy's image, /credproxy/config.yaml:
    rds-auth-proxy credentials
  Check a configuration:
    rds-auth-proxy credentials --config config.yaml --check
  Print a token for a new service:
    rds-auth-proxy credentials new-token
  Print the IAM policy for the identity that assumes the roles:
    rds-auth-proxy credentials policy --config config.yaml > policy.json";

impl CredentialsArguments {
    /// Whether it serves, and does nothing else.
    pub(in crate::cli) fn serves(&self) -> bool {
        self.action.is_none() && !self.check
    }

    /// The configuration, and what overrides it.
    pub(in crate::cli) fn source(&self) -> Source {
        let names = Names::of_process();
        let flags = Flags { log_level: self.log_level, dev: self.dev };
        Source { path: self.path(&names), names, flags }
    }

    /// The path of the configuration. `names` may give the variable another prefix.
    fn path(&self, names: &Names) -> PathBuf {
        let chosen = self.config.clone().or_else(|| named(names));
        chosen.unwrap_or_else(|| DEFAULT_PATH.into())
    }
}

/// The configuration of `credentials` that exists on this machine without a flag; absent if none is named and the default
/// one does not exist.
pub(in crate::cli) fn existing(names: &Names) -> Option<PathBuf> {
    named(names).or_else(|| Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists()))
}

/// The one that the variable names.
fn named(names: &Names) -> Option<PathBuf> {
    names.value("CONFIG_FILE").map(PathBuf::from)
}

fn read_log_level(text: &str) -> Result<LevelFilter, String> {
    log_level(text).ok_or_else(|| "expected debug, info, warning, error or critical".to_owned())
}
