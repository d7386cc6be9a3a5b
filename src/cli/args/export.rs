//! The arguments of `export`.

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::source::SourceArguments;
use super::targets::pattern;
use crate::catalog::NamePattern;
use crate::cli::candidates;

/// Arguments of `export`.
#[derive(Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(in crate::cli) struct ExportArguments {
    /// The tool that reads the settings
    #[arg(
        long,
        value_name = "FORMAT",
        env = "RDS_AUTH_PROXY_FORMAT",
        value_enum,
        required_unless_present = "remove"
    )]
    pub(in crate::cli) format: Option<ExportFormat>,
    /// Only these targets; `*` stands for any text, `?` for one character. The flag can be repeated
    #[arg(
        long,
        value_name = "PATTERN",
        env = "RDS_AUTH_PROXY_TARGET",
        value_parser = pattern(),
        add = candidates::targets()
    )]
    pub(in crate::cli) target: Vec<NamePattern>,
    /// The database user in the settings
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_USER")]
    pub(in crate::cli) user: Option<String>,
    /// Write the services into `~/.pg_service.conf`, or the file of `PGSERVICEFILE`, between two markers
    #[arg(long, env = "RDS_AUTH_PROXY_WRITE", value_parser = BoolishValueParser::new(), conflicts_with = "remove")]
    pub(in crate::cli) write: bool,
    /// Take the services out of that file
    #[arg(long, env = "RDS_AUTH_PROXY_REMOVE", value_parser = BoolishValueParser::new())]
    pub(in crate::cli) remove: bool,
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
}

/// The reader of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ExportFormat {
    /// Services of libpq, for psql and most drivers.
    Service,
    /// Variables of libpq for a shell, for one target.
    Env,
    /// URLs of libpq.
    Url,
    /// URLs of the JDBC driver.
    Jdbc,
    /// A file for the DBeaver project.
    Dbeaver,
    /// A text to paste into the Database Explorer.
    Datagrip,
    /// A file for the import of servers.
    Pgadmin,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  Reach every target with psql service=NAME, while a client serves it:
    rds-auth-proxy export --format service --user alice --write
  One target in this shell:
    eval \"$(rds-auth-proxy export --format env --target orders-db --user alice)\"
  A file that pgAdmin imports:
    rds-auth-proxy export --format pgadmin --user alice --target 'orders*' > servers.json";
