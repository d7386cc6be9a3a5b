//! The arguments of `server`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueHint};

use super::values::path_or_empty;

/// Arguments of `server`.
#[derive(Args)]
#[command(after_help = SERVER_EXAMPLES)]
pub(in crate::cli) struct ServerArguments {
    /// The configuration [default: config.yaml here, then in the user's configuration directory]
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CONFIGFILE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty()
    )]
    pub(in crate::cli) configfile: Option<PathBuf>,
    /// Serve this database alone, without a configuration and without AWS: HOST:PORT
    #[arg(long, value_name = "ADDRESS", env = "RDS_AUTH_PROXY_TARGET_HOST", conflicts_with = "configfile")]
    pub(in crate::cli) target_host: Option<String>,
    /// The CA of its certificate: a PEM file, or a directory of them [default: the system's]
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_TARGET_CA",
        value_hint = ValueHint::AnyPath,
        value_parser = path_or_empty(),
        requires = "target_host"
    )]
    pub(in crate::cli) target_ca: Option<PathBuf>,
    /// The name in its certificate [default: the one in --target-host]
    #[arg(long, value_name = "NAME", env = "RDS_AUTH_PROXY_TARGET_NAME", requires = "target_host")]
    pub(in crate::cli) target_name: Option<String>,
    /// The certificate that applications see [default: a self-signed one for localhost]
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_CERTIFICATE",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty(),
        requires_all = ["target_host", "private_key"]
    )]
    pub(in crate::cli) certificate: Option<PathBuf>,
    /// Its private key
    #[arg(
        long,
        value_name = "PATH",
        env = "RDS_AUTH_PROXY_PRIVATE_KEY",
        value_hint = ValueHint::FilePath,
        value_parser = path_or_empty(),
        requires_all = ["target_host", "certificate"]
    )]
    pub(in crate::cli) private_key: Option<PathBuf>,
    /// The address to listen on: HOST:PORT or `unix:/PATH` [default: 0.0.0.0:8000]
    #[arg(long, value_name = "ADDRESS", env = "RDS_AUTH_PROXY_LISTEN", requires = "target_host")]
    pub(in crate::cli) listen: Option<String>,
    /// Refuse applications without TLS
    #[arg(long, env = "RDS_AUTH_PROXY_REQUIRE_TLS", value_parser = BoolishValueParser::new(), requires = "target_host")]
    pub(in crate::cli) require_tls: bool,
}

impl ServerArguments {
    /// Treats empty values as not given.
    pub(in crate::cli) fn drop_empty_values(&mut self) {
        for path in [&mut self.configfile, &mut self.target_ca, &mut self.certificate, &mut self.private_key]
        {
            path.take_if(|path| path.as_os_str().is_empty());
        }
        for text in [&mut self.target_host, &mut self.target_name, &mut self.listen] {
            text.take_if(|text| text.is_empty());
        }
    }
}

const SERVER_EXAMPLES: &str = "\
Examples:
  Put TLS with your certificate in front of one PostgreSQL whose CA is private, without AWS and without a file:
    rds-auth-proxy server --target-host db.internal.example:5432 --target-ca db-ca.pem --certificate server.pem \\
      --private-key server.key --listen :5432 --require-tls
  Run with the configuration in the usual places:
    rds-auth-proxy server
  Run with this configuration and more log lines:
    LOG_LEVEL=debug rds-auth-proxy server --configfile /etc/rds-auth-proxy/config.yaml";
